//! Credits as customers and operators meet them: over HTTP, and on the command line.

use serde_json::{Value, json};

use super::ledger;
use crate::harness::{Served, Stage};

const KEYS: &str = "--api-keys=7:key-of-team-seven,*:key-of-the-service";
const SEVEN: &str = "key-of-team-seven";
const SERVICE: &str = "key-of-the-service";

async fn served(credits: i64) -> (Stage, Served) {
    let stage = ledger(&[("team:7", credits)]).await;
    let server = stage
        .serve(&[KEYS, "--upgrade-url=https://example.com/more"])
        .await;
    (stage, server)
}

/// That a body says what lacks.
fn assert_lack(answer: &(u16, Value), remaining: i64, required: i64) {
    let (status, body) = answer;
    assert_eq!(*status, 402, "{body}");
    assert_eq!(body["code"], "insufficient_credits");
    assert_eq!(body["remaining"], remaining);
    assert_eq!(body["required"], required);
    assert_eq!(body["upgradeUrl"], "https://example.com/more");
    let sentence = format!("Not enough credits: {remaining} left, {required} needed.");
    assert_eq!(body["reason"], sentence);
    assert_eq!(body["error"], sentence);
    assert!(body["requestId"].is_string());
}

#[tokio::test]
async fn an_enqueue_without_credit_is_answered_with_402_and_with_what_is_missing() {
    let (stage, server) = served(5).await;
    let body = json!({"prompt": "a lake", "numImages": 4});

    let (status, _) = server.post("/api/generations", SEVEN, body.clone()).await;
    assert_eq!(status, 202);
    let refused = server.post("/api/generations", SEVEN, body).await;

    assert_lack(&refused, 1, 4);
    assert_eq!(
        server.get("/api/credits", SEVEN).await,
        (200, json!({"remaining": 1, "reserved": 4}))
    );
    let jobs = "SELECT count(*) FROM photo_generation_queue";
    assert_eq!(stage.number(jobs).await, 1);
}

#[tokio::test]
async fn a_batch_is_paid_for_as_a_whole_or_not_made() {
    let (stage, server) = served(5).await;
    let batch =
        |jobs: usize| json!({"jobs": vec![json!({"prompt": "a lake", "numImages": 2}); jobs]});

    let refused = server.post("/api/batches", SEVEN, batch(3)).await;
    assert_eq!(refused.0, 402, "{refused:?}");
    assert_eq!(refused.1["code"], "insufficient_credits");
    let made = "SELECT (SELECT count(*) FROM photo_generation_queue)
                     + (SELECT count(*) FROM photo_generation_batches)";
    assert_eq!(stage.number(made).await, 0);
    let (status, _) = server.post("/api/batches", SEVEN, batch(2)).await;

    assert_eq!(status, 202);
    assert_eq!(
        stage.book("team:7").await,
        "left 1 reserved 4 captured 0 refunded 0"
    );
}

#[tokio::test]
async fn a_retry_costs_what_the_job_did() {
    let (stage, server) = served(4).await;
    let (_, accepted) = server
        .post(
            "/api/generations",
            SEVEN,
            json!({"prompt": "a lake", "numImages": 3}),
        )
        .await;
    let retry = format!(
        "/api/generations/{}/retry",
        accepted["jobId"].as_str().unwrap()
    );
    stage
        .sql("UPDATE photo_generation_queue SET status = 'failed'")
        .await;
    stage.grant("team:7", -2).await;

    let refused = server.post(&retry, SEVEN, json!({})).await;
    assert_lack(&refused, 2, 3);
    stage.grant("team:7", 1).await;
    let (status, _) = server.post(&retry, SEVEN, json!({})).await;

    assert_eq!(status, 201);
    assert_eq!(
        stage.book("team:7").await,
        "left 0 reserved 3 captured 0 refunded 3"
    );
}

#[tokio::test]
async fn credits_are_those_of_the_caller_or_of_whom_a_service_key_names() {
    let (stage, server) = served(5).await;
    stage.grant("user:7", 2).await;
    stage.grant("none", 1).await;
    let check = async |query: &str, key: &str, wanted: i64| {
        let answer = server.get(&format!("/api/credits{query}"), key).await;
        assert_eq!(
            answer,
            (200, json!({"remaining": wanted, "reserved": 0})),
            "{query}"
        );
    };

    check("", SEVEN, 5).await;
    check("?teamId=7", SEVEN, 5).await;
    check("", SERVICE, 1).await;
    check("?teamId=7", SERVICE, 5).await;
    check("?userId=7", SERVICE, 2).await;
    check("?userId=8", SERVICE, 0).await;
    let (status, _) = server.get("/api/credits?userId=7", SEVEN).await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn an_operator_grants_takes_back_and_looks() {
    let stage = Stage::new().await;
    let run = async |arguments: &[&str]| stage.safelight(arguments).await;

    let set = run(&["migrate", "--credits", "ledger"]).await;
    assert!(
        set.stdout
            .ends_with("CREDITS is ledger for the whole fleet.\n"),
        "{set:?}"
    );
    let none = run(&["credits"]).await;
    assert_eq!((none.code, none.stdout.as_str()), (0, ""));
    assert!(
        none.stderr.contains("safelight credits grant --help"),
        "{none:?}"
    );

    let granted = run(&["credits", "grant", "user:7", "10", "--reason", "order 81"]).await;
    assert_eq!(granted.stdout, "user:7 has 10 credits.\n", "{granted:?}");
    let taken = run(&["credits", "grant", "user:7", "-3", "--json"]).await;
    assert_eq!(taken.json(), json!({"tenant": "user:7", "remaining": 7}));
    let too_many = run(&["credits", "grant", "user:7", "-8"]).await;
    assert_eq!(too_many.code, 1);
    assert!(
        too_many
            .stderr
            .contains("user:7 has 7 credits left, so 8 cannot be taken back"),
        "{too_many:?}"
    );
    let reason = "SELECT reason FROM photo_generation_credit_entries WHERE amount = 10";
    assert_eq!(stage.text(reason).await, "order 81");

    let enqueued = run(&["enqueue", "a lake", "--images", "5", "--user", "7"]).await;
    assert_eq!(enqueued.code, 0, "{enqueued:?}");
    let refused = run(&["enqueue", "a lake", "--images", "3", "--user", "7"]).await;
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains(
            "Not enough credits: 2 left, 3 needed. To give more: safelight credits grant"
        ),
        "{refused:?}"
    );
    stage
        .sql("UPDATE photo_generation_queue SET status = 'failed'; SELECT photo_generation_grant_credits('user:7', -3)")
        .await;
    let retried = run(&["retry", "1"]).await;
    assert_eq!(retried.code, 1);
    assert!(
        retried
            .stderr
            .contains("Not enough credits: 4 left, 5 needed."),
        "{retried:?}"
    );

    let shown = run(&["credits", "user:7"]).await;
    let lines: Vec<_> = shown.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "TENANT  REMAINING  RESERVED  CAPTURED  REFUNDED",
            "user:7          4         0         0         5",
        ]
    );
    let all = run(&["credits", "--json"]).await;
    assert_eq!(
        all.json(),
        json!([{"tenant": "user:7", "remaining": 4, "reserved": 0, "captured": 0, "refunded": 5}])
    );
    for wrong in [&["credits", "7"][..], &["credits", "grant", "seven", "3"]] {
        assert_eq!(run(wrong).await.code, 2);
    }
    let wrong = run(&["migrate", "--credits-refund-function", "a; b"]).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
}
