//! By hand, while workers live: a finished row set back to pending, a running one canceled or
//! deleted. What was bought stays, and is not bought again.

use std::time::{Duration, Instant};

use safelight::worker::Rhythm;

use super::{Stage, soon};
use crate::harness::count;

const AGAIN: &str = "UPDATE photo_generation_queue SET status = 'pending' WHERE id = ";

#[tokio::test]
async fn a_row_with_all_images_stored_is_completed_again_without_a_call() {
    let stage = Stage::new().await;
    let job = stage.job("a lake", 2).await;
    stage.drain().await;
    let urls = r#"SELECT "imageUrls" FROM photo_generation_queue"#;
    let bought = stage.text(urls).await;

    stage.sql(&format!("{AGAIN}{job}")).await;
    assert_eq!(stage.job_in_short(job).await, "pending 0");
    stage.drain().await;

    assert_eq!(stage.job_in_short(job).await, "completed 0");
    assert_eq!(stage.text(urls).await, bought);
    assert_eq!(stage.simulator.log().len(), 2);
    stage.assert_photos().await;
}

#[tokio::test]
async fn a_row_done_again_buys_only_the_images_that_it_lacks() {
    let stage = Stage::new().await;
    let partial = stage.job("a lake [sim:safety@2]", 3).await;
    let failed = stage.job("a hill [sim:400@1]", 1).await;
    stage.drain().await;
    let keys = format!(
        r#"SELECT string_agg(index || "storageKey", ' ' ORDER BY index)
           FROM photo_generation_images WHERE "jobId" = {partial} AND "storedAt" < "#
    );
    let now = stage.text("SELECT now()").await;
    let bought = stage.text(&format!("{keys}'{now}'")).await;
    assert_eq!(
        stage.job_in_short(failed).await,
        "failed 0 provider_rejected"
    );

    for job in [partial, failed] {
        stage.sql(&format!("{AGAIN}{job}")).await;
        assert_eq!(stage.job_in_short(job).await, "pending 0");
    }
    stage.drain().await;

    assert_eq!(stage.images_in_short(partial).await, "stored stored stored");
    assert_eq!(stage.text(&format!("{keys}'{now}'")).await, bought);
    assert_eq!(
        stage.calls_in_short(partial).await,
        "refused:true stored:true stored:true stored:true"
    );
    assert_eq!(
        stage.calls_in_short(failed).await,
        "error:false stored:true"
    );
    let unclean = r#"SELECT count(*) FROM photo_generation_queue
        WHERE "errorMessage" IS NOT NULL OR "errorCode" IS NOT NULL OR "retryAt" IS NOT NULL
           OR "lockedBy" IS NOT NULL OR "imagesCompleted" <> "imagesTotal" OR "completedAt" IS NULL"#;
    assert_eq!(stage.number(unclean).await, 0, "{}", stage.dump().await);
    stage.assert_photos().await;
    stage.assert_equation().await;
}

#[tokio::test]
async fn a_row_done_again_has_a_fresh_allowance_for_one_ambiguous_repeat() {
    let stage = Stage::new().await;
    let worker = stage.worker_with(soon).await;
    let job = stage.job("a lake [sim:reset]", 1).await;

    for calls in [2, 4] {
        stage.until_attempts(job, 1).await;
        stage.go_on(job).await;
        stage.until_status(job, "failed").await;
        assert_eq!(stage.images_in_short(job).await, "ambiguous");
        assert_eq!(stage.simulator.log().len(), calls);
        if calls == 2 {
            stage.sql(&format!("{AGAIN}{job}")).await;
        }
    }

    stage.assert_equation().await;
    worker.stop().await;
}

#[tokio::test]
async fn cancel_aborts_a_running_call_within_two_seconds_and_keeps_what_was_bought() {
    let stage = Stage::new().await;
    let worker = stage
        .worker_with(|settings| settings.rhythm = Rhythm::default())
        .await;
    let job = stage.job("a lake [sim:hang@3]", 3).await;
    stage.until_called(|log| log.len() == 3).await;
    stage
        .until(r#"SELECT "imagesCompleted" = 2 FROM photo_generation_queue"#)
        .await;

    let canceled_at = Instant::now();
    stage
        .sql("UPDATE photo_generation_queue SET status = 'canceled'")
        .await;
    stage
        .until_called(|log| log.iter().all(|call| call.ended_at_ms.is_some()))
        .await;

    assert!(canceled_at.elapsed() < Duration::from_secs(2));
    assert_eq!(stage.job_in_short(job).await, "canceled 0");
    stage
        .until("SELECT NOT EXISTS (SELECT FROM photo_generation_calls WHERE state = 'calling')")
        .await;
    assert_eq!(
        stage.calls_in_short(job).await,
        "ambiguous:? stored:true stored:true"
    );
    let kept = r#"SELECT concat_ws(' ', "imagesCompleted", jsonb_array_length("imageUrls"), "lockedBy", run) FROM photo_generation_queue"#;
    assert_eq!(stage.text(kept).await, "2 2");
    stage.assert_photos().await;
    worker.stop().await;
}

/// Long before the time is over that a call may take.
#[tokio::test]
async fn calls_that_were_broken_off_leave_their_places_to_others_at_once() {
    let stage = Stage::new().await;
    let worker = stage
        .worker_with(|settings| settings.call_timeout = Duration::from_mins(10))
        .await;
    for (hangs, end) in [
        (4, "UPDATE photo_generation_queue SET status = 'canceled'"),
        (8, "DELETE FROM photo_generation_queue"),
    ] {
        let job = stage.job("a lake [sim:hang]", 4).await;
        stage
            .until_called(|log| count(log, |call| call.prompt.contains("lake")) == hangs)
            .await;
        stage.sql(&format!("{end} WHERE id = {job}")).await;

        let other = stage.job("a hill", 4).await;
        stage.until_all_ended().await;

        assert_eq!(stage.status(other).await, "completed", "{end}");
        let lost = format!(
            r#"SELECT count(*) FROM photo_generation_calls
               WHERE "jobId" = {job} AND state = 'ambiguous' AND "errorCode" = 'abandoned'"#
        );
        assert_eq!(stage.number(&lost).await, 4, "{end}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_deleted_job_counts_as_canceled_and_its_calls_stay_in_the_ledger() {
    let stage = Stage::new().await;
    let worker = stage.worker_with(soon).await;
    let job = stage.job("a lake [sim:hang@3]", 4).await;
    stage
        .until(r#"SELECT "imagesCompleted" = 3 FROM photo_generation_queue"#)
        .await;

    stage
        .sql(&format!(
            "DELETE FROM photo_generation_queue WHERE id = {job}"
        ))
        .await;
    stage
        .until_called(|log| count(log, |call| call.ended_at_ms.is_none()) == 0)
        .await;
    stage
        .until_within(
            "SELECT NOT EXISTS (SELECT FROM photo_generation_calls WHERE state = 'calling')",
            Duration::from_mins(1),
        )
        .await;

    assert_eq!(
        stage.calls_in_short(job).await,
        "ambiguous:? stored:true stored:true stored:true"
    );
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_images")
            .await,
        0
    );
    stage.assert_equation().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_canceled_call_that_had_been_stored_unseen_is_found_by_the_sweep() {
    let stage = Stage::new().await;
    // Blind to the cancel until its answer is in storage.
    let worker = stage
        .worker_with(|settings| {
            soon(settings);
            settings.rhythm.watch_every = Duration::from_mins(10);
            settings.rhythm.renew_every = Duration::from_mins(10);
            settings.rhythm.stale_after = Duration::from_mins(30);
        })
        .await;
    let job = stage.job("a lake [sim:slow=1s]", 1).await;
    stage.until_called(|log| log.len() == 1).await;
    stage
        .sql("UPDATE photo_generation_queue SET status = 'canceled'")
        .await;
    stage
        .until_called(|log| log[0].answered_at_ms.is_some())
        .await;
    worker.stop().await;

    let sweeper = stage.worker().await;
    stage
        .until("SELECT NOT EXISTS (SELECT FROM photo_generation_calls WHERE state = 'calling')")
        .await;

    assert_eq!(stage.job_in_short(job).await, "canceled 0");
    assert_eq!(stage.calls_in_short(job).await, "stored:true");
    assert_eq!(
        stage
            .text(r#"SELECT concat_ws(' ', "imagesCompleted", jsonb_array_length("imageUrls")) FROM photo_generation_queue"#)
            .await,
        "1 1"
    );
    stage.assert_photos().await;
    stage.assert_equation().await;
    sweeper.stop().await;
}
