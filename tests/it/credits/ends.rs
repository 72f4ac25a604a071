//! How a job's credits end: captured image by image, and back for what was not made, whoever ends it.

use super::ledger;
use crate::harness::Stage;

/// A job of four images that waits, of a customer with ten credits.
async fn of_four() -> (Stage, i64) {
    let stage = ledger(&[("user:7", 10)]).await;
    let job = stage.job("a lake", 4).await;
    (stage, job)
}

/// One image is stored, one refused, one planned and one not even that; then somebody does this.
async fn check(deed: &str, wanted: &str) {
    let (stage, job) = of_four().await;
    stage.set_status(job, "processing").await;
    stage.image(job, 1, "stored").await;
    stage.image(job, 2, "refused").await;
    stage
        .sql(r#"UPDATE photo_generation_images SET "errorCode" = 'moderation_output' WHERE index = 2"#)
        .await;
    stage.image(job, 3, "planned").await;

    stage.sql(&deed.replace("$job", &job.to_string())).await;

    assert_eq!(stage.settled(job).await, wanted, "{deed}");
    assert_eq!(
        stage.book("user:7").await,
        "left 9 reserved 0 captured 1 refunded 3",
        "{deed}"
    );
}

#[tokio::test]
async fn whoever_ends_a_job_gives_back_what_was_not_made_once() {
    let ended = |how: &str| format!("UPDATE photo_generation_queue SET {how} WHERE id = $job");

    check(
        &ended("status = 'completed'"),
        "1 capture, 2 refund moderation_output, 3 refund not_made, 4 refund not_made",
    )
    .await;
    check(
        &ended(r#"status = 'failed', "errorCode" = 'expired'"#),
        "1 capture, 2 refund moderation_output, 3 refund expired, 4 refund expired",
    )
    .await;
    check(
        &ended("status = 'canceled'"),
        "1 capture, 2 refund moderation_output, 3 refund canceled, 4 refund canceled",
    )
    .await;
    check(
        "DELETE FROM photo_generation_queue WHERE id = $job",
        "1 capture, 2 refund deleted, 3 refund deleted, 4 refund deleted",
    )
    .await;
    // From one end to another, and away.
    check(
        &format!(
            "{}; {}; DELETE FROM photo_generation_queue",
            ended("status = 'canceled'"),
            ended("status = 'failed'")
        ),
        "1 capture, 2 refund moderation_output, 3 refund canceled, 4 refund canceled",
    )
    .await;
}

#[tokio::test]
async fn a_job_that_waits_gives_everything_back() {
    let (stage, job) = of_four().await;

    stage.set_status(job, "canceled").await;

    assert_eq!(
        stage.book("user:7").await,
        "left 10 reserved 0 captured 0 refunded 4"
    );
}

#[tokio::test]
async fn a_batch_that_is_deleted_takes_its_jobs_with_it_and_their_credits_come_back() {
    let stage = ledger(&[("user:7", 10)]).await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_batches (id) VALUES (5);
               INSERT INTO photo_generation_queue ("basePrompt", "userId", "batchId", "numImagesPerExample")
               VALUES ('a', '7', 5, 2), ('b', '7', 5, 3);"#,
        )
        .await;
    stage
        .sql("DELETE FROM photo_generation_batches WHERE id = 5")
        .await;

    assert_eq!(
        stage.book("user:7").await,
        "left 10 reserved 0 captured 0 refunded 5"
    );
}

/// Canceled while one of its images is being called, and then that call ends.
async fn called_late(state: &str, more: &str) -> (Stage, i64) {
    let (stage, job) = of_four().await;
    stage.set_status(job, "processing").await;
    stage.image(job, 1, "calling").await;
    stage.set_status(job, "canceled").await;
    assert_eq!(
        stage.book("user:7").await,
        "left 9 reserved 1 captured 0 refunded 3"
    );

    stage.sql(more).await;
    stage.image(job, 1, state).await;

    (stage, job)
}

#[tokio::test]
async fn an_image_that_is_called_when_its_job_ends_is_settled_by_the_end_of_the_call() {
    let (stage, job) = called_late("stored", "").await;
    assert!(
        stage
            .settled(job)
            .await
            .starts_with("1 capture, 2 refund canceled")
    );
    assert_eq!(
        stage.book("user:7").await,
        "left 9 reserved 0 captured 1 refunded 3"
    );

    let (stage, job) = called_late("ambiguous", "").await;
    assert!(
        stage
            .settled(job)
            .await
            .starts_with("1 refund canceled, 2 refund")
    );
    assert_eq!(
        stage.book("user:7").await,
        "left 10 reserved 0 captured 0 refunded 4"
    );
}

#[tokio::test]
async fn a_deleted_job_waits_for_no_call() {
    let (stage, job) = of_four().await;
    stage.set_status(job, "processing").await;
    stage.image(job, 1, "calling").await;

    stage.sql("DELETE FROM photo_generation_queue").await;

    assert!(stage.settled(job).await.starts_with("1 refund deleted"));
    assert_eq!(
        stage.book("user:7").await,
        "left 10 reserved 0 captured 0 refunded 4"
    );
}

#[tokio::test]
async fn fewer_images_than_reserved_come_back_and_more_cost_nothing() {
    let stage = ledger(&[("user:7", 10)]).await;
    let (fewer, more) = (stage.job("a lake", 3).await, stage.job("a hill", 1).await);
    stage
        .sql(r#"UPDATE photo_generation_queue SET "numImagesPerExample" = 2"#)
        .await;

    for job in [fewer, more] {
        for index in [1, 2] {
            stage.image(job, index, "stored").await;
        }
        stage.set_status(job, "completed").await;
    }

    assert_eq!(
        stage.settled(fewer).await,
        "1 capture, 2 capture, 3 refund not_made"
    );
    assert_eq!(stage.settled(more).await, "1 capture");
    assert_eq!(
        stage.book("user:7").await,
        "left 7 reserved 0 captured 3 refunded 1"
    );
}

#[tokio::test]
async fn an_open_transaction_of_an_app_that_holds_the_account_stalls_no_end() {
    let (stage, job) = of_four().await;
    let canceled = stage.job("a hill", 2).await;
    let mut app = stage.pool.begin().await.unwrap();
    sqlx::raw_sql(
        r#"INSERT INTO photo_generation_queue ("basePrompt", "userId", "numImagesPerExample") VALUES ('a', '7', 1)"#,
    )
    .execute(&mut *app)
    .await
    .unwrap();

    // It would wait for the lock, and be refused.
    let held = stage
        .refusal_of(
            "SET LOCAL lock_timeout = '100ms'; SELECT FROM photo_generation_credits FOR UPDATE",
        )
        .await;
    assert_eq!(held[0], "55P03");
    for deed in [
        format!("UPDATE photo_generation_queue SET status = 'canceled' WHERE id = {canceled}"),
        format!("UPDATE photo_generation_queue SET status = 'processing' WHERE id = {job}"),
    ] {
        stage
            .sql(&format!("SET LOCAL lock_timeout = '100ms'; {deed}"))
            .await;
    }
    stage.image(job, 1, "stored").await;
    stage
        .sql(&format!(
            "SET LOCAL lock_timeout = '100ms';
             UPDATE photo_generation_queue SET status = 'completed' WHERE id = {job}"
        ))
        .await;
    app.commit().await.unwrap();

    assert_eq!(
        stage.book("user:7").await,
        "left 8 reserved 1 captured 1 refunded 5"
    );
}
