//! Workers that live: what their jobs cost.

use safelight::worker::Rhythm;

use super::ledger;

#[tokio::test]
async fn each_stored_image_is_captured_and_each_refused_one_comes_back() {
    let stage = ledger(&[("user:7", 20)]).await;
    let whole = stage.job("a lake", 3).await;
    let part = stage.job("a hill [sim:safety@2]", 3).await;
    let none = stage.job("a wood [sim:400]", 2).await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "userId", "numImagesPerExample", "aspectRatio")
               VALUES ('a road', '7', 2, '7:5')"#,
        )
        .await;

    stage.drain().await;

    assert_eq!(
        stage.settled(whole).await,
        "1 capture, 2 capture, 3 capture"
    );
    let refunds = |of: &str| of.matches("refund").count();
    assert_eq!(refunds(&stage.settled(part).await), 1);
    assert!(stage.settled(part).await.contains("refund moderation"));
    assert_eq!(refunds(&stage.settled(none).await), 2);
    let unworkable =
        "SELECT count(*) FROM photo_generation_credit_entries WHERE reason = 'invalid_request'";
    assert_eq!(stage.number(unworkable).await, 2);
    assert_eq!(
        stage.book("user:7").await,
        "left 15 reserved 0 captured 5 refunded 5"
    );
}

#[tokio::test]
async fn while_a_job_runs_what_is_stored_is_captured_and_an_attempt_that_fails_changes_nothing() {
    let stage = ledger(&[("user:7", 5)]).await;
    // What is aborted is settled after its deadline.
    let worker = stage
        .worker_with(|settings| settings.call_timeout = std::time::Duration::from_secs(4))
        .await;
    let job = stage.job("a lake [sim:500@1] [sim:hang@3]", 2).await;

    stage
        .until("SELECT attempts = 1 AND status = 'pending' FROM photo_generation_queue")
        .await;
    let book = stage.book("user:7").await;
    assert!(
        [
            "left 3 reserved 1 captured 1 refunded 0",
            "left 3 reserved 2 captured 0 refunded 0"
        ]
        .contains(&book.as_str()),
        "{book}"
    );
    stage
        .sql(r#"UPDATE photo_generation_queue SET "retryAt" = now()"#)
        .await;
    stage.until_called(|log| log.len() == 3).await;
    stage.set_status(job, "canceled").await;
    stage
        .until("SELECT NOT EXISTS (SELECT FROM photo_generation_credit_reservations)")
        .await;

    assert_eq!(
        stage.book("user:7").await,
        "left 4 reserved 0 captured 1 refunded 1"
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_picture_that_is_stored_after_its_job_was_canceled_is_paid_for() {
    let stage = ledger(&[("user:7", 5)]).await;
    // Blind to the cancel until its answer is in storage.
    let worker = stage
        .worker_with(|settings| {
            settings.rhythm = Rhythm {
                watch_every: std::time::Duration::from_mins(10),
                renew_every: std::time::Duration::from_mins(10),
                stale_after: std::time::Duration::from_mins(30),
                ..settings.rhythm
            };
        })
        .await;
    let job = stage.job("a lake [sim:slow=1s]", 1).await;
    stage.until_called(|log| log.len() == 1).await;
    stage.set_status(job, "canceled").await;
    assert_eq!(
        stage.book("user:7").await,
        "left 4 reserved 1 captured 0 refunded 0"
    );
    stage
        .until_called(|log| log[0].answered_at_ms.is_some())
        .await;
    worker.stop().await;

    let sweeper = stage.worker().await;
    stage
        .until("SELECT NOT EXISTS (SELECT FROM photo_generation_calls WHERE state = 'calling')")
        .await;

    assert_eq!(stage.settled(job).await, "1 capture");
    assert_eq!(
        stage.book("user:7").await,
        "left 4 reserved 0 captured 1 refunded 0"
    );
    sweeper.stop().await;
}

#[tokio::test]
async fn a_job_that_expires_while_it_waits_gives_everything_back() {
    let stage = ledger(&[("user:7", 5)]).await;
    let job = stage.job("a lake", 3).await;
    stage
        .sql(r#"UPDATE photo_generation_queue SET "expiresAt" = now() - interval '1 s'"#)
        .await;

    let worker = stage.worker().await;
    stage.until_all_ended().await;
    worker.stop().await;

    assert_eq!(
        stage.settled(job).await,
        "1 refund expired, 2 refund expired, 3 refund expired"
    );
    assert_eq!(
        stage.book("user:7").await,
        "left 5 reserved 0 captured 0 refunded 3"
    );
}
