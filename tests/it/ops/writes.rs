//! What each change is for, played through while a worker lives.

use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use safelight::worker::{Rhythm, Settings};

use super::psql::psql;
use crate::harness::{InProcess, Receiver, Stage, WEBHOOK_SECRET, count};

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
        "delete_batch_write.sql" => delete_batch().boxed(),
        "delete_job_write.sql" => delete_job().boxed(),
        "grant_credits_write.sql" => grant_credits().boxed(),
        "pause_write.sql" => pause().boxed(),
        "rate_limited_now_write.sql" => rate_limited_now().boxed(),
        "release_stale_locks_write.sql" => release_stale_locks().boxed(),
        "requeue_write.sql" => requeue().boxed(),
        "resume_write.sql" => resume().boxed(),
        "retry_hooks_write.sql" => retry_hooks().boxed(),
        "retry_webhooks_write.sql" => retry_webhooks().boxed(),
        "retry_write.sql" => retry().boxed(),
        "tenant_cap_write.sql" => tenant_cap().boxed(),
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
    assert!(super::text(file).contains(RUNBOOK));
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
            // A slow machine may let a grant go unused: that is no call.
            .text(
                "SELECT string_agg(state, ' ' ORDER BY state) FROM photo_generation_calls
                 WHERE accepted IS DISTINCT FROM false"
            )
            .await,
        "ambiguous stored stored"
    );
    all_is_well(&stage, worker).await;
}

async fn cancel() {
    let stage = Stage::new().await;
    // The other call hangs until then.
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

/// An attempt was counted before, and none is now; what the worker does not know yet it may not
/// write: the model is paused, so that nobody else writes either.
async fn requeue() {
    let stage = Stage::new().await;
    let worker = worker_with(&stage, |settings| settings.rhythm = Rhythm::default()).await;
    let job = stage.job("a lake [sim:500@1] [sim:hang@3]", 2).await;
    let attempted = "SELECT attempts = 1 AND status = 'pending' FROM photo_generation_queue";
    stage.until(attempted).await;
    psql(&stage, "requeue_write.sql", &[&format!("job={job}")]).await;
    stage.until_called(|log| log.len() == 3).await;
    let model = "model=gemini-2.5-flash-image";
    psql(&stage, "pause_write.sql", &[model]).await;

    let requeued = psql(&stage, "requeue_write.sql", &[&format!("job={job}")]).await;
    let since = Instant::now();
    let left = stage.photograph().await;
    stage.until_called(|log| log[2].ended_at_ms.is_some()).await;
    assert!(since.elapsed() < ABORTED_WITHIN, "{:?}", since.elapsed());
    assert_eq!(requeued.row(&[("status", "pending")])["attempts"], "1");
    assert_eq!(stage.photograph().await, left);

    psql(&stage, "resume_write.sql", &[model]).await;
    stage.until_all_ended().await;
    assert_eq!(progress(&stage, job).await, "completed 2/2 attempts 1");
    assert_eq!(stage.calls_of(job).await, "ambiguous 1, error 1, stored 2");
    let again = psql(&stage, "requeue_write.sql", &[&format!("job={job}")]).await;
    assert_eq!(again.column("id").len(), 0, "it has ended");
    all_is_well(&stage, worker).await;
}

async fn delete_job() {
    let stage = Stage::new().await;
    let worker = worker_with(&stage, |settings| {
        settings.call_timeout = ABORTED_WITHIN * 2;
    })
    .await;
    let job = stage.job("a lake [sim:hang@2]", 2).await;
    let other = stage.job("a wood [sim:slow=3s]", 1).await;
    stage
        .until(&format!(
            r#"SELECT "imagesCompleted" = 1 FROM photo_generation_queue WHERE id = {job}"#
        ))
        .await;
    stage.until_called(|log| log.len() == 3).await;

    let deleted = psql(&stage, "delete_job_write.sql", &[&format!("job={job}")]).await;

    assert_eq!(deleted.column("id"), [job.to_string()]);
    calls_end_soon(&stage, "lake").await;
    is_gone_but_for_its_calls(&stage, job).await;
    stage.until_all_ended().await;
    assert_eq!(progress(&stage, other).await, "completed 1/1 attempts 0");
    let again = psql(&stage, "delete_job_write.sql", &[&format!("job={job}")]).await;
    assert_eq!(again.column("id").len(), 0);
    all_is_well(&stage, worker).await;
}

async fn delete_batch() {
    let stage = Stage::new().await;
    let worker = worker_with(&stage, |settings| {
        settings.call_timeout = ABORTED_WITHIN * 2;
    })
    .await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_batches (id) VALUES (7);
               INSERT INTO photo_generation_queue (id, "batchId", "basePrompt", "numImagesPerExample", "retryAt")
               VALUES (101, 7, 'a lake [sim:hang@2]', 2, NULL), (102, 7, 'a lake, dry', 1, NULL),
                      (103, 7, 'a lake, frozen', 1, now() + interval '1 day')"#,
        )
        .await;
    let other = stage.job("a wood [sim:slow=3s]", 1).await;
    stage
        .until(r#"SELECT sum("imagesCompleted") = 2 FROM photo_generation_queue"#)
        .await;
    stage.until_called(|log| log.len() == 4).await;

    let deleted = psql(&stage, "delete_batch_write.sql", &["batch=7"]).await;

    assert_eq!(deleted.column("id"), ["7"]);
    calls_end_soon(&stage, "lake").await;
    is_gone_but_for_its_calls(&stage, 101).await;
    stage.until_all_ended().await;
    let jobs = "SELECT string_agg(id::text, ' ') FROM photo_generation_queue";
    assert_eq!(stage.text(jobs).await, other.to_string());
    assert_eq!(stage.calls_of(102).await, "stored 1");
    all_is_well(&stage, worker).await;
}

/// Within two seconds of this moment no call of such a prompt runs any more.
async fn calls_end_soon(stage: &Stage, prompt: &str) {
    let since = Instant::now();
    stage
        .until_called(|log| {
            let mut calls = log.iter().filter(|call| call.prompt.contains(prompt));
            calls.all(|call| call.ended_at_ms.is_some())
        })
        .await;
    assert!(since.elapsed() < ABORTED_WITHIN, "{:?}", since.elapsed());
}

/// One picture was stored and one call in flight when it was deleted: both stay on record, the call
/// as one that nobody can know, and the picture stays in storage.
async fn is_gone_but_for_its_calls(stage: &Stage, job: i64) {
    let settled = format!(
        r#"SELECT NOT EXISTS (SELECT FROM photo_generation_calls WHERE state = 'calling' AND "jobId" = {job})"#
    );
    stage.until(&settled).await;
    assert_eq!(stage.calls_of(job).await, "ambiguous 1, stored 1");
    let images = format!(r#"SELECT count(*) FROM photo_generation_images WHERE "jobId" = {job}"#);
    assert_eq!(stage.number(&images).await, 0);
    let uuid = stage
        .text(&format!(
            r#"SELECT DISTINCT "jobUuid" FROM photo_generation_calls WHERE "jobId" = {job}"#
        ))
        .await;
    let tenants = std::fs::read_dir(stage.photos()).unwrap();
    let objects =
        tenants.filter_map(|tenant| std::fs::read_dir(tenant.unwrap().path().join(&uuid)).ok());
    assert_eq!(objects.flatten().count(), 1);
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
    let file = "pause_write.sql";
    let stage = Stage::new().await;
    let worker = worker(&stage).await;

    let paused = psql(&stage, file, &["model=gemini-2.5-flash-image"]).await;
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

    let row = paused.row(&[("what", "model")]);
    assert_eq!((row["name"], row["reason"]), ("gemini-2.5-flash-image", ""));
    assert_eq!(progress(&stage, waiting).await, "pending 0/1 attempts 0");
    assert_eq!(stage.simulator.log().len(), 1);

    // A second time it keeps its moment and takes the reason.
    let why = "reason=odd pictures";
    let again = psql(&stage, file, &["model=gemini-2.5-flash-image", why]).await;
    assert_eq!(again.column("pausedAt"), paused.column("pausedAt"));
    assert_eq!(again.column("reason"), ["odd pictures"]);
    for told in [
        &["what=all"][..],
        &["what=type", "name=tryon"],
        &["what=tenant", "name=team:7"],
    ] {
        assert_eq!(psql(&stage, file, told).await.column("what").len(), 1);
    }
    let all = "SELECT string_agg(concat_ws(' ', what, name), ', ' ORDER BY what)
               FROM photo_generation_pauses";
    assert_eq!(
        stage.text(all).await,
        "all , model gemini-2.5-flash-image, tenant team:7, type tryon"
    );
    all_is_well(&stage, worker).await;
}

/// The worker polls once an hour: it is woken.
async fn resume() {
    let file = "resume_write.sql";
    let stage = Stage::new().await;
    stage
        .sql(
            "INSERT INTO photo_generation_pauses (what, name)
             VALUES ('all', ''), ('model', 'gemini-2.5-flash-image'), ('tenant', 'user:7'),
                    ('type', 'photo_generation'), ('model', 'gemini-3-pro-image')",
        )
        .await;
    let worker = worker_with(&stage, |settings| {
        settings.poll_every = Duration::from_hours(1);
    })
    .await;
    let job = stage.job("a lake", 1).await;

    for told in [
        &["what=all"][..],
        &["what=type", "name=photo_generation"],
        &["what=tenant", "name=user:7"],
        &["model=gemini-2.5-flash-image"],
    ] {
        assert_eq!(progress(&stage, job).await, "pending 0/1 attempts 0");
        assert_eq!(psql(&stage, file, told).await.column("what").len(), 1);
    }
    stage.until_all_ended().await;

    assert_eq!(progress(&stage, job).await, "completed 1/1 attempts 0");
    let again = psql(&stage, file, &["what=all"]).await;
    assert_eq!(again.column("what").len(), 0);
    let still = "SELECT string_agg(name, ' ') FROM photo_generation_pauses";
    assert_eq!(stage.text(still).await, "gemini-3-pro-image");
    all_is_well(&stage, worker).await;
}

/// The worker polls once an hour: it is woken.
async fn tenant_cap() {
    let file = "tenant_cap_write.sql";
    let stage = Stage::new().await;
    let worker = worker_with(&stage, |settings| {
        settings.concurrency = 10;
        settings.poll_every = Duration::from_hours(1);
    })
    .await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "teamId")
               SELECT 'a lake [sim:hang]', 1, '7' FROM generate_series(1, 5)"#,
        )
        .await;
    let runs = |jobs| {
        format!("SELECT count(*) = {jobs} FROM photo_generation_queue WHERE status = 'processing'")
    };
    stage.until(&runs(3)).await;

    let raised = psql(&stage, file, &["tenant=team:7", "most=4"]).await;
    stage.until(&runs(4)).await;
    let usual = psql(&stage, file, &["tenant=team:7", "most=default"]).await;

    assert_eq!(raised.column("maxRunning"), ["4"]);
    assert_eq!(usual.column("maxRunning"), [""]);
    worker.kill();
}

async fn grant_credits() {
    let file = "grant_credits_write.sql";
    let stage = Stage::new().await;
    let worker = worker(&stage).await;
    stage
        .sql("INSERT INTO photo_generation_settings (key, value) VALUES ('credits', 'ledger')")
        .await;

    let granted = psql(
        &stage,
        file,
        &["tenant=user:7", "credits=5", "reason=order 81"],
    )
    .await;
    let job = stage.job("a lake", 3).await;
    stage.until_all_ended().await;
    let taken = psql(&stage, file, &["tenant=user:7", "credits=-2"]).await;

    assert_eq!(granted.column("remaining"), ["5"]);
    assert_eq!(taken.column("remaining"), ["0"]);
    assert_eq!(progress(&stage, job).await, "completed 3/3 attempts 0");
    assert_eq!(
        stage.book("user:7").await,
        "left 0 reserved 0 captured 3 refunded 0"
    );
    let why = "SELECT string_agg(reason, ' ') FROM photo_generation_credit_entries";
    assert_eq!(stage.text(why).await, "order 81");
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

async fn retry_webhooks() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let mut config = stage.config();
    config.webhook.webhook_secret = Some(WEBHOOK_SECRET.to_owned());
    config.storage.image_fetch_allow = vec![receiver.address.clone()];
    let worker = stage.worker_from(config, |_| {}).await;
    stage
        .sql(&format!(
            r#"INSERT INTO photo_generation_webhooks
                   ("jobId", event, url, host, body, tries, "tryAt", error, "deliveredAt")
               SELECT n, 'job.failed', '{}', 'a.example', '{{}}', 10,
                      CASE n WHEN 1 THEN now() + interval '1 hour' END, 'x',
                      CASE n WHEN 3 THEN now() END
               FROM generate_series(1, 3) AS n"#,
            receiver.url()
        ))
        .await;

    let sent = psql(&stage, "retry_webhooks_write.sql", &[]).await;
    receiver.until(2).await;

    let mut jobs = sent.column("job");
    jobs.sort_unstable();
    assert_eq!(jobs, ["1", "2"]);
    stage
        .until(r#"SELECT count(*) = 2 FROM photo_generation_webhooks WHERE tries = 1 AND "deliveredAt" IS NOT NULL"#)
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
