//! SIGTERM and `--drain`: a worker that ends loses nothing that was paid for, counts no attempt and
//! leaves no trace in the register.

use std::time::Duration;

use safelight::worker::Until;
use tokio::time::Instant;

use crate::harness::{PictureHost, QUICK, Stage, hangs};

/// Of one process calls to the default model, seed 000's number.
const CALLS_AT_ONCE: usize = 4;
/// To let go of everything takes a few statements.
const AT_ONCE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn sigterm_lets_paid_calls_finish_and_hands_the_rest_back() {
    let stage = Stage::new().await;
    let worker = stage.process(&[]);
    let job = stage.job("six lakes [sim:slow=4s]", 6).await;
    stage.until_called(|log| log.len() == CALLS_AT_ONCE).await;

    worker.signal("TERM");
    worker.said("stopping").await;
    let later = stage.job("a seventh lake", 1).await;

    assert_eq!(worker.exit_code().await, Some(0));
    assert_eq!(stage.end_of(job).await, "pending 4/6 attempts 0 lease 2");
    assert_eq!(stage.calls_of(job).await, "stored 4");
    assert_eq!(stage.end_of(later).await, "pending 0/ attempts 0 lease 0");
    assert_eq!(due_now(&stage).await, 2);
    assert_eq!(workers(&stage).await, 0);

    let next = stage.process(&["--drain"]);
    assert_eq!(next.exit_code().await, Some(0));
    assert_eq!(stage.end_of(job).await, "completed 6/6 attempts 0 lease 4");
    assert_eq!(stage.calls_of(job).await, "stored 6");
    assert_eq!(stage.status(later).await, "completed");
    stage.assert_sound(7).await;
}

#[tokio::test]
async fn a_second_sigterm_gives_everything_back_at_once() {
    let stage = Stage::new().await;
    let worker = stage.process(&[]);
    let job = stage.job("two lakes [sim:hang@1]", 2).await;
    stage.until_called(hangs).await;
    stage.until_stored(job, 1).await;

    worker.signal("TERM");
    worker.said("stopping").await;
    assert_eq!(stage.status(job).await, "processing");
    let asked = Instant::now();

    assert_eq!(worker.exit_code_after("TERM").await, Some(0));
    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    assert_given_back_in_the_middle_of_a_call(&stage, job).await;
}

#[tokio::test]
async fn when_the_grace_time_is_over_everything_is_given_back() {
    let stage = Stage::new().await;
    let worker = stage.process(&["--shutdown-grace-seconds=3"]);
    let job = stage.job("two lakes [sim:hang@1]", 2).await;
    stage.until_called(hangs).await;
    stage.until_stored(job, 1).await;

    let asked = Instant::now();
    assert_eq!(worker.exit_code_after("TERM").await, Some(0));

    let took = asked.elapsed();
    let grace = Duration::from_secs(3);
    assert!((grace..grace + AT_ONCE).contains(&took), "{took:?}");
    assert_given_back_in_the_middle_of_a_call(&stage, job).await;
}

#[tokio::test]
async fn a_job_that_waits_for_its_inputs_is_handed_back_at_once() {
    let stage = Stage::new().await;
    let host = PictureHost::start().await;
    let job = stage.job("a portrait", 1).await;
    stage
        .sql(&format!(
            r#"UPDATE photo_generation_queue SET "trainingImageUrls" = '["http://{}/me.png"]' WHERE id = {job}"#,
            host.address
        ))
        .await;
    let worker = stage.process(&[&format!("--image-fetch-allow={}", host.address)]);
    host.until_asked().await;

    let asked = Instant::now();
    assert_eq!(worker.exit_code_after("TERM").await, Some(0));

    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    assert_eq!(stage.end_of(job).await, "pending 0/1 attempts 0 lease 2");
    assert_eq!(due_now(&stage).await, 1);
    assert_eq!(workers(&stage).await, 0);
    stage.assert_sound(0).await;
}

#[tokio::test]
async fn an_idle_worker_ends_within_a_second() {
    let stage = Stage::new().await;
    let worker = stage.process(&[]);
    stage
        .until("SELECT idle FROM photo_generation_workers")
        .await;

    let asked = Instant::now();
    assert_eq!(worker.exit_code_after("TERM").await, Some(0));

    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(workers(&stage).await, 0);
}

#[tokio::test]
async fn a_drain_waits_until_the_jobs_of_the_dead_are_taken_back_and_done() {
    let stage = Stage::new().await;
    let dead = stage.process(&[]);
    let job = stage.job("two lakes [sim:hang@1]", 2).await;
    stage.until_called(hangs).await;
    stage.until_stored(job, 1).await;
    dead.kill_9().await;

    // So soon after its death nobody can know of it.
    let drain = stage.process(&["--drain"]);

    assert_eq!(drain.exit_code().await, Some(0));
    assert_eq!(stage.end_of(job).await, "completed 2/2 attempts 1 lease 4");
    assert_eq!(stage.calls_of(job).await, "ambiguous 1, stored 2");
    stage.assert_sound(3).await;
}

#[tokio::test]
async fn a_drain_does_not_wait_for_the_jobs_of_the_living() {
    let stage = Stage::new().await;
    let busy = stage.worker().await;
    let job = stage.job("an endless lake [sim:hang]", 1).await;
    stage.until_called(hangs).await;

    let drain = stage.worker_with(|settings| {
        settings.until = Until::Drained;
        // What it waits for does not wake it.
        settings.poll_every = Duration::from_mins(1);
    });
    tokio::time::timeout(QUICK.stale_after, drain.await.ended())
        .await
        .expect("the drain did not end");

    assert_eq!(stage.end_of(job).await, "processing 0/1 attempts 0 lease 1");
    busy.kill();
}

/// The call is ambiguous and nothing is counted; the next worker calls once more, for the image
/// that is missing.
async fn assert_given_back_in_the_middle_of_a_call(stage: &Stage, job: i64) {
    assert_eq!(stage.end_of(job).await, "pending 1/2 attempts 0 lease 2");
    assert_eq!(stage.calls_of(job).await, "ambiguous 1, stored 1");
    assert_eq!(due_now(stage).await, 1);
    assert_eq!(workers(stage).await, 0);

    stage.drain().await;
    assert_eq!(stage.end_of(job).await, "completed 2/2 attempts 0 lease 4");
    stage.assert_sound(3).await;
}

async fn due_now(stage: &Stage) -> i64 {
    stage
        .number(
            r#"SELECT count(*) FROM photo_generation_queue
               WHERE status = 'pending' AND "retryAt" IS NULL AND "errorCode" IS NULL"#,
        )
        .await
}

async fn workers(stage: &Stage) -> i64 {
    stage
        .number("SELECT count(*) FROM photo_generation_workers")
        .await
}
