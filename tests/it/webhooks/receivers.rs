//! Receivers that are away, slow, moved, or where they should not be.

use std::collections::BTreeSet;

use crate::harness::{Receiver, Reply, Stage};

/// So many messages to one host are begun at a time, and as many again before the first have ended.
const TO_A_HOST: usize = 4;

/// Waits until the one message stands so, and says how.
async fn until_tried(stage: &Stage) -> String {
    stage
        .until("SELECT bool_and(error IS NOT NULL) FROM photo_generation_webhooks")
        .await;
    stage.messages().await
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone() {
    let stage = Stage::new().await;
    let receiver = Receiver::that(|_| Reply::Status(410)).await;
    let worker = stage.worker_that_tells(&[&receiver], |_| {}).await;

    stage.job_that_tells("a lake", &receiver.url()).await;

    assert_eq!(
        until_tried(&stage).await,
        "job.completed tries 1 410 given up The receiver answered 410: it wants no messages any more."
    );
    assert_eq!(receiver.got().len(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_not_followed() {
    let stage = Stage::new().await;
    let receiver = Receiver::that(|_| Reply::Redirect).await;
    let worker = stage.worker_that_tells(&[&receiver], |_| {}).await;

    stage.job_that_tells("a lake", &receiver.url()).await;

    let told = until_tried(&stage).await;
    assert!(
        told.starts_with("job.completed tries 1 307 waits The receiver answered 307"),
        "{told}"
    );
    assert_eq!(receiver.got().len(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn after_the_tenth_try_in_vain_it_is_given_up() {
    let stage = Stage::new().await;
    let receiver = Receiver::that(|_| Reply::Status(503)).await;
    stage.job_that_tells("a lake", &receiver.url()).await;
    stage
        .sql(
            "UPDATE photo_generation_queue SET status = 'canceled';
             UPDATE photo_generation_webhooks SET tries = 9",
        )
        .await;

    let worker = stage.worker_that_tells(&[&receiver], |_| {}).await;

    assert_eq!(
        until_tried(&stage).await,
        "job.canceled tries 10 503 given up The receiver answered 503 Service Unavailable."
    );
    worker.stop().await;
}

#[tokio::test]
async fn machines_inside_are_not_reached_and_nothing_is_told_of_them() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let port = receiver.address.rsplit(':').next().unwrap();
    for url in [
        receiver.url(),
        format!("https://127.0.0.1:{port}/hook"),
        "https://169.254.169.254/latest/meta-data?key=s3cret".to_owned(),
        "https://[::ffff:10.0.0.1]/".to_owned(),
        "https://localhost/".to_owned(),
        "https://user:s3cret@a.example/".to_owned(),
        "no url".to_owned(),
    ] {
        stage.job_that_tells("a lake", &url).await;
    }
    // A name is only known to lead nowhere, or inside, when it is looked up: that may change.
    stage
        .job_that_tells("a lake", "https://does-not-exist.invalid/?key=s3cret")
        .await;

    let worker = stage.worker_that_tells(&[], |_| {}).await;
    let told = {
        stage
            .until(
                "SELECT count(*) = 8 AND bool_and(error IS NOT NULL) FROM photo_generation_webhooks",
            )
            .await;
        stage.messages().await
    };

    assert_eq!(told.matches("given up Its URL ").count(), 7, "{told}");
    let unreachable = "tries 1 waits The receiver could not be reached.";
    assert_eq!(told.matches(unreachable).count(), 1, "{told}");
    for secret in ["s3cret", "127.0", "169.254", "10.0", "invalid"] {
        assert!(!told.contains(secret), "{told}");
    }
    assert_eq!(receiver.got().len(), 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_slow_receiver_delays_neither_jobs_nor_other_receivers() {
    let stage = Stage::new().await;
    let slow = Receiver::that(|_| Reply::Never).await;
    let quick = Receiver::start().await;
    stage
        .sql(&format!(
            r#"INSERT INTO photo_generation_webhooks ("jobId", event, url, host, body, "tryAt")
               SELECT n, 'job.failed', '{}', '{}', '{{}}', now() - interval '1 hour'
               FROM generate_series(1, 500) AS n"#,
            slow.url(),
            slow.address
        ))
        .await;
    let worker = stage.worker_that_tells(&[&slow, &quick], |_| {}).await;
    slow.until(TO_A_HOST).await;

    for _ in 0..10 {
        stage.job_that_tells("a lake", &quick.url()).await;
    }
    quick.until(10).await;
    stage.until_all_ended().await;

    assert!(slow.got().len() < 2 * TO_A_HOST, "{}", slow.got().len());
    worker.kill();
}

#[tokio::test]
async fn two_workers_send_no_message_twice() {
    const MESSAGES: usize = 200;
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    stage
        .sql(&format!(
            r#"INSERT INTO photo_generation_webhooks ("jobId", event, url, host, body)
               SELECT n, 'job.failed', '{}', 'host-' || n % 20, '{{}}' FROM generate_series(1, {MESSAGES}) AS n"#,
            receiver.url()
        ))
        .await;

    let one = stage.worker_that_tells(&[&receiver], |_| {}).await;
    let other = stage.worker_that_tells(&[&receiver], |_| {}).await;
    stage
        .until_delivered(i64::try_from(MESSAGES).unwrap())
        .await;

    let got = receiver.got();
    let ids: BTreeSet<_> = got.iter().map(|one| &one.id).collect();
    assert_eq!((got.len(), ids.len()), (MESSAGES, MESSAGES));
    one.stop().await;
    other.stop().await;
}
