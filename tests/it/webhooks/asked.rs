//! The ways in which a job asks for a webhook, and who may learn what became of it.

use serde_json::{Value, json};

use crate::harness::{Receiver, Stage, WEBHOOK_SECRET};

const URL: &str = "https://a.example/hook?key=1";
const KEY: &str = "key-of-the-service";
const OF_JOBS: &str =
    r#"SELECT string_agg("webhookUrl", ' ' ORDER BY id) FROM photo_generation_queue"#;

#[tokio::test]
async fn http_takes_a_url_where_a_secret_is_set_and_retries_take_it_along() {
    let stage = Stage::new().await;
    let signs = [
        "--api-keys=*:key-of-the-service",
        "--webhook-secret",
        WEBHOOK_SECRET,
    ];
    let (with, without) = (stage.serve(&signs).await, stage.serve(&signs[..1]).await);
    let body = |url: &str| json!({"prompt": "a lake", "webhookUrl": url});

    let (status, answer) = without.post("/api/generations", KEY, body(URL)).await;
    assert_eq!(
        (status, &answer["code"]),
        (400, &json!("webhooks_unavailable"))
    );
    for url in ["mailto:me@a.example", "https://u:p@a.example/", "hook"] {
        let (status, answer) = with.post("/api/generations", KEY, body(url)).await;
        assert_eq!(
            (status, &answer["code"]),
            (400, &json!("invalid_request")),
            "{url}"
        );
    }
    let (status, _) = with.post("/api/generations", KEY, body(URL)).await;
    assert_eq!(status, 202);
    let tryon = json!({
        "personImage": "https://a.example/me.png", "garmentImages": ["https://a.example/coat.png"],
        "webhookUrl": URL,
    });
    let (status, answer) = without.post("/api/tryon", KEY, tryon.clone()).await;
    assert_eq!(
        (status, &answer["code"]),
        (400, &json!("webhooks_unavailable"))
    );
    let (status, _) = with.post("/api/tryon", KEY, tryon).await;
    assert_eq!(status, 202);
    stage
        .sql("UPDATE photo_generation_queue SET status = 'canceled'")
        .await;
    let (status, _) = with
        .post("/api/generations/1/retry", KEY, Value::Null)
        .await;
    assert_eq!(status, 201);

    assert_eq!(stage.text(OF_JOBS).await, format!("{URL} {URL} {URL}"));
}

#[tokio::test]
async fn the_command_takes_a_url_and_a_key_stands_for_it_too() {
    let stage = Stage::new().await;
    let enqueue = async |url: &str| {
        let arguments = [
            "enqueue",
            "a lake",
            "--idempotency-key",
            "one",
            "--webhook-url",
            url,
        ];
        stage.safelight(&arguments).await
    };

    assert_eq!(enqueue("a.example").await.code, 2);
    assert_eq!(enqueue(URL).await.code, 0);
    assert_eq!(enqueue(URL).await.code, 0);
    let other = enqueue("https://b.example/").await;

    assert_eq!(other.code, 1);
    assert!(
        other.stderr.contains("asks for something else"),
        "{other:?}"
    );
    assert_eq!(stage.text(OF_JOBS).await, URL);
}

#[tokio::test]
async fn show_tells_what_became_of_the_message() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let job = stage.job_that_tells("a lake", &receiver.url()).await;
    stage
        .sql("UPDATE photo_generation_queue SET status = 'canceled'")
        .await;
    let show = async || stage.safelight(&["show", &job.to_string()]).await.stdout;

    let waits = show().await;
    stage
        .sql(
            r#"UPDATE photo_generation_webhooks
               SET tries = 2, "triedAt" = now(), "tryAt" = now() + interval '5 minutes',
                   error = 'The receiver answered 500.'"#,
        )
        .await;
    let fails = show().await;
    let doctor = stage.safelight(&["doctor"]).await.stdout;
    stage.send_again().await;
    let worker = stage.worker_that_tells(&[&receiver], |_| {}).await;
    stage.until_delivered(1).await;
    let delivered = show().await;

    let host = &receiver.address;
    for (story, expected) in [
        (
            waits,
            format!("webhook job.canceled to {host} waits to be sent"),
        ),
        (
            fails,
            format!("webhook job.canceled to {host}, try 2 (next in "),
        ),
        (
            delivered,
            format!("webhook job.canceled delivered to {host}, try 3"),
        ),
    ] {
        assert!(story.contains(&expected), "{expected} in {story}");
        assert!(!story.contains("s3cret"), "{story}");
    }
    assert!(
        doctor.contains("not delivered: 1 message, and WEBHOOK_SECRET is not set here"),
        "{doctor}"
    );
    let told = stage
        .safelight(&["doctor", "--webhook-secret", WEBHOOK_SECRET])
        .await
        .stdout;
    assert!(told.contains("every message is delivered"), "{told}");
    worker.stop().await;
}
