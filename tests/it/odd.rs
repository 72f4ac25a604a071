//! What apps, operators and networks may do to a worker, and what it must bear.

mod frozen;
mod rows;

use std::time::Duration;

use safelight::db::ledger::{self, CallState, EndedCall, NewCall};
use safelight::db::{DbError, sweep};
use safelight::domain::{Failure, ImageState, Model};
use uuid::Uuid;

use crate::harness::{MODEL, Stage};

/// State, attempts and error code of a job.
async fn ended(stage: &Stage, job: i64) -> String {
    stage
        .text(&format!(
            r#"SELECT concat_ws(' ', status, attempts, "errorCode")
               FROM photo_generation_queue WHERE id = {job}"#
        ))
        .await
}

#[tokio::test]
async fn json_that_we_cannot_read_fails_its_own_job_and_no_other() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", payload)
               VALUES ('a lake', 1, '{"seed": 1e400}'), ('a lake', 1, NULL)"#,
        )
        .await;

    stage.drain().await;

    assert_eq!(ended(&stage, 1).await, "failed 0 invalid_request");
    assert_eq!(stage.status(2).await, "completed");
    // What it asked for is not known to us, and is not told as none.
    let unknown =
        r#"SELECT count(*) FROM photo_generation_queue WHERE id = 1 AND "imagesTotal" IS NULL"#;
    assert_eq!(stage.number(unknown).await, 1);
}

#[tokio::test]
async fn counters_that_hands_have_changed_keep_no_picture_from_being_recorded() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue
                   ("basePrompt", "numImagesPerExample", "imagesCompleted", "imagesTotal")
               VALUES ('a lake', 2, 1, NULL), ('a hill', 2, 1, 1), ('a dune', 2, 9, 9)"#,
        )
        .await;

    stage.drain().await;

    let counters = r#"SELECT string_agg(concat_ws('/', status, "imagesCompleted", "imagesTotal"), ' ')
                      FROM photo_generation_queue"#;
    assert_eq!(
        stage.text(counters).await,
        "completed/2/2 completed/2/2 completed/2/2"
    );
    stage.assert_sound(6).await;
}

#[tokio::test]
async fn fewer_images_than_were_planned_are_not_bought() {
    let stage = Stage::new().await;
    let job = stage.job("a lake [sim:500@1-4]", 4).await;
    stage.drain().await;
    assert_eq!(stage.status(job).await, "pending");
    stage
        .sql(r#"UPDATE photo_generation_queue SET "numImagesPerExample" = 2, "retryAt" = NULL"#)
        .await;

    stage.drain().await;

    assert_eq!(stage.status(job).await, "completed");
    assert_eq!(stage.simulator.log().len(), 4 + 2);
    stage.assert_photos().await;
}

#[tokio::test]
async fn moments_without_end_stop_no_timer() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "retryAt")
               VALUES ('a lake', 1, '-infinity'), ('a hill', 1, 'infinity')"#,
        )
        .await;

    stage.drain().await;

    assert_eq!(stage.status(1).await, "completed");
    assert_eq!(stage.status(2).await, "pending");
}

#[tokio::test]
async fn a_processing_row_without_lease_or_run_is_taken_back_after_five_minutes() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue
                   ("basePrompt", "numImagesPerExample", status, lease, attempts, "lockedAt")
               VALUES ('a lake', 1, 'processing', NULL, NULL, now() - interval '6 minutes'),
                      ('a hill', 1, 'processing', NULL, NULL, now() - interval '4 minutes')"#,
        )
        .await;
    let worker = stage.worker().await;

    stage
        .until("SELECT status = 'completed' FROM photo_generation_queue WHERE id = 1")
        .await;

    assert_eq!(stage.status(2).await, "processing");
    worker.stop().await;
}

/// The first copy of a statement that was sent twice may arrive when all is over.
#[tokio::test]
async fn a_copy_of_calling_that_comes_too_late_changes_nothing() {
    let stage = Stage::new().await;
    stage.job("a lake", 1).await;
    let holder = stage.holder("w").await;
    let (lease, job) = holder.claim().await;
    ledger::plan(&holder.db, &lease, 1).await.unwrap();
    let call = NewCall {
        id: Uuid::new_v4(),
        target: safelight::domain::Target::Image(1),
        run: holder.claimer.run,
        tenant: &job.tenant,
        accounts: &["default".to_owned()],
        model: &Model::from_name(MODEL).unwrap(),
        deadline: Duration::from_mins(3),
    };
    ledger::calling(&holder.db, &lease, &call).await.unwrap();
    ledger::calling(&holder.db, &lease, &call).await.unwrap();
    let failure = Failure::retry("provider_error", "It broke.");
    let end = EndedCall {
        state: CallState::Error,
        accepted: Some(false),
        image: Some(ImageState::Planned),
        failure: &failure,
        provider_request_id: None,
    };
    ledger::ended(&holder.db, &lease, call.id, &end)
        .await
        .unwrap();
    let before = stage.photograph().await;

    let late = ledger::calling(&holder.db, &lease, &call).await;

    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    assert_eq!(stage.photograph().await, before);
}

#[tokio::test]
async fn an_end_that_the_apps_trigger_refuses_counts_and_waits() {
    let stage = Stage::new().await;
    stage
        .sql(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 RAISE EXCEPTION 'no failures here'; END $$;
             CREATE TRIGGER refuse AFTER UPDATE ON photo_generation_queue FOR EACH ROW
                 WHEN (NEW.status = 'failed') EXECUTE FUNCTION refuse()",
        )
        .await;
    let job = stage.job("a lake [sim:safety]", 1).await;

    stage.drain().await;

    assert_eq!(ended(&stage, job).await, "pending 1 internal_error");
    assert_eq!(stage.simulator.log().len(), 1);
    assert!(
        stage
            .number(r#"SELECT extract(epoch FROM "retryAt" - now()) FROM photo_generation_queue"#)
            .await
            > 200
    );
}

#[tokio::test]
async fn rows_locked_at_the_head_of_the_queue_starve_nobody() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample")
               SELECT 'a lake', 1 FROM generate_series(1, 151)"#,
        )
        .await;
    let mut app = stage.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM photo_generation_queue WHERE id <= 150 FOR UPDATE")
        .execute(&mut *app)
        .await
        .unwrap();

    let worker = stage.worker().await;

    stage
        .until("SELECT status = 'completed' FROM photo_generation_queue WHERE id = 151")
        .await;
    app.rollback().await.unwrap();
    worker.stop().await;
}

#[tokio::test]
async fn a_batch_whose_last_job_another_program_ended_is_ended() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_batches DEFAULT VALUES;
               INSERT INTO photo_generation_queue ("basePrompt", "batchId", "retryAt")
               VALUES ('a lake', 1, now() + interval '1 day')"#,
        )
        .await;
    let worker = stage.worker().await;

    // As the old worker does: with the moment it was processed.
    stage
        .sql(r#"UPDATE photo_generation_queue SET status = 'failed', "processedAt" = now()"#)
        .await;

    stage
        .until("SELECT status = 'failed' FROM photo_generation_batches")
        .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_jump_of_the_databases_clock_takes_no_job_from_a_living_worker() {
    let stage = Stage::new().await;
    let workers = [stage.worker().await, stage.worker().await];
    let job = stage.job("a lake [sim:slow=9s]", 1).await;
    stage.until_called(|log| log.len() == 1).await;

    // Again and again for longer than it takes to die: all renewals look an hour old.
    for _ in 0..8 {
        stage
            .sql(r#"UPDATE photo_generation_workers SET "renewedAt" = "renewedAt" - interval '1 hour'"#)
            .await;
        let renewed = r#"SELECT every("renewedAt" > now() - interval '1 minute') FROM photo_generation_workers"#;
        stage.until(renewed).await;
    }
    stage.until_all_ended().await;

    assert_eq!(ended(&stage, job).await, "completed 0");
    stage.assert_sound(1).await;
    for worker in workers {
        worker.stop().await;
    }
}

/// One orphan that cannot be settled must not keep the sweep from the rest.
#[tokio::test]
async fn the_sweep_goes_on_when_one_call_cannot_be_settled() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_calls (id, "jobId", "jobUuid", tenant, index, lease, run,
                   attempt, provider, account, model, "deadlineAt")
               SELECT gen_random_uuid(), n, gen_random_uuid(), CASE n WHEN 1 THEN 'stuck' ELSE 'free' END,
                      1, 1, gen_random_uuid(), 1, 'gemini', 'default', 'm', now() + n * interval '1 minute'
               FROM generate_series(1, 3) AS n;
               CREATE FUNCTION stick() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                   RAISE EXCEPTION 'stuck'; END $$;
               CREATE TRIGGER stick BEFORE UPDATE ON photo_generation_calls FOR EACH ROW
                   WHEN (OLD.tenant = 'stuck') EXECUTE FUNCTION stick();"#,
        )
        .await;
    let db = stage.db().await;
    assert!(
        sweep::look(&db, Duration::from_secs(30))
            .await
            .unwrap()
            .1
            .overdue_calls
    );

    let worker = stage.worker().await;

    stage
        .until("SELECT count(*) = 2 FROM photo_generation_calls WHERE state = 'ambiguous'")
        .await;
    worker.stop().await;
}
