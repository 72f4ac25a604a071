//! Many jobs at once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Stage, answer};

const KEYS: &str = "--api-keys=7:key-of-team-seven,8:key-of-team-eight,*:key-of-the-service";
const SEVEN: &str = "key-of-team-seven";

#[tokio::test]
async fn a_batch_is_made_whole_and_looked_at() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let jobs: Vec<Value> = (0..3)
        .map(|n| json!({"prompt": format!("lake {n}"), "numImages": 2}))
        .collect();

    let body = json!({"jobs": jobs, "metadata": {"order": 1}});
    let (status, accepted) = server.post("/api/batches", SEVEN, body).await;

    assert_eq!(status, 202, "{accepted}");
    assert_eq!(
        (&accepted["success"], &accepted["jobsEnqueued"]),
        (&json!(true), &json!(3))
    );
    let path = accepted["pollUrl"].as_str().unwrap();
    let (_, batch) = server.get(path, SEVEN).await;
    assert_eq!(
        (&batch["status"], &batch["jobsTotal"]),
        (&json!("generating"), &json!(3))
    );
    assert_eq!(batch["jobs"][0]["prompt"], "lake 0");
    assert_eq!(batch["zipUrl"], Value::Null);
    stage.drain().await;
    let (_, batch) = server.get(path, SEVEN).await;
    assert_eq!(batch["status"], "completed");
    assert_eq!(batch["progress"]["percent"], 100);
    assert_eq!(batch["metadata"], json!({"order": 1}));
    assert!(batch["zipUrl"].is_string());
    // For another team there is none, neither to look at nor to add to.
    let (status, _) = server.get(path, "key-of-team-eight").await;
    assert_eq!(status, 404);
    let into = json!({"prompt": "a sea", "batchId": accepted["batchId"]});
    let (status, refused) = server
        .post("/api/generations", "key-of-team-eight", into.clone())
        .await;
    assert_eq!(status, 400, "{refused}");
    let (status, _) = server.post("/api/generations", SEVEN, into).await;
    assert_eq!(status, 202);
}

#[tokio::test]
async fn one_bad_job_makes_no_batch_and_a_key_makes_one() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let bad = json!({"jobs": [{"prompt": "a lake"}, {"prompt": "a lake", "aspectRatio": "7:1"}]});
    let (status, refused) = server.post("/api/batches", SEVEN, bad).await;
    assert_eq!(status, 400);
    assert!(
        refused["error"].as_str().unwrap().starts_with("Job 2: "),
        "{refused}"
    );
    let (status, _) = server
        .post("/api/batches", SEVEN, json!({"jobs": []}))
        .await;
    assert_eq!(status, 400);

    let send = |body: Value| {
        let request = server
            .request(Method::POST, "/api/batches")
            .bearer_auth(SEVEN);
        answer(request.header("idempotency-key", "k").json(&body))
    };
    let good = json!({"jobs": [{"prompt": "a lake"}, {"prompt": "a sea"}]});
    let at_once = futures_util::future::join_all((0..8).map(|_| send(good.clone()))).await;

    for (status, answer) in &at_once {
        assert_eq!(*status, 202, "{answer}");
        assert_eq!(answer["batchId"], at_once[0].1["batchId"]);
        assert_eq!(answer["jobs"][1]["jobId"], at_once[0].1["jobs"][1]["jobId"]);
    }
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_queue")
            .await,
        2
    );
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_batches")
            .await,
        1
    );
    let (status, other) = send(json!({"jobs": [{"prompt": "a hill"}]})).await;
    assert_eq!(
        (status, &other["code"]),
        (409, &json!("idempotency_key_reused"))
    );
}
