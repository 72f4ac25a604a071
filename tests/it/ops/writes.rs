//! What each change is for, played through while a worker lives.

use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use safelight::worker::Settings;

use super::psql::psql;
use crate::harness::{InProcess, Stage, count};

/// A running call is aborted within this time after a cancel.
const ABORTED_WITHIN: Duration = Duration::from_secs(2);

/// The runbook's statement, as operators have it in their notes.
const RUNBOOK: &str = r#"
UPDATE photo_generation_queue
SET "lockedBy" = NULL, "lockedAt" = NULL, status = 'pending'
WHERE status = 'processing'
AND "lockedAt" < NOW() - INTERVAL '5 minutes';
"#;

/// The scenario of a file.
pub(super) fn scenario(file: &str) -> BoxFuture<'static, ()> {
    match file {
        "cancel_write.sql" => cancel().boxed(),
        "pause_write.sql" => pause().boxed(),
        "rate_limited_now_write.sql" => rate_limited_now().boxed(),
        "release_stale_locks_write.sql" => release_stale_locks().boxed(),
        "resume_write.sql" => resume().boxed(),
        "retry_hooks_write.sql" => retry_hooks().boxed(),
        "retry_write.sql" => retry().boxed(),
        "unblock_write.sql" => unblock().boxed(),
        other => panic!("{other} has no scenario"),
    }
}

/// A worker that finds by itself what no notification tells.
async fn worker(stage: &Stage) -> InProcess {
    worker_with(stage, |_| {}).await
}

async fn worker_with(stage: &Stage, change: impl FnOnce(&mut Settings)) -> InProcess {
    stage
        .worker_with(|settings| {
            settings.poll_every = Duration::from_millis(200);
            change(settings);
        })
        .await
}

/// Nothing is lost, nothing is bought twice, and the account is right.
async fn all_is_well(stage: &Stage, worker: InProcess) {
    stage.assert_photos().await;
    stage.assert_equation().await;
    worker.stop().await;
}

async fn release_stale_locks() {
    let file = "release_stale_locks_write.sql";
    let statement: Vec<_> = super::text(file)
        .lines()
        .filter(|line| !line.starts_with("--"))
        .map(str::to_owned)
        .collect();
    assert_eq!(statement.join("\n").trim(), RUNBOOK.trim());
    let stage = Stage::new().await;
    let worker = worker(&stage).await;
    let job = stage.job("a lake [sim:hang@2]", 2).await;
    // The lock was just renewed, so it stays as the next line makes it, for three seconds.
    stage
        .until(
            r#"SELECT "imagesCompleted" = 1 AND "lockedAt" > "startedAt"
                  AND EXISTS (SELECT FROM photo_generation_calls WHERE state = 'calling')
               FROM photo_generation_queue"#,
        )
        .await;
    stage
        .sql(r#"UPDATE photo_generation_queue SET "lockedAt" = now() - interval '6 minutes'"#)
        .await;

    psql(&stage, file, &[]).await;
    stage.until_all_ended().await;

    // The stored picture was kept; the call in flight is one that nobody can know.
    assert_eq!(progress(&stage, job).await, "completed 2/2 attempts 0");
    assert_eq!(stage.simulator.log().len(), 3);
    assert_eq!(
        stage
            .text("SELECT string_agg(state, ' ' ORDER BY state) FROM photo_generation_calls")
            .await,
        "ambiguous stored stored"
    );
    all_is_well(&stage, worker).await;
}

async fn cancel() {
    let stage = Stage::new().await;
    // The aborted call is settled after its deadline.
    let worker = worker_with(&stage, |settings| {
        settings.call_timeout = ABORTED_WITHIN * 2;
    })
    .await;
    let job = stage.job("a lake [sim:hang]", 1).await;
    let other = stage.job("a wood [sim:hang@1]", 1).await;
    stage.until_called(|log| log.len() == 2).await;

    let canceled = psql(&stage, "cancel_write.sql", &[&format!("job={job}")]).await;
    let since = Instant::now();
    stage
        .until_called(|log| {
            let mut lakes = log.iter().filter(|call| call.prompt.contains("lake"));
            lakes.all(|call| call.ended_at_ms.is_some())
        })
        .await;

    assert!(since.elapsed() < ABORTED_WITHIN, "{:?}", since.elapsed());
    assert_eq!(canceled.column("status"), ["canceled"]);
    let again = psql(&stage, "cancel_write.sql", &[&format!("job={job}")]).await;
    assert_eq!(again.column("id").len(), 0);
    stage
        .until("SELECT NOT EXISTS (SELECT FROM photo_generation_calls WHERE state = 'calling')")
        .await;
    assert_eq!(progress(&stage, job).await, "canceled 0/1 attempts 0");
    assert_ne!(stage.status(other).await, "canceled");
    all_is_well(&stage, worker).await;
}

async fn retry() {
    let stage = Stage::new().await;
    let worker = worker(&stage).await;
    let half = stage.job("a lake [sim:safety@2]", 2).await;
    let failed = stage.job("a wood [sim:400@1]", 1).await;
    stage.until_all_ended().await;
    assert_eq!(progress(&stage, half).await, "completed 1/2 attempts 0");
    assert_eq!(progress(&stage, failed).await, "failed 0/1 attempts 0");
    // What expired is not to expire again at once.
    stage
        .sql(r#"UPDATE photo_generation_queue SET "expiresAt" = now() - interval '1 hour'"#)
        .await;

    for job in [half, failed] {
        let retried = psql(&stage, "retry_write.sql", &[&format!("job={job}")]).await;
        assert_eq!(retried.column("status"), ["pending"]);
    }
    stage.until_all_ended().await;

    assert_eq!(progress(&stage, half).await, "completed 2/2 attempts 0");
    assert_eq!(progress(&stage, failed).await, "completed 1/1 attempts 0");
    let lakes = |log: &[_]| count(log, |call| call.prompt.contains("lake"));
    assert_eq!(
        lakes(&stage.simulator.log()),
        3,
        "only the refused one is made again"
    );
    all_is_well(&stage, worker).await;
}

async fn pause() {
    let stage = Stage::new().await;
    let worker = worker(&stage).await;

    let paused = psql(&stage, "pause_write.sql", &["model=gemini-2.5-flash-image"]).await;
    let waiting = stage.job("a lake", 1).await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", model)
                VALUES ('a wood', 1, 'gemini-3-pro-image')"#,
        )
        .await;
    stage
        .until("SELECT count(*) = 1 FROM photo_generation_queue WHERE status = 'completed'")
        .await;

    assert_eq!(paused.column("paused"), ["t"]);
    assert_eq!(progress(&stage, waiting).await, "pending 0/1 attempts 0");
    assert_eq!(stage.simulator.log().len(), 1);
    all_is_well(&stage, worker).await;
}

async fn resume() {
    let stage = Stage::new().await;
    stage
        .sql("UPDATE photo_generation_limits SET paused = true")
        .await;
    let worker = worker(&stage).await;
    let job = stage.job("a lake", 1).await;

    let resumed = psql(
        &stage,
        "resume_write.sql",
        &["model=gemini-2.5-flash-image"],
    )
    .await;
    stage.until_all_ended().await;

    assert_eq!(resumed.column("paused"), ["f"]);
    assert_eq!(progress(&stage, job).await, "completed 1/1 attempts 0");
    let still = "SELECT count(*) FROM photo_generation_limits WHERE paused";
    assert_eq!(stage.number(still).await, 4, "other models stay paused");
    all_is_well(&stage, worker).await;
}

async fn unblock() {
    let stage = Stage::new().await;
    let worker = worker(&stage).await;
    let job = stage.job("a lake [sim:badkey@1]", 1).await;
    stage
        .until(
            r#"SELECT EXISTS (SELECT FROM photo_generation_limits WHERE "blockedUntil" > now())
                  AND (SELECT status = 'pending' FROM photo_generation_queue)"#,
        )
        .await;

    let unblocked = psql(&stage, "unblock_write.sql", &[]).await;
    stage.until_all_ended().await;

    assert_eq!(unblocked.column("model"), ["gemini-2.5-flash-image"]);
    assert_eq!(progress(&stage, job).await, "completed 1/1 attempts 0");
    assert_eq!(stage.simulator.log().len(), 2);
    all_is_well(&stage, worker).await;
}

async fn rate_limited_now() {
    let stage = Stage::new().await;
    let worker = worker(&stage).await;
    let job = stage.job("a lake [sim:429@1 wait=2m]", 1).await;
    stage
        .until("SELECT status = 'rate_limited' FROM photo_generation_queue")
        .await;
    psql(&stage, "unblock_write.sql", &["account=default"]).await;

    let freed = psql(&stage, "rate_limited_now_write.sql", &[]).await;
    stage.until_all_ended().await;

    assert_eq!(freed.column("id"), [job.to_string()]);
    assert_eq!(progress(&stage, job).await, "completed 1/1 attempts 0");
    all_is_well(&stage, worker).await;
}

async fn retry_hooks() {
    let stage = Stage::new().await;
    let worker = worker(&stage).await;
    stage
        .sql("CREATE OR REPLACE FUNCTION photo_generation_on_image(image photo_generation_images)
              RETURNS void LANGUAGE plpgsql AS 'BEGIN INSERT INTO photos VALUES (image.\"storageKey\"); END'")
        .await;
    stage.job("a lake", 1).await;
    stage.until_all_ended().await;
    stage
        .sql(r#"UPDATE photo_generation_images SET "hookTryAt" = now() + interval '1 hour'; CREATE TABLE photos (url text)"#)
        .await;

    psql(&stage, "retry_hooks_write.sql", &[]).await;
    stage.until("SELECT count(*) = 1 FROM photos").await;

    stage
        .until(r#"SELECT "hookError" IS NULL FROM photo_generation_images"#)
        .await;
    all_is_well(&stage, worker).await;
}

async fn progress(stage: &Stage, job: i64) -> String {
    stage
        .text(&format!(
            r#"SELECT concat(status, ' ', "imagesCompleted", '/', coalesce("imagesTotal", "numImagesPerExample"), ' attempts ', attempts)
               FROM photo_generation_queue WHERE id = {job}"#
        ))
        .await
}
