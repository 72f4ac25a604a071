//! `"expiresAt"`: a job that comes too late ends soon after, wherever it waits, and no call is begun
//! for it any more. What it has is kept.

use std::time::Duration;

use safelight::db::lease::{self, Window};
use safelight::db::ledger::{self, Gate, Lost, NewCall, OrphanedCall, StoredPicture};
use safelight::db::sweep;
use safelight::domain::Model;
use uuid::Uuid;

use crate::harness::{MODEL, Stage};

/// A sweep of the quick rhythm comes after half a second; this is ten of them.
const SOON: Duration = Duration::from_secs(5);

impl Stage {
    /// State, images and error code of a job.
    async fn fate(&self, job: i64) -> String {
        self.text(&format!(
            r#"SELECT concat_ws(' ', status, "imagesCompleted", "errorCode")
               FROM photo_generation_queue WHERE id = {job}"#
        ))
        .await
    }

    /// State and error code of each image of a job.
    async fn images_of(&self, job: i64) -> String {
        self.text(&format!(
            r#"SELECT string_agg(concat_ws(' ', state, "errorCode"), ', ' ORDER BY index)
               FROM photo_generation_images WHERE "jobId" = {job}"#
        ))
        .await
    }

    async fn expire_in(&self, seconds: f64) {
        self.sql(&format!(
            r#"UPDATE photo_generation_queue SET "expiresAt" = now() + interval '{seconds} s'"#
        ))
        .await;
    }

    async fn assert_no_call_after_expiry(&self) {
        let late = r#"SELECT count(*) FROM photo_generation_calls AS call
            JOIN photo_generation_queue AS job ON job.id = call."jobId"
            WHERE call."startedAt" > job."expiresAt""#;
        assert_eq!(self.number(late).await, 0, "{}", self.dump().await);
    }
}

#[tokio::test]
async fn a_job_ends_where_it_waits() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"UPDATE photo_generation_limits SET paused = true WHERE model = 'gemini-3-pro-image';
               UPDATE photo_generation_limits SET "blockedUntil" = now() + interval '1 hour', reason = 'bad_key'
               WHERE model = 'gemini-3.1-flash-image';
               UPDATE photo_generation_limits SET "cooldownUntil" = now() + interval '1 hour'
               WHERE model = 'gemini-3-pro-image-preview';
               INSERT INTO photo_generation_batches DEFAULT VALUES;
               INSERT INTO photo_generation_queue
                   ("basePrompt", status, model, "retryAt", "batchId", "expiresAt")
               SELECT 'a lake', status, model, now() + wait, 1, now() + interval '1 second'
               FROM (VALUES ('pending', NULL, interval '1 day'),
                            ('rate_limited', NULL, interval '1 day'),
                            ('pending', 'gemini-3-pro-image', NULL),
                            ('pending', 'gemini-3.1-flash-image', NULL),
                            ('pending', 'gemini-3-pro-image-preview', NULL),
                            ('pending', NULL, interval '100000 years')) AS wait (status, model, wait)"#,
        )
        .await;
    let worker = stage.worker().await;

    stage
        .until_within(
            "SELECT every(status = 'failed') FROM photo_generation_queue",
            SOON,
        )
        .await;
    stage
        .until_within(
            "SELECT status = 'failed' FROM photo_generation_batches",
            SOON,
        )
        .await;

    for job in 1..=6 {
        assert_eq!(stage.fate(job).await, "failed 0 expired");
    }
    assert!(stage.simulator.log().is_empty());
    let early = r#"SELECT count(*) FROM photo_generation_queue
        WHERE "completedAt" < "expiresAt" OR "errorMessage" IS NULL OR "retryAt" IS NOT NULL"#;
    assert_eq!(stage.number(early).await, 0);
    let shown = stage.safelight(&["show", "1"]).await;
    assert!(
        shown.stdout.contains("failed with 0 of 4 images"),
        "{shown:?}"
    );
    worker.stop().await;
}

#[tokio::test]
async fn moments_without_end_expire_never_or_at_once() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "expiresAt", "retryAt")
               VALUES ('a lake', 1, 'infinity', NULL), ('a hill', 1, '-infinity', NULL),
                      ('a dune', 1, '294000-01-01', NULL),
                      ('a lake', 1, 'infinity', 'infinity'), ('a hill', 1, '-infinity', 'infinity')"#,
        )
        .await;
    let worker = stage.worker().await;

    stage
        .until("SELECT count(*) = 4 FROM photo_generation_queue WHERE status <> 'pending' AND status <> 'processing'")
        .await;

    assert_eq!(stage.fate(1).await, "completed 1");
    assert_eq!(stage.fate(2).await, "failed 0 expired");
    assert_eq!(stage.fate(3).await, "completed 1");
    assert_eq!(stage.fate(4).await, "pending 0");
    assert_eq!(stage.fate(5).await, "failed 0 expired");
    worker.stop().await;
}

#[tokio::test]
async fn what_a_waiting_job_has_is_kept() {
    let stage = Stage::new().await;
    let job = stage.job("three lakes [sim:500@2-3]", 3).await;
    stage.drain().await;
    assert_eq!(stage.fate(job).await, "pending 1 provider_error");
    stage.expire_in(0.0).await;

    let worker = stage.worker().await;
    stage.until_all_ended().await;

    assert_eq!(stage.fate(job).await, "completed 1");
    assert_eq!(
        stage.images_of(job).await,
        "stored, failed expired, failed expired"
    );
    stage.assert_sound(3).await;
    worker.stop().await;
}

#[tokio::test]
async fn calls_in_flight_finish_and_no_other_is_begun() {
    let stage = Stage::new().await;
    // Four at a time: half of them wait for their turn.
    let job = stage.job("eight lakes [sim:slow=6s]", 8).await;
    stage.expire_in(4.0).await;

    stage.drain().await;

    assert_eq!(stage.fate(job).await, "completed 4");
    let rest = ["failed expired"; 4].join(", ");
    assert_eq!(
        stage.images_of(job).await,
        format!("stored, stored, stored, stored, {rest}")
    );
    stage.assert_no_call_after_expiry().await;
    stage.assert_sound(4).await;
}

#[tokio::test]
async fn an_expiry_ends_what_would_be_tried_again() {
    let stage = Stage::new().await;
    stage.record_states().await;
    // One waits in the worker for its limit to pass; one has an image that it would try again.
    let limited = stage.job("a lake [sim:429 wait=1900ms]", 1).await;
    let broken = stage.job("a hill [sim:slow=2s@1] [sim:500@2-]", 2).await;
    stage
        .sql(&format!(
            "UPDATE photo_generation_queue SET model = 'gemini-3.1-flash-image' WHERE id = {broken}"
        ))
        .await;
    stage.expire_in(1.5).await;

    let worker = stage.worker().await;
    stage
        .until_within(
            "SELECT every(status IN ('failed', 'completed')) FROM photo_generation_queue",
            Duration::from_millis(1500) + SOON,
        )
        .await;

    assert_eq!(stage.fate(limited).await, "failed 0 expired");
    assert_eq!(stage.images_of(limited).await, "failed expired");
    assert_eq!(stage.fate(broken).await, "completed 1");
    assert_eq!(stage.images_of(broken).await, "stored, failed expired");
    // By the attempt itself, not by a sweep.
    assert_eq!(stage.states(limited).await, "processing failed");
    assert_eq!(stage.states(broken).await, "processing completed");
    stage.assert_no_call_after_expiry().await;
    worker.stop().await;
}

/// The last gate before money reads the row, not what the claim once read.
#[tokio::test]
async fn an_earlier_moment_is_heeded_from_the_next_call_on() {
    let stage = Stage::new().await;
    let worker = stage.worker().await;
    let job = stage.job("eight lakes [sim:slow=1s]", 8).await;
    stage.until_called(|log| log.len() == 4).await;

    stage.expire_in(0.0).await;
    stage.until_all_ended().await;

    assert_eq!(stage.fate(job).await, "completed 4");
    stage.assert_sound(4).await;
    worker.stop().await;
}

#[tokio::test]
async fn two_sweeps_and_a_claim_end_each_job_once() {
    let stage = Stage::new().await;
    stage.record_states().await;
    let holder = stage.holder("a worker").await;
    holder.renew().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "expiresAt")
               SELECT 'a lake', now() FROM generate_series(1, 1200)"#,
        )
        .await;
    let db = &holder.db;
    let sweep = async || while sweep::expire(db).await.unwrap().1 != sweep::Swept::All {};
    let claim = async || {
        let mut claimed = 0;
        for _ in 0..10 {
            let jobs = lease::claim(db, &holder.claimer, 20, Window::Usual, &[]).await;
            claimed += jobs.unwrap().len();
        }
        claimed
    };

    let ((), (), claimed) = tokio::join!(sweep(), sweep(), claim());
    // A round may have been empty because the other held all that was left.
    sweep().await;

    let states =
        "SELECT count(*) FROM (SELECT job FROM seen GROUP BY job HAVING count(*) = 1) AS once";
    assert_eq!(stage.number(states).await, 1200);
    let held = "SELECT count(*) FROM photo_generation_queue WHERE status = 'processing'";
    assert_eq!(stage.number(held).await, i64::try_from(claimed).unwrap());
    let expired = r#"SELECT count(*) FROM photo_generation_queue
        WHERE status = 'failed' AND "errorCode" = 'expired'"#;
    assert_eq!(
        stage.number(expired).await,
        1200 - i64::try_from(claimed).unwrap()
    );
}

/// A dead worker's last call may have brought a picture: it is found after the job has ended.
#[tokio::test]
async fn a_picture_found_later_completes_the_job() {
    let stage = Stage::new().await;
    let holder = stage.holder("a worker").await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_batches DEFAULT VALUES;
               INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "batchId")
               VALUES ('a lake', 2, 1)"#,
        )
        .await;
    let (lease, job) = holder.claim().await;
    ledger::plan(&holder.db, &lease, 2).await.unwrap();
    let call = Uuid::new_v4();
    let new = NewCall {
        id: call,
        target: safelight::domain::Target::Image(1),
        run: holder.claimer.run,
        tenant: &job.tenant,
        accounts: &["default".to_owned()],
        model: &Model::from_name(MODEL).unwrap(),
        deadline: Duration::from_mins(3),
    };
    let gate = ledger::calling(&holder.db, &lease, &new).await.unwrap();
    assert!(matches!(gate, Gate::Open(_)), "{gate:?}");
    stage
        .sql(r#"UPDATE photo_generation_queue SET status = 'pending', "expiresAt" = now()"#)
        .await;
    sweep::expire(&holder.db).await.unwrap();
    sweep::close_batches(&holder.db).await.unwrap();
    assert_eq!(stage.fate(job.id).await, "failed 0 expired");
    assert_eq!(stage.images_of(job.id).await, "calling, failed expired");

    let orphan = OrphanedCall {
        id: call,
        job: job.id,
        lease: lease.token(),
        job_uuid: job.job_id,
        index: Some(1),
        step: None,
        tenant: job.tenant.as_str().to_owned(),
        account: "default".to_owned(),
        model: MODEL.to_owned(),
        attempt: 1,
        spool: None,
    };
    let picture = StoredPicture {
        key: "none/x/1.png".to_owned(),
        call: Uuid::new_v4(),
        url: None,
        mime: "image/png",
        bytes: 1,
        width: 1,
        height: 1,
        sha256: "00".to_owned(),
    };
    let settled = ledger::settle_orphan(&holder.db, &orphan, Some(&picture), Lost::Worker).await;
    sweep::close_batches(&holder.db).await.unwrap();

    assert!(settled.unwrap());
    assert_eq!(stage.fate(job.id).await, "completed 1");
    assert_eq!(stage.images_of(job.id).await, "stored, failed expired");
    assert_eq!(
        stage
            .text("SELECT status FROM photo_generation_batches")
            .await,
        "completed"
    );
}

/// A trigger of the app's refuses one end.
#[tokio::test]
async fn a_job_that_cannot_be_ended_keeps_no_other_from_it() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"UPDATE photo_generation_limits SET paused = true;
               CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not this one''; END';
               CREATE TRIGGER refuse BEFORE UPDATE ON photo_generation_queue FOR EACH ROW
                   WHEN (OLD.id = 1 AND NEW.status = 'failed') EXECUTE FUNCTION refuse();
               INSERT INTO photo_generation_queue ("basePrompt", "expiresAt")
               SELECT 'a lake', now() FROM generate_series(1, 3)"#,
        )
        .await;

    let worker = stage.worker().await;

    stage
        .until_within(
            "SELECT count(*) = 2 FROM photo_generation_queue WHERE status = 'failed'",
            SOON,
        )
        .await;
    assert_eq!(stage.fate(1).await, "pending 0");
    worker.stop().await;
}

#[tokio::test]
async fn a_thousand_jobs_that_expire_at_once_end_their_batches_with_them() {
    // A hundred at each would take longer than anybody here waits.
    const BETWEEN_SWEEPS: Duration = Duration::from_secs(20);

    let stage = Stage::new().await;
    stage
        .sql(
            r#"UPDATE photo_generation_limits SET paused = true;
               WITH batch AS (INSERT INTO photo_generation_batches SELECT FROM generate_series(1, 1000) RETURNING id)
               INSERT INTO photo_generation_queue ("basePrompt", "batchId", "expiresAt")
               SELECT 'a lake', id, now() FROM batch"#,
        )
        .await;

    let worker = stage
        .worker_with(|settings| settings.rhythm.sweep_every = BETWEEN_SWEEPS)
        .await;
    stage
        .until("SELECT every(status = 'failed') FROM photo_generation_batches")
        .await;
    worker.stop().await;
}

/// A copy of `calling` may arrive when the job has expired in between: the call was allowed.
#[tokio::test]
async fn a_call_that_was_allowed_stays_allowed() {
    let stage = Stage::new().await;
    stage.job("a lake", 2).await;
    let holder = stage.holder("a worker").await;
    let (lease, job) = holder.claim().await;
    ledger::plan(&holder.db, &lease, 2).await.unwrap();
    let accounts = ["default".to_owned()];
    let model = Model::from_name(MODEL).unwrap();
    let call = |index: i32| NewCall {
        id: Uuid::from_u128(index.try_into().unwrap()),
        target: safelight::domain::Target::Image(index),
        run: holder.claimer.run,
        tenant: &job.tenant,
        accounts: &accounts,
        model: &model,
        deadline: Duration::from_mins(3),
    };
    let calling = async |index| {
        ledger::calling(&holder.db, &lease, &call(index))
            .await
            .unwrap()
    };

    assert!(matches!(calling(1).await, Gate::Open(_)));
    stage.expire_in(0.0).await;

    assert!(matches!(calling(1).await, Gate::Open(_)));
    assert!(matches!(calling(2).await, Gate::Expired));
    assert_eq!(stage.calls_of(job.id).await, "calling 1");
}
