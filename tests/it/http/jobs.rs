//! A job's way over HTTP: enqueued, polled, canceled, retried.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use safelight::providers::simulator::SimulatorConfig;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Served, Stage, answer};

const KEYS: &str = "--api-keys=7:key-of-team-seven,8:key-of-team-eight,*:key-of-the-service";
const SEVEN: &str = "key-of-team-seven";
const SERVICE: &str = "key-of-the-service";

/// Polls as a browser would until the job is as wanted.
async fn until(server: &Served, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let polling = async {
        loop {
            let (status, job) = server.get(path, SEVEN).await;
            assert_eq!(status, 200, "{job}");
            if wanted(&job) {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, polling).await.unwrap()
}

#[tokio::test]
async fn a_job_is_enqueued_polled_and_done() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;

    let body = json!({"prompt": "a red bicycle", "numImages": 2, "aspectRatio": "4:3",
                      "metadata": {"order": 81}});
    let (status, accepted) = server.post("/api/generations", SEVEN, body).await;
    assert_eq!(status, 202, "{accepted}");
    assert_eq!(accepted["accepted"], true);
    assert_eq!(accepted["status"], "pending");
    assert_eq!(accepted["job"]["status"], "queued");
    let path = accepted["pollUrl"].as_str().unwrap().to_owned();
    let (_, waiting) = server.get(&path, SEVEN).await;
    assert_eq!(waiting["status"], "pending");
    assert_eq!(waiting["progress"]["total"], 2);

    let worker = stage.worker().await;
    let job = until(&server, &path, |job| job["status"] == "completed").await;

    assert_eq!(
        job["progress"],
        json!({"current": 2, "total": 2, "percent": 100, "completedImages": [1, 2]})
    );
    assert_eq!(job["job"]["status"], "success");
    assert_eq!(job["metadata"], json!({"order": 81}));
    assert_eq!(job["teamId"], "7");
    assert_eq!(job["images"].as_array().unwrap().len(), 2);
    assert_eq!(job["imageUrl"], job["images"][0]["url"]);
    assert_eq!(job["images"][0]["state"], "stored");
    assert_eq!(job["images"][0]["mimeType"], "image/png");
    let by_number = format!("/api/generations/{}", job["id"]);
    let (_, again) = server.get(&by_number, SEVEN).await;
    assert_eq!(again["jobId"], job["jobId"]);
    worker.stop().await;
}

#[tokio::test]
async fn a_poll_that_knows_how_things_stand_is_answered_with_304() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let (_, accepted) = server
        .post("/api/generations", SEVEN, json!({"prompt": "a lake"}))
        .await;
    let path = accepted["pollUrl"].as_str().unwrap();
    let poll = |tag: Option<String>| {
        let request = server.request(Method::GET, path).bearer_auth(SEVEN);
        let request = match tag {
            Some(tag) => request.header("if-none-match", tag),
            None => request,
        };
        async { request.send().await.unwrap() }
    };

    let first = poll(None).await;
    assert_eq!(first.headers()["retry-after"], "2");
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    // Where it stands in the queue may be told a moment later, and is news.
    let settled = async {
        let mut tag = tag;
        loop {
            let again = poll(Some(tag.clone())).await;
            if again.status() == StatusCode::NOT_MODIFIED {
                return tag;
            }
            tag = again.headers()["etag"].to_str().unwrap().to_owned();
        }
    };
    let tag = tokio::time::timeout(PATIENCE, settled).await.unwrap();

    stage
        .sql("UPDATE photo_generation_queue SET status = 'canceled'")
        .await;
    let changed = server.request(Method::GET, path).bearer_auth(SEVEN);
    let changed = changed
        .header("if-none-match", tag)
        .header("prefer", "wait=30")
        .send();
    let changed = changed.await.unwrap();
    assert_eq!(changed.status(), 200);
    assert_eq!(changed.headers()["preference-applied"], "wait=30");
    assert!(!changed.headers().contains_key("retry-after"));
    assert_eq!(changed.json::<Value>().await.unwrap()["status"], "canceled");
}

#[tokio::test]
async fn an_answer_that_is_held_back_comes_when_the_job_has_ended() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let worker = stage.worker().await;

    let request = server
        .request(Method::POST, "/api/generations")
        .bearer_auth(SEVEN);
    let body = json!({"prompt": "a lake", "numImages": 1});
    let (status, accepted) = answer(request.header("prefer", "wait=60").json(&body)).await;

    assert_eq!(status, 202);
    assert_eq!(accepted["generation"]["status"], "completed", "{accepted}");
    worker.stop().await;
}

#[tokio::test]
async fn a_key_makes_one_job_however_often_it_is_sent_and_whoever_is_first() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let send = |body: Value| {
        let request = server
            .request(Method::POST, "/api/generations")
            .bearer_auth(SEVEN);
        answer(request.header("idempotency-key", "order-81").json(&body))
    };
    let body = json!({"prompt": "a lake", "numImages": 1});

    let at_once = futures_util::future::join_all((0..20).map(|_| send(body.clone()))).await;

    let ids: std::collections::BTreeSet<_> = at_once
        .iter()
        .map(|(status, answer)| {
            assert_eq!(*status, 202, "{answer}");
            answer["jobId"].to_string()
        })
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_queue")
            .await,
        1
    );
    // Whatever becomes of the job, the same request is the same request.
    stage
        .sql("UPDATE photo_generation_queue SET priority = 'urgent', status = 'canceled'")
        .await;
    let (status, again) = send(body.clone()).await;
    assert_eq!((status, &again["status"]), (202, &json!("canceled")));
    let (status, other) = send(json!({"prompt": "a lake", "numImages": 2})).await;
    assert_eq!(
        (status, &other["code"]),
        (409, &json!("idempotency_key_reused"))
    );
    // Another tenant's key is another key.
    let request = server
        .request(Method::POST, "/api/generations")
        .bearer_auth("key-of-team-eight");
    let (status, _) = answer(request.header("idempotency-key", "order-81").json(&body)).await;
    assert_eq!(status, 202);
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_queue")
            .await,
        2
    );
}

#[tokio::test]
async fn a_cancel_aborts_a_running_call_and_is_right_twice_but_not_when_the_job_has_ended() {
    let stage = Stage::with(SimulatorConfig::default()).await;
    let server = stage.serve(&[KEYS]).await;
    // With one place the next job begins when the call is aborted, and not before.
    let worker = stage.worker_with(|settings| settings.concurrency = 1).await;
    let body = json!({"prompt": "a lake [sim:hang]", "numImages": 1});
    let (_, accepted) = server.post("/api/generations", SEVEN, body).await;
    let path = accepted["pollUrl"].as_str().unwrap();
    stage.until_called(crate::harness::hangs).await;
    let next = json!({"prompt": "a sea", "numImages": 1});
    server.post("/api/generations", SEVEN, next).await;

    let (status, job) = server
        .post(&format!("{path}/cancel"), SEVEN, json!({}))
        .await;
    assert_eq!((status, &job["status"]), (200, &json!("canceled")), "{job}");
    let (_, polled) = server.get(path, SEVEN).await;
    assert_eq!(polled["status"], "canceled");
    let next = "SELECT status = 'completed' FROM photo_generation_queue WHERE id = 2";
    stage.until_within(next, Duration::from_secs(6)).await;
    let (status, _) = server
        .post(&format!("{path}/cancel"), SEVEN, json!({}))
        .await;
    assert_eq!(status, 200);

    stage
        .sql("UPDATE photo_generation_queue SET status = 'failed'")
        .await;
    let (status, refused) = server
        .post(&format!("{path}/cancel"), SEVEN, json!({}))
        .await;
    assert_eq!((status, &refused["code"]), (409, &json!("already_ended")));
    worker.stop().await;
}

#[tokio::test]
async fn a_retry_is_a_new_job_of_a_failed_one_and_of_no_other() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let body = json!({"prompt": "a lake", "numImages": 3, "metadata": {"a": 1}});
    let request = server
        .request(Method::POST, "/api/generations")
        .bearer_auth(SEVEN);
    let (_, accepted) = answer(request.header("idempotency-key", "k").json(&body)).await;
    let retry = format!("{}/retry", accepted["pollUrl"].as_str().unwrap());
    let (status, refused) = server.post(&retry, SEVEN, json!({})).await;
    assert_eq!((status, &refused["code"]), (400, &json!("not_retryable")));
    stage
        .sql("UPDATE photo_generation_queue SET status = 'failed'")
        .await;

    let again = || {
        let request = server.request(Method::POST, &retry).bearer_auth(SEVEN);
        answer(request.header("idempotency-key", "again"))
    };
    let (status, retried) = again().await;

    assert_eq!(status, 201, "{retried}");
    assert_eq!(retried["originalJobId"], accepted["jobId"]);
    assert_eq!(retried["job"]["status"], "queued");
    assert_ne!(retried["jobId"], accepted["jobId"]);
    let (_, new) = server
        .get(retried["pollUrl"].as_str().unwrap(), SEVEN)
        .await;
    assert_eq!(new["retryOf"], accepted["jobId"]);
    assert_eq!(
        (&new["progress"]["total"], &new["metadata"]),
        (&json!(3), &json!({"a": 1}))
    );
    let (status, twice) = again().await;
    assert_eq!((status, &twice["jobId"]), (201, &retried["jobId"]));
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_queue")
            .await,
        2
    );
}

#[tokio::test]
async fn a_list_goes_on_where_it_ended_and_is_narrowed() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    for number in 0..5 {
        let body = json!({"prompt": "a lake", "metadata": {"order": number % 2}});
        server.post("/api/generations", SEVEN, body).await;
    }
    server
        .post(
            "/api/generations",
            "key-of-team-eight",
            json!({"prompt": "a sea"}),
        )
        .await;
    stage
        .sql("UPDATE photo_generation_queue SET status = 'canceled' WHERE id = 1")
        .await;
    let ids = |page: &Value| {
        let jobs = page["jobs"].as_array().unwrap().iter();
        jobs.map(|job| job["id"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    let list = |query: &str| {
        let path = format!("/api/generations?{query}");
        let server = &server;
        async move {
            let (status, page) = server.get(&path, SEVEN).await;
            assert_eq!(status, 200, "{page}");
            page
        }
    };

    let first = list("limit=2").await;
    assert_eq!(ids(&first), [5, 4]);
    let next = list(&format!(
        "limit=3&cursor={}",
        first["nextCursor"].as_str().unwrap()
    ))
    .await;
    assert_eq!(
        (ids(&next), &next["nextCursor"]),
        (vec![3, 2, 1], &Value::Null)
    );
    assert_eq!(ids(&list("active=true").await), [5, 4, 3, 2]);
    assert_eq!(ids(&list("status=canceled").await), [1]);
    assert_eq!(ids(&list("metadata.order=1").await), [4, 2]);
    // Six is another team's, and looks like one that is not there.
    assert_eq!(ids(&list("ids=2,6,9999,nonsense,3").await), [3, 2]);
    let (_, all) = server.get("/api/generations", SERVICE).await;
    assert_eq!(ids(&all).len(), 6);
    let (_, of_eight) = server.get("/api/generations?teamId=8", SERVICE).await;
    assert_eq!(ids(&of_eight), [6]);
    let (status, refused) = server.get("/api/generations?teamId=8", SEVEN).await;
    assert_eq!((status, &refused["code"]), (403, &json!("forbidden")));
}

#[tokio::test]
async fn a_job_that_waits_is_told_its_place_in_the_queue() {
    let stage = Stage::new().await;
    // As the first worker records it; until then nobody knows what a job waits for.
    stage
        .sql(
            "INSERT INTO photo_generation_settings (key, value)
             VALUES ('defaultProvider', 'gemini'), ('defaultModel.gemini', 'gemini-2.5-flash-image')",
        )
        .await;
    let server = stage.serve(&[KEYS]).await;
    for _ in 0..2 {
        server
            .post("/api/generations", SEVEN, json!({"prompt": "a lake"}))
            .await;
    }

    let job = until(&server, "/api/generations/2", |job| {
        job["queuePosition"] == 2
    })
    .await;
    assert_eq!(job["status"], "pending");

    stage
        .sql("UPDATE photo_generation_queue SET status = 'canceled' WHERE id = 1")
        .await;
    until(&server, "/api/generations/2", |job| {
        job["queuePosition"] == 1
    })
    .await;
    // One that may not begin yet has none.
    stage
        .sql(r#"UPDATE photo_generation_queue SET "retryAt" = now() + interval '1 hour'"#)
        .await;
    let job = until(&server, "/api/generations/2", |job| {
        job["queuePosition"].is_null()
    })
    .await;
    assert!(job["retryAt"].is_string());
}

#[tokio::test]
async fn a_tenant_that_fills_the_queue_is_sent_away_and_no_other() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS, "--queue-max-waiting=2"]).await;
    let send =
        |key: &'static str| server.post("/api/generations", key, json!({"prompt": "a lake"}));
    for _ in 0..2 {
        assert_eq!(send(SEVEN).await.0, 202);
    }

    let request = server
        .request(Method::POST, "/api/generations")
        .bearer_auth(SEVEN);
    let full = request
        .json(&json!({"prompt": "a lake"}))
        .send()
        .await
        .unwrap();
    assert_eq!(full.status(), 503);
    assert_eq!(full.headers()["retry-after"], "60");
    assert_eq!(full.json::<Value>().await.unwrap()["code"], "queue_full");
    let batch = json!({"jobs": [{"prompt": "a lake"}]});
    assert_eq!(server.post("/api/batches", SEVEN, batch).await.0, 503);
    stage
        .sql("UPDATE photo_generation_queue SET status = 'failed' WHERE id = 1")
        .await;
    assert_eq!(
        server
            .post("/api/generations/1/retry", SEVEN, json!({}))
            .await
            .0,
        201
    );
    assert_eq!(
        server
            .post("/api/generations/1/retry", SEVEN, json!({}))
            .await
            .0,
        503
    );

    assert_eq!(send("key-of-team-eight").await.0, 202);
}
