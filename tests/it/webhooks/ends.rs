//! Whoever ends a job tells, once for each end; and what is no end of a job tells nothing.

use serde_json::Value;

use crate::harness::{Receiver, Stage, WEBHOOK_SECRET};

#[tokio::test]
async fn whoever_ends_a_job_tells_the_app() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    // Not claimed: each is ended by another hand.
    stage
        .sql("INSERT INTO photo_generation_pauses (what, name) VALUES ('all', '')")
        .await;
    let url = receiver.url();
    let by_hand = stage.job_that_tells("a lake", &url).await;
    let by_command = stage.job_that_tells("a wood", &url).await;
    let by_time = stage.job_that_tells("a hill", &url).await;
    let by_http = stage.job_that_tells("a bay", &url).await;
    let worker = stage.worker_that_tells(&[&receiver], |_| {}).await;

    stage
        .sql(&format!(
            r#"UPDATE photo_generation_queue SET status = 'canceled' WHERE id = {by_hand};
               UPDATE photo_generation_queue SET "expiresAt" = now() WHERE id = {by_time}"#
        ))
        .await;
    let canceled = stage.safelight(&["cancel", &by_command.to_string()]).await;
    assert_eq!(canceled.code, 0, "{canceled:?}");
    let server = stage.serve(&["--api-keys=*:key-of-the-service"]).await;
    let path = format!("/api/generations/{by_http}/cancel");
    assert_eq!(
        server
            .post(&path, "key-of-the-service", Value::Null)
            .await
            .0,
        200
    );
    let told = receiver.until(4).await;

    let mut told: Vec<_> = told
        .iter()
        .map(|one| {
            (
                one.json()["data"]["id"].as_i64().unwrap(),
                one.json()["type"].clone(),
            )
        })
        .collect();
    told.sort_unstable_by_key(|(job, _)| *job);
    assert_eq!(
        told,
        [
            (by_hand, "job.canceled".into()),
            (by_command, "job.canceled".into()),
            (by_time, "job.failed".into()),
            (by_http, "job.canceled".into()),
        ]
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_ends_again_tells_again_under_another_id() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let worker = stage.worker_that_tells(&[&receiver], |_| {}).await;
    let job = stage
        .job_that_tells("a lake [sim:400@1] [sim:400@2]", &receiver.url())
        .await;
    receiver.until(1).await;
    assert_eq!(stage.status(job).await, "failed");

    stage
        .sql("UPDATE photo_generation_queue SET status = 'pending'")
        .await;
    let told = receiver.until(2).await;

    assert_eq!(told[0].json()["type"], "job.failed");
    assert_eq!(told[1].json()["type"], "job.completed");
    assert_ne!(told[0].id, told[1].id);
    worker.stop().await;
}

#[tokio::test]
async fn what_is_no_end_of_a_job_with_a_webhook_tells_nothing() {
    let stage = Stage::new().await;
    let told = "SELECT count(*) FROM photo_generation_webhooks";
    let check = async |sql: &str, expected: i64| {
        stage.sql(sql).await;
        assert_eq!(stage.number(told).await, expected, "{sql}");
    };

    check(
        r#"INSERT INTO photo_generation_queue (id, "webhookUrl", status)
           VALUES (101, NULL, 'pending'), (102, '', 'pending'), (103, 'https://a.example/', 'pending'),
                  (104, 'https://a.example/', 'pending'), (105, 'https://a.example/', 'completed')"#,
        0,
    )
    .await;
    check(
        "UPDATE photo_generation_queue SET status = 'canceled' WHERE id IN (101, 102)",
        0,
    )
    .await;
    check(
        r#"UPDATE photo_generation_queue SET status = 'processing', "lockedBy" = 'x' WHERE id = 103;
           UPDATE photo_generation_queue SET status = 'rate_limited' WHERE id = 103;
           UPDATE photo_generation_queue SET status = 'pending' WHERE id = 103;
           DELETE FROM photo_generation_queue WHERE id = 103"#,
        0,
    )
    .await;
    check(
        "UPDATE photo_generation_queue SET status = 'failed' WHERE id = 104",
        1,
    )
    .await;
    check(
        r#"UPDATE photo_generation_queue SET status = 'failed', "errorMessage" = 'x' WHERE id = 104"#,
        1,
    )
    .await;
    // What is told outlives the job.
    check("DELETE FROM photo_generation_queue WHERE id = 104", 1).await;
}

/// A rolled back end was none.
#[tokio::test]
async fn an_end_that_is_taken_back_tells_nothing() {
    let stage = Stage::new().await;
    stage.job_that_tells("a lake", "https://a.example/").await;

    stage
        .sql("BEGIN; UPDATE photo_generation_queue SET status = 'canceled'; ROLLBACK")
        .await;

    let told = "SELECT count(*) FROM photo_generation_webhooks";
    assert_eq!(stage.number(told).await, 0);
}

#[tokio::test]
async fn no_message_is_larger_than_20_kb_and_none_keeps_a_job_from_its_end() {
    let stage = Stage::new().await;
    let job = r#"INSERT INTO photo_generation_queue (id, "webhookUrl", metadata) "#;
    stage
        .sql(&format!(
            r#"{job} VALUES (1, 'https://a.example/', jsonb_build_object('long', repeat('x', 30000)));
               {job} VALUES (2, 'https://a.example/', '{{"order": 81}}');
               {job} VALUES (3, 'https://' || repeat('a', 9000), NULL);
               INSERT INTO photo_generation_images ("jobId", index, state, error)
               SELECT 2, n, 'failed', repeat('y', 1000) FROM generate_series(1, 100) AS n;
               UPDATE photo_generation_queue SET status = 'failed', "errorMessage" = repeat('z', 50000)"#
        ))
        .await;

    let largest = "SELECT max(octet_length(body)) FROM photo_generation_webhooks";
    assert!(stage.number(largest).await < 20_000);
    let told = |job: i64| {
        format!(
            r#"SELECT concat_ws(' ', body::jsonb #>> '{{data,status}}', body::jsonb ->> 'truncated',
                   jsonb_typeof(body::jsonb #> '{{data,metadata}}'), jsonb_typeof(body::jsonb #> '{{data,images}}'))
               FROM photo_generation_webhooks WHERE "jobId" = {job}"#
        )
    };
    assert_eq!(stage.text(&told(1)).await, "failed true null array");
    assert_eq!(stage.text(&told(2)).await, "failed true null null");
    assert_eq!(stage.text(&told(3)).await, "failed null array");
}

#[tokio::test]
async fn what_a_column_of_the_apps_own_cannot_say_is_left_out() {
    let stage = Stage::new().await;
    // JSON that no jsonb holds.
    stage
        .sql(
            r#"ALTER TABLE photo_generation_queue ALTER metadata TYPE json;
               INSERT INTO photo_generation_queue (id, "webhookUrl", metadata)
               VALUES (1, 'https://a.example/', '"\u0000"');
               UPDATE photo_generation_queue SET status = 'canceled'"#,
        )
        .await;

    let told = "SELECT concat_ws(' ', body::jsonb #>> '{data,status}', body::jsonb ->> 'truncated')
                FROM photo_generation_webhooks";
    assert_eq!(stage.text(told).await, "canceled true");
}

#[tokio::test]
async fn messages_wait_for_a_worker_that_can_sign_them() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let without = stage.process(&["--image-fetch-allow", &receiver.address]);

    stage.job_that_tells("a lake", &receiver.url()).await;
    stage.job_that_tells("a wood", &receiver.url()).await;
    stage.until_all_ended().await;
    without.said("set WEBHOOK_SECRET").await;

    assert_eq!(
        stage.messages().await,
        "job.completed tries 0 waits; job.completed tries 0 waits"
    );
    let complaints = without.log();
    let complaints = complaints
        .iter()
        .filter(|line| line.contains("WEBHOOK_SECRET"));
    assert_eq!(complaints.count(), 1);
    let with = stage.process(&[
        "--image-fetch-allow",
        &receiver.address,
        "--webhook-secret",
        WEBHOOK_SECRET,
    ]);
    receiver.until(2).await;
    stage.until_delivered(2).await;
    with.said("webhook delivered").await;
    // What a URL holds besides the host may be a secret.
    with.said_nothing_of("s3cret");
    with.said_nothing_of("whsec_");
}
