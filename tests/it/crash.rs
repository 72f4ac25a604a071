//! kill -9 at each step of a job, with real processes and the production rhythm.
//!
//! In each test the victim is killed at one step while a second worker, the heir, lives beside it.
//! The heir finishes the job, buys nothing again that was stored, and the ledger says of every call
//! what is known of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use safelight::providers::simulator::CallRecord;
use tokio::time::Instant;

use crate::harness::{PATIENCE, PictureHost, Process, Stage, hangs};

/// The contract: a dead worker's jobs run again this soon, also when the next worker starts late.
const BACK_WITHIN: Duration = Duration::from_mins(1);
/// Longer than 30 s without a renewal is dead.
const AS_IF_DEAD: Duration = Duration::from_secs(36);
/// A picture may be stored faster than we kill; then it was another test, and we try again.
const KILLS: i64 = 5;

#[tokio::test]
async fn killed_before_the_first_call_a_job_runs_again() {
    let stage = Stage::new().await;
    let host = PictureHost::start().await;
    let allow = format!("--image-fetch-allow={}", host.address);
    let job = stage.job("a portrait by the sea", 2).await;
    stage
        .sql(&format!(
            r#"UPDATE photo_generation_queue SET "trainingImageUrls" = '["http://{}/me.png"]' WHERE id = {job}"#,
            host.address
        ))
        .await;
    let victim = stage.process(&["--worker-id=victim", &allow]);

    host.until_asked().await;
    let heir = heir(&stage, &[&allow]).await;
    victim.kill_9().await;
    stage.until_all_ended().await;

    assert_eq!(stage.end_of(job).await, "completed 2/2 attempts 1 lease 4");
    assert_eq!(stage.calls_of(job).await, "stored 2");
    stage.assert_sound(2).await;
    drop(heir);
}

#[tokio::test]
async fn killed_during_a_call_only_that_image_is_called_again() {
    let stage = Stage::new().await;
    let victim = stage.process(&["--worker-id=victim"]);
    let job = stage.job("three red bicycles [sim:hang@2]", 3).await;

    stage.until_called(hangs).await;
    stage.until_stored(job, 2).await;
    let heir = heir(&stage, &[]).await;
    victim.kill_9().await;
    stage.until_all_ended().await;

    assert_eq!(stage.end_of(job).await, "completed 3/3 attempts 1 lease 4");
    assert_eq!(stage.calls_of(job).await, "ambiguous 1, stored 3");
    stage.assert_sound(4).await;
    drop(heir);
}

#[tokio::test]
async fn killed_between_the_answer_and_the_object_the_call_is_ambiguous() {
    let stage = Stage::new().await;
    let mut kills = 0;
    let job = loop {
        kills += 1;
        let victim = stage.process(&["--worker-id=victim"]);
        let job = stage
            .job(&format!("noise, number {kills} [sim:huge@1]"), 1)
            .await;
        let call_of_this_job =
            |call: &CallRecord| call.prompt.contains(&format!("number {kills} "));
        stage
            .until_called(|log| {
                log.iter()
                    .any(|call| call_of_this_job(call) && call.answered_at_ms.is_some())
            })
            .await;
        victim.kill_9().await;
        let folder = stage
            .text(&format!(
                r#"SELECT concat('7/', "jobId") FROM photo_generation_queue WHERE id = {job}"#
            ))
            .await;
        if objects(&stage.photos().join(folder)).is_empty() {
            break job;
        }
        assert!(kills < KILLS, "no kill was fast enough");
    };

    let heir = heir(&stage, &[]).await;
    stage.until_all_ended().await;

    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 1 lease 4");
    assert_eq!(stage.calls_of(job).await, "ambiguous 1, stored 1");
    // The kills that came too late cost nothing: their objects are found.
    stage.assert_sound(kills + 1).await;
    drop(heir);
}

#[tokio::test]
async fn killed_between_the_object_and_the_row_the_object_is_found_and_not_bought_again() {
    let stage = Stage::new().await;
    let victim = stage.process(&["--worker-id=victim"]);
    let job = stage.job("two quiet lakes [sim:slow=3s]", 2).await;
    stage.until_called(|log| log.len() == 2).await;

    // Between `calling` and `stored`: the latter now waits for us.
    let mut lock = stage.pool.begin().await.unwrap();
    let states: Vec<String> = sqlx::query_scalar(
        r#"SELECT state FROM photo_generation_images WHERE "jobId" = $1 FOR UPDATE"#,
    )
    .bind(job)
    .fetch_all(&mut *lock)
    .await
    .unwrap();
    assert_eq!(states, ["calling", "calling"]);
    let photos = stage.photos().to_owned();
    until(|| objects(&photos).len() == 2).await;
    stage.until_waiting(1).await;
    let heir = heir(&stage, &[]).await;
    let bought = objects(&photos);
    victim.kill_9().await;
    stage.end_waiting().await;
    lock.rollback().await.unwrap();
    assert_eq!(stage.calls_of(job).await, "calling 2");
    stage.until_all_ended().await;

    assert_eq!(stage.end_of(job).await, "completed 2/2 attempts 1 lease 4");
    assert_eq!(stage.calls_of(job).await, "stored 2");
    assert_eq!(objects(&photos), bought);
    stage.assert_sound(2).await;
    drop(heir);
}

#[tokio::test]
async fn killed_before_the_finish_a_job_ends_without_a_call() {
    let stage = Stage::new().await;
    let job = stage.job("a mountain at dusk", 2).await;
    stage
        .sql(&format!(
            r#"INSERT INTO photo_generation_batches (id) VALUES (1);
               UPDATE photo_generation_queue SET "batchId" = 1 WHERE id = {job}"#
        ))
        .await;
    let mut lock = stage.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM photo_generation_batches FOR UPDATE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let victim = stage.process(&["--worker-id=victim"]);

    stage.until_stored(job, 2).await;
    stage.until_waiting(1).await;
    let heir = heir(&stage, &[]).await;
    victim.kill_9().await;
    stage.end_waiting().await;
    lock.rollback().await.unwrap();
    assert_eq!(stage.status(job).await, "processing");
    stage.until_all_ended().await;

    assert_eq!(stage.end_of(job).await, "completed 2/2 attempts 1 lease 4");
    assert_eq!(
        stage
            .text("SELECT status FROM photo_generation_batches")
            .await,
        "completed"
    );
    stage.assert_sound(2).await;
    drop(heir);
}

#[tokio::test]
async fn a_new_worker_of_the_same_name_takes_over_within_a_minute() {
    let stage = Stage::new().await;
    let dead = stage.process(&["--worker-id=only"]);
    let job = stage.job("two red bicycles [sim:hang@2]", 2).await;
    stage.until_called(hangs).await;
    stage.until_stored(job, 1).await;
    dead.kill_9().await;

    let started = Instant::now();
    let reborn = stage.process(&["--worker-id=only"]);
    stage.until_all_ended().await;

    assert!(started.elapsed() < BACK_WITHIN, "{:?}", started.elapsed());
    assert_eq!(stage.end_of(job).await, "completed 2/2 attempts 1 lease 4");
    assert_eq!(stage.calls_of(job).await, "ambiguous 1, stored 2");
    stage.assert_sound(3).await;
    drop(reborn);
}

#[tokio::test]
async fn a_worker_that_wakes_after_its_job_was_taken_over_writes_nothing() {
    let stage = Stage::new().await;
    let zombie = stage.process(&["--worker-id=zombie"]);
    // Of two images one is refused, so that no count stands in the way of a third.
    let job = stage
        .job("a long night [sim:slow=5s@1] [sim:safety@2]", 2)
        .await;
    stage
        .until("SELECT count(*) = 1 FROM photo_generation_calls WHERE state = 'refused'")
        .await;
    assert_eq!(stage.calls_of(job).await, "calling 1, refused 1");
    zombie.signal("STOP");
    let stopped = Instant::now();

    let heir = heir(&stage, &[]).await;
    stage.until_all_ended().await;
    tokio::time::sleep_until(stopped + AS_IF_DEAD).await;
    let before = every_row(&stage).await;
    // It cannot renew, and so learns from nobody that the job is not its own any more: it takes the
    // answer that lies there, stores the picture, and tries to say so.
    let mut lock = stage.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE photo_generation_workers IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    zombie.signal("CONT");
    zombie.said("no longer ours").await;
    lock.rollback().await.unwrap();

    assert_eq!(objects(stage.photos()).len(), 2);
    assert_eq!(every_row(&stage).await, before);
    heir.said("job reclaimed").await;
    heir.said("lost_by=zombie").await;
    heir.said("abandoned call settled").await;
    assert_eq!(stage.end_of(job).await, "completed 1/2 attempts 1 lease 4");
    assert_eq!(
        stage.calls_of(job).await,
        "ambiguous 1, refused 1, stored 1"
    );
    stage.assert_sound(3).await;

    // It is a good worker again.
    heir.kill_9().await;
    let next = stage.job("a new day", 1).await;
    stage.until_all_ended().await;
    assert_eq!(stage.end_of(next).await, "completed 1/1 attempts 0 lease 2");
    assert_eq!(zombie.exit_code_after("TERM").await, Some(0));
}

/// Starts the worker that will take over.
async fn heir(stage: &Stage, more: &[&str]) -> Process {
    let mut arguments = vec!["--worker-id=heir"];
    arguments.extend(more);
    let heir = stage.process(&arguments);
    heir.said("worker started").await;
    heir
}

/// Every row of every table but the register of workers, with the transaction that wrote it.
async fn every_row(stage: &Stage) -> String {
    let mut rows = String::new();
    for table in [
        "queue",
        "images",
        "calls",
        "batches",
        "batch_checks",
        "limits",
        "settings",
    ] {
        rows += &stage
            .text(&format!(
                "SELECT string_agg(concat_ws(' ', t.xmin, t.ctid, t), E'\\n' ORDER BY t.ctid)
                 FROM photo_generation_{table} AS t"
            ))
            .await;
        rows.push('\n');
    }
    rows
}

/// The objects in storage, temporary files left out.
fn objects(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(objects(&path));
        } else if !path.file_name().unwrap().to_str().unwrap().starts_with('.') {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Waits for something outside of the database.
async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("it never came to it");
}
