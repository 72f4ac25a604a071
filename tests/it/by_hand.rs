//! By hand, while workers live: what the contract allows operators, clause by clause, with the file
//! that does it and the test that proves it while calls are in flight. What no other test shows is
//! shown here.
//!
//! | by hand | file of `sql/ops` | test |
//! |---|---|---|
//! | runbook: count what is pending, what is rate limited | `pending`, `rate_limited` | `ops` |
//! | runbook: select what runs, what waits, stale locks | `running`, `waiting`, `stale_locks` | `ops` |
//! | runbook: release stale locks; our worker is fenced | `release_stale_locks_write` | `ops::writes`, `fence::by_hand` |
//! | the same; the old worker's later writes hit nothing | `release_stale_locks_write` | here |
//! | `canceled` on a running row, its call aborted in time | `cancel_write` | `ops::writes`, `money::by_hand` |
//! | `canceled` on rows that wait | `cancel_write` | here |
//! | `pending` on a running row: no attempt counted, its worker writes nothing more | `requeue_write` | `ops::writes` |
//! | `pending` on a rate limited row | `requeue_write`, all at once `rate_limited_now_write` | here, `ops::writes` |
//! | `pending` on an ended row: all is reset, stored images stay | `retry_write` | here, `ops::writes` |
//! | ... others have a fresh allowance for one ambiguous repeat | `retry_write` | `money::by_hand` |
//! | ... with all images stored it is completed without a call | `retry_write` | here, `money::by_hand` |
//! | DELETE of a job: as a cancel; images go, calls and objects stay | `delete_job_write` | `ops::writes`, `money::by_hand` |
//! | DELETE of a batch, by cascade | `delete_batch_write` | `ops::writes` |
//! | a row given to somebody else | (none: programs do it) | `fence::by_hand` |
//! | a batch whose last job hands have ended | (none: the sweep does it) | `batches`, `odd` |

use std::time::Duration;

use crate::harness::{InProcess, Stage};
use crate::ops::psql::psql;

const MODEL: &str = "model=gemini-2.5-flash-image";

/// A worker with a call in flight that nobody touches, and that is answered when all is over.
async fn busy_worker(stage: &Stage) -> InProcess {
    let worker = stage
        .worker_with(|settings| {
            settings.poll_every = Duration::from_millis(200);
            // The test releases what is stale, not the sweep.
            settings.rhythm.sweep_every = Duration::from_hours(1);
        })
        .await;
    stage.job("a busy street [sim:slow=4s]", 1).await;
    stage.until_called(|log| log.len() == 1).await;
    worker
}

/// What the row says of how its tries went.
async fn row(stage: &Stage, job: i64) -> String {
    stage
        .text(&format!(
            r#"SELECT concat_ws(' ', status, 'attempts', attempts, "errorCode", "errorMessage", "retryAt",
                                "lockedBy", "lockedAt", "completedAt", "imagesCompleted")
               FROM photo_generation_queue WHERE id = {job}"#
        ))
        .await
}

async fn images(stage: &Stage, job: i64) -> String {
    stage
        .text(&format!(
            r#"SELECT string_agg(concat_ws(' ', state, ambiguous, error), ', ' ORDER BY state, index)
               FROM photo_generation_images WHERE "jobId" = {job}"#
        ))
        .await
}

async fn until_status(stage: &Stage, job: i64, status: &str) {
    stage
        .until(&format!(
            "SELECT status = '{status}' FROM photo_generation_queue WHERE id = {job}"
        ))
        .await;
}

/// It locks rows by hand and writes by id and its own name, as seed 003's worker does.
#[tokio::test]
async fn what_the_old_worker_writes_after_the_runbook_hits_nothing() {
    let stage = Stage::new().await;
    let worker = busy_worker(&stage).await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue
                   (id, "basePrompt", "numImagesPerExample", status, attempts, "lockedBy", "lockedAt")
               VALUES (101, 'a lake [sim:slow=2s]', 1, 'processing', 2, 'old-worker', now() - interval '6 minutes')"#,
        )
        .await;
    let writes = [
        r#"UPDATE photo_generation_queue SET status = 'completed', "completedAt" = now(), "lockedBy" = NULL
           WHERE id = 101 AND "lockedBy" = 'old-worker'"#,
        r#"UPDATE photo_generation_queue SET status = 'failed', attempts = attempts + 1
           WHERE id = 101 AND "lockedBy" = 'old-worker'"#,
        r#"UPDATE photo_generation_queue SET "lockedAt" = now()
           WHERE id = 101 AND "lockedBy" = 'old-worker'"#,
    ];

    psql(&stage, "release_stale_locks_write.sql", &[]).await;
    stage.until_called(|log| log.len() == 2).await;

    for write in writes {
        let hit = sqlx::query(write).execute(&stage.pool).await.unwrap();
        assert_eq!(hit.rows_affected(), 0, "{write}");
    }
    stage.until_all_ended().await;
    assert_eq!(stage.end_of(101).await, "completed 1/1 attempts 2 lease 3");
    stage.assert_sound(2).await;
    worker.stop().await;
}

#[tokio::test]
async fn rows_that_wait_are_canceled_and_never_called() {
    let stage = Stage::new().await;
    let worker = busy_worker(&stage).await;
    let limited = stage.job("a lake [sim:429@1 wait=5m]", 1).await;
    until_status(&stage, limited, "rate_limited").await;
    let pending = stage.job("a wood", 1).await;

    for job in [limited, pending] {
        let canceled = psql(&stage, "cancel_write.sql", &[&format!("job={job}")]).await;
        assert_eq!(canceled.column("status"), ["canceled"]);
    }
    psql(&stage, "unblock_write.sql", &[]).await;
    stage.until_all_ended().await;

    for job in [limited, pending] {
        assert_eq!(stage.status(job).await, "canceled");
    }
    assert_eq!(stage.calls_of(limited).await, "limited 1");
    assert_eq!(stage.calls_of(pending).await, "");
    stage.assert_equation().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_rate_limited_row_is_requeued_and_runs_when_its_model_does() {
    let stage = Stage::new().await;
    let worker = busy_worker(&stage).await;
    let job = stage.job("a lake [sim:429@1 wait=5m]", 1).await;
    until_status(&stage, job, "rate_limited").await;

    let requeued = psql(&stage, "requeue_write.sql", &[&format!("job={job}")]).await;
    assert_eq!(requeued.column("status"), ["pending"]);
    psql(&stage, "unblock_write.sql", &[]).await;
    stage.until_all_ended().await;

    assert_eq!(stage.calls_of(job).await, "limited 1, stored 1");
    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 4");
    stage.assert_photos().await;
    stage.assert_equation().await;
    worker.stop().await;
}

/// One with all its images, one that failed, one canceled in the middle of a call.
#[tokio::test]
async fn ended_rows_are_as_new_but_for_what_they_have_stored() {
    let stage = Stage::new().await;
    let worker = busy_worker(&stage).await;
    let whole = stage.job("a lake", 2).await;
    let failed = stage.job("a wood [sim:400@1]", 1).await;
    until_status(&stage, whole, "completed").await;
    until_status(&stage, failed, "failed").await;
    let running = stage.job("a hill [sim:hang@2]", 2).await;
    stage
        .until(&format!(
            r#"SELECT "imagesCompleted" = 1 FROM photo_generation_queue WHERE id = {running}"#
        ))
        .await;
    stage.until_called(|log| log.len() == 6).await;
    // As an app of the old kind may leave them.
    stage
        .sql(&format!(
            r#"UPDATE photo_generation_queue
               SET attempts = 5, "retryAt" = now() + interval '1 day', "lockedBy" = 'x', "lockedAt" = now()
               WHERE id IN ({whole}, {failed})"#
        ))
        .await;
    psql(&stage, "cancel_write.sql", &[&format!("job={running}")]).await;
    stage
        .until("SELECT NOT EXISTS (SELECT FROM photo_generation_calls WHERE state = 'calling')")
        .await;
    psql(&stage, "pause_write.sql", &[MODEL]).await;

    for job in [whole, failed, running] {
        psql(&stage, "retry_write.sql", &[&format!("job={job}")]).await;
    }

    assert_eq!(row(&stage, whole).await, "pending attempts 0 2");
    assert_eq!(images(&stage, whole).await, "stored 0, stored 0");
    assert_eq!(row(&stage, failed).await, "pending attempts 0 0");
    assert_eq!(images(&stage, failed).await, "planned 0");
    assert_eq!(row(&stage, running).await, "pending attempts 0 1");
    assert_eq!(images(&stage, running).await, "planned 0, stored 0");
    psql(&stage, "resume_write.sql", &[MODEL]).await;
    stage.until_all_ended().await;
    assert_eq!(stage.calls_of(whole).await, "stored 2");
    assert_eq!(stage.calls_of(failed).await, "error 1, stored 1");
    assert_eq!(stage.calls_of(running).await, "ambiguous 1, stored 2");
    for job in [whole, failed, running] {
        assert_eq!(stage.status(job).await, "completed");
    }
    stage.assert_photos().await;
    stage.assert_equation().await;
    worker.stop().await;
}
