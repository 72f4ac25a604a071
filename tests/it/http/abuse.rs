//! What callers do that nobody wished for: floods, repeats, links passed on, nonsense.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Served, Stage, answer};

const KEYS: &str = "--api-keys=7:key-of-team-seven,*:key-of-the-service";
const SEVEN: &str = "key-of-team-seven";
const SERVICE: &str = "key-of-the-service";
const UNLIMITED: &str = "--caller-requests-per-minute=0";

async fn enqueued(server: &Served) -> String {
    let (status, accepted) = server
        .post("/api/generations", SEVEN, json!({"prompt": "a lake"}))
        .await;
    assert_eq!(status, 202, "{accepted}");
    accepted["pollUrl"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn whoever_follows_a_job_is_told_while_others_ask_without_end() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS, UNLIMITED]).await;
    let path = enqueued(&server).await;
    let follow = server.request(Method::GET, &format!("{path}/events"));
    let stream = follow.bearer_auth(SEVEN).send().await.unwrap();
    // Of jobs that are not there, so that each is a read.
    let flood = join_all((0..40).map(async |asker| {
        for number in 0.. {
            let path = format!("/api/generations/{}", 1_000_000 + asker * 10_000 + number);
            assert_eq!(server.get(&path, SERVICE).await.0, 404);
        }
    }));
    let told = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stage
            .sql("UPDATE photo_generation_queue SET status = 'canceled'")
            .await;
        tokio::time::timeout(Duration::from_secs(10), stream.text()).await
    };

    let told = tokio::select! {
        _ = flood => unreachable!("it never ends"),
        told = told => told,
    };

    let events = told.expect("nobody was told").unwrap();
    assert!(events.contains("event: done"), "{events}");
}

#[tokio::test]
async fn an_answer_that_is_held_back_comes_at_once_when_the_server_ends() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let request = server.request(Method::POST, "/api/generations");
    let request = request.bearer_auth(SEVEN).header("prefer", "wait=60");
    let held = tokio::spawn(answer(request.json(&json!({"prompt": "a lake"}))));
    stage
        .until("SELECT count(*) = 1 FROM photo_generation_queue")
        .await;

    server.stop().await;

    let (status, accepted) = tokio::time::timeout(PATIENCE, held).await.unwrap().unwrap();
    assert_eq!(status, 202);
    assert_eq!(accepted["generation"]["status"], "pending");
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_answered_again_however_full_the_queue_is() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS, "--queue-max-waiting=1"]).await;
    let send = |path: &str, body: Value| {
        let request = server.request(Method::POST, path).bearer_auth(SEVEN);
        answer(request.header("idempotency-key", "k").json(&body))
    };
    let body = json!({"prompt": "a lake"});
    let (_, first) = send("/api/generations", body.clone()).await;

    let (status, again) = send("/api/generations", body).await;

    assert_eq!((status, &again["jobId"]), (202, &first["jobId"]), "{again}");
    assert_eq!(
        server
            .post("/api/generations", SEVEN, json!({"prompt": "a sea"}))
            .await
            .0,
        503
    );

    stage
        .sql(r#"UPDATE photo_generation_queue SET status = 'failed', "idempotencyKey" = NULL"#)
        .await;
    let batch = json!({"jobs": [{"prompt": "a lake"}]});
    let (status, first) = send("/api/batches", batch.clone()).await;
    assert_eq!(status, 202, "{first}");
    let (status, again) = send("/api/batches", batch).await;
    assert_eq!(
        (status, &again["batchId"]),
        (202, &first["batchId"]),
        "{again}"
    );

    stage
        .sql("UPDATE photo_generation_queue SET status = 'failed'")
        .await;
    let (_, first) = send("/api/generations/1/retry", json!({})).await;
    stage
        .sql("UPDATE photo_generation_queue SET status = 'pending' WHERE id = 1")
        .await;
    let (status, again) = send("/api/generations/1/retry", json!({})).await;
    assert_eq!((status, &again["jobId"]), (201, &first["jobId"]), "{again}");
}

#[tokio::test]
async fn a_link_does_not_renew_itself_repeats_a_job_once_and_tells_nothing_of_its_owner() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let path = enqueued(&server).await;
    let (_, owned) = server.get(&path, SEVEN).await;
    let token = owned["viewToken"].as_str().unwrap();
    let end_of = |token: &Value| {
        token
            .as_str()
            .unwrap()
            .split('.')
            .nth(2)
            .unwrap()
            .to_owned()
    };
    let ask = |method: Method, route: &str| {
        answer(server.request(method, &format!("{path}{route}?token={token}")))
    };

    let (_, seen) = ask(Method::GET, "").await;
    for field in ["viewToken", "teamId", "userId", "idempotencyKey"] {
        assert_eq!(seen[field], Value::Null, "{field}");
    }
    assert_eq!(
        (&seen["jobId"], &owned["teamId"]),
        (&owned["jobId"], &json!("7"))
    );
    ask(Method::POST, "/cancel").await;
    let (status, retried) = ask(Method::POST, "/retry").await;
    let (_, again) = ask(Method::POST, "/retry").await;

    assert_eq!((status, &retried["jobId"]), (201, &again["jobId"]));
    assert_eq!(end_of(&retried["viewToken"]), end_of(&owned["viewToken"]));
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_queue")
            .await,
        2
    );
}

#[tokio::test]
async fn nonsense_is_refused_with_a_code_and_a_sentence_and_tells_nothing_of_ours() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS, UNLIMITED]).await;
    let path = enqueued(&server).await;
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let job = |fields: &str| format!(r#"{{"prompt": "a lake", {fields}}}"#);
    let batch = |fields: &str| format!(r#"{{"jobs": [{{"prompt": "a lake"}}], {fields}}}"#);
    let bodies = [
        ("/api/generations", String::new()),
        ("/api/generations", "null".to_owned()),
        ("/api/generations", "{\"prompt\": 1}".to_owned()),
        ("/api/generations", r#"{"prompt": "a\u0000b"}"#.to_owned()),
        ("/api/generations", job(r#""metadata": "\u0000""#)),
        ("/api/generations", job(r#""metadata": 1e200000"#)),
        (
            "/api/generations",
            job(&format!(r#""metadata": {}"#, deep(20_000))),
        ),
        (
            "/api/generations",
            job(&format!(r#""metadata": "{}""#, "x".repeat(70_000))),
        ),
        (
            "/api/generations",
            job(&format!(r#""clientId": "{}""#, "x".repeat(70_000))),
        ),
        (
            "/api/generations",
            job(&format!(r#""teamId": "{}""#, "x".repeat(12_000))),
        ),
        ("/api/generations", job(r#""batchId": 99"#)),
        ("/api/generations", job(r#""batchId": 9223372036854775807"#)),
        ("/api/generations", job(r#""numImages": 99999999999"#)),
        ("/api/generations", job(r#""images": ["upload:x"]"#)),
        ("/api/batches", batch(r#""metadata": "\u0000""#)),
        ("/api/batches", batch(r#""metadata": 1e200000"#)),
        (
            "/api/batches",
            batch(&format!(r#""metadata": {}"#, deep(20_000))),
        ),
    ];
    let queries = [
        "/api/generations?metadata.a%00=1",
        "/api/generations?metadata.a=%00",
        "/api/generations?teamId=%00",
        "/api/generations?cursor=99999999999999999999",
        "/api/generations/status",
        "/api/generations/%00",
        "/api/generations/99999999999999999999",
        "/api/batches/x",
        "/files/..%2f..%2fetc%2fpasswd",
        "/files/x",
    ];
    let mut answers = Vec::new();
    for (path, body) in bodies {
        let request = server.request(Method::POST, path).bearer_auth(SERVICE);
        let request = request.header("content-type", "application/json");
        let request = request.header("idempotency-key", "k");
        let shown: String = body.chars().take(60).collect();
        answers.push((format!("{path} {shown}"), answer(request.body(body)).await));
    }
    for path in queries {
        answers.push((path.to_owned(), server.get(path, SERVICE).await));
    }
    let plain = server
        .request(Method::POST, "/api/generations")
        .bearer_auth(SERVICE);
    answers.push(("no JSON".to_owned(), answer(plain.body("prompt=a")).await));
    let odd = server.request(Method::GET, &path).bearer_auth("\u{e9}");
    answers.push(("an odd key".to_owned(), answer(odd).await));

    for (what, (status, body)) in answers {
        assert!((400..500).contains(&status), "{what}: {status} {body}");
        let text = body["error"].as_str().unwrap();
        assert!(text.len() > 10 && text.ends_with('.'), "{what}: {text}");
        assert!(body["code"].as_str().is_some_and(|code| !code.is_empty()));
        assert!(body["requestId"].is_string());
        for ours in [
            "SQL",
            "sqlx",
            "photo_generation_",
            "constraint",
            "/tmp",
            "postgres",
        ] {
            assert!(!text.contains(ours), "{what}: {text}");
        }
    }
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_queue")
            .await,
        1
    );
}

#[tokio::test]
async fn an_id_that_a_column_changes_on_its_way_makes_no_job_of_somebody_else() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"DROP INDEX safelight_idempotency_key, safelight_fresh_idx, safelight_retrying_idx,
                          safelight_tenant_jobs_idx;
               ALTER TABLE photo_generation_queue ALTER "teamId" TYPE integer USING "teamId"::integer"#,
        )
        .await;
    let server = stage.serve(&["--api-keys=007:key-of-team-007-here"]).await;

    let (status, refused) = server
        .post(
            "/api/generations",
            "key-of-team-007-here",
            json!({"prompt": "a lake"}),
        )
        .await;

    assert_eq!((status, &refused["code"]), (403, &json!("forbidden")));
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_queue")
            .await,
        0
    );
}
