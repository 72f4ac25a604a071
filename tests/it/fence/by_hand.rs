//! What operators do by hand, to workers that are in the middle of a call.

use std::time::Duration;

use safelight::worker::Settings;

use super::{Stage, blind};

/// Seed 003's runbook, word for word, on a job that has not been renewed for long enough.
const RUNBOOK: &str = r#"
    UPDATE photo_generation_queue SET "lockedAt" = now() - interval '6 minutes';
    UPDATE photo_generation_queue
    SET "lockedBy" = NULL, "lockedAt" = NULL, status = 'pending'
    WHERE status = 'processing'
    AND "lockedAt" < NOW() - INTERVAL '5 minutes';"#;

/// As the runbook leaves it, but that nobody claims it yet.
const HELD_UP: &str = r#"UPDATE photo_generation_queue SET "retryAt" = now() + interval '1 hour'"#;
const GO_ON: &str = r#"UPDATE photo_generation_queue SET "retryAt" = NULL"#;

#[tokio::test]
async fn after_the_runbook_the_worker_writes_nothing_and_the_job_is_worked_again() {
    let stage = Stage::new().await;
    let worker = stage.worker_with(soon).await;
    let job = stage.job("a lake [sim:hang@1]", 1).await;
    stage.until_called(|log| log.len() == 1).await;

    stage
        .sql(&format!("BEGIN; {RUNBOOK} {HELD_UP}; COMMIT"))
        .await;
    let released = stage.photograph().await;
    stage.until_called(|log| log[0].ended_at_ms.is_some()).await;
    let aborted = stage.photograph().await;
    stage.sql(GO_ON).await;
    stage.until_all_ended().await;

    assert_eq!(aborted, released);
    assert_eq!(
        stage
            .text(&format!(
                "SELECT concat_ws(' ', status, attempts, lease) FROM photo_generation_queue WHERE id = {job}"
            ))
            .await,
        "completed 0 4"
    );
    assert_eq!(
        stage
            .text(r#"SELECT string_agg(lease || ' ' || state, ', ' ORDER BY "startedAt") FROM photo_generation_calls"#)
            .await,
        "1 ambiguous, 3 stored"
    );
    stage.assert_equation().await;
    worker.stop().await;
}

#[tokio::test]
async fn an_answer_that_comes_after_the_runbook_is_not_written_and_not_bought_again() {
    let stage = Stage::new().await;
    let first = stage
        .worker_with(|settings| blind(&mut settings.rhythm))
        .await;
    stage.job("a lake [sim:slow=1s]", 1).await;
    stage.until_called(|log| log.len() == 1).await;

    stage
        .sql(&format!("BEGIN; {RUNBOOK} {HELD_UP}; COMMIT"))
        .await;
    let released = stage.photograph().await;
    stage
        .until_called(|log| log[0].answered_at_ms.is_some())
        .await;
    first.stop().await;

    assert_eq!(stage.photograph().await, released);
    stage.sql(GO_ON).await;
    stage.drain().await;
    assert_eq!(
        stage
            .text(
                "SELECT string_agg(concat_ws(' ', state, lease), ', ') FROM photo_generation_calls"
            )
            .await,
        "stored 1"
    );
    assert_eq!(stage.simulator.log().len(), 1);
    stage.assert_photos().await;
    stage.assert_equation().await;
}

#[tokio::test]
async fn a_job_given_to_somebody_else_is_left_alone_until_five_minutes_stale() {
    let stage = Stage::new().await;
    let worker = stage.worker_with(soon).await;
    let job = stage.job("a lake [sim:hang@1]", 1).await;
    stage.until_called(|log| log.len() == 1).await;

    stage
        .sql(r#"UPDATE photo_generation_queue SET "lockedBy" = 'the old worker'"#)
        .await;
    stage.until_called(|log| log[0].ended_at_ms.is_some()).await;
    // A job that comes later is done by workers that have looked at this one since.
    let later = stage.job("a hill", 1).await;
    stage
        .until(&format!(
            "SELECT status = 'completed' FROM photo_generation_queue WHERE id = {later}"
        ))
        .await;
    let left = stage
        .text(&format!(
            r#"SELECT concat_ws(' ', status, "lockedBy", run, attempts) FROM photo_generation_queue WHERE id = {job}"#
        ))
        .await;
    stage
        .sql(&format!(
            r#"UPDATE photo_generation_queue SET "lockedAt" = now() - interval '6 minutes' WHERE id = {job}"#
        ))
        .await;
    stage.until_all_ended().await;

    assert_eq!(left, "processing the old worker 0");
    assert_eq!(
        stage
            .text(&format!(
                "SELECT concat_ws(' ', status, attempts) FROM photo_generation_queue WHERE id = {job}"
            ))
            .await,
        "completed 1"
    );
    stage.assert_equation().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_restart_under_the_same_label_does_not_keep_the_jobs_of_the_dead() {
    let stage = Stage::new().await;
    let same_label = |settings: &mut Settings| {
        soon(settings);
        settings.label = "worker-1".to_owned();
    };
    let first = stage.worker_with(same_label).await;
    let job = stage.job("a lake [sim:hang@1]", 1).await;
    stage.until_called(|log| log.len() == 1).await;

    first.kill();
    let second = stage.worker_with(same_label).await;
    stage.until_all_ended().await;

    assert_eq!(
        stage
            .text(&format!(
                "SELECT concat_ws(' ', status, attempts) FROM photo_generation_queue WHERE id = {job}"
            ))
            .await,
        "completed 1"
    );
    assert_eq!(stage.simulator.log().len(), 2);
    stage.assert_equation().await;
    second.stop().await;
}

#[tokio::test]
async fn a_worker_may_claim_again_what_was_taken_from_it_while_its_old_call_still_runs() {
    let stage = Stage::new().await;
    // The wake-up comes before any beat notices the loss.
    let worker = stage
        .worker_with(|settings| {
            settings.rhythm.watch_every = Duration::from_secs(1);
            settings.rhythm.renew_every = Duration::from_secs(1);
        })
        .await;
    stage
        .until("SELECT bool_or(idle) FROM photo_generation_workers")
        .await;
    stage.job("a lake [sim:hang@1] [sim:slow=2s@2]", 1).await;
    stage.until_called(|log| log.len() == 1).await;

    stage.sql(RUNBOOK).await;
    // The old call is given up soon, and not when its time is over.
    stage
        .simulator
        .wait_for(|log| log[0].ended_at_ms.is_some(), Duration::from_secs(10))
        .await
        .unwrap();
    stage.until_all_ended().await;

    assert_eq!(
        stage
            .text(r#"SELECT string_agg(lease || ' ' || state, ', ' ORDER BY "startedAt") FROM photo_generation_calls"#)
            .await,
        "1 ambiguous, 3 stored"
    );
    stage.assert_equation().await;
    worker.stop().await;
}

/// What is held up by hand is found soon.
fn soon(settings: &mut Settings) {
    settings.poll_every = Duration::from_millis(200);
}
