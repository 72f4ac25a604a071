//! Workers that die between two lines: the file and its row, the object and the ledger, the ledger and
//! the end of the file. Each state is made by hand from one that a worker left.

use std::path::Path;

use crate::harness::{InProcess, Stage};

/// Two pictures in the spool of a worker that is dead, of a storage that is there again.
async fn left_in_the_spool(prompt: &str) -> (Stage, i64) {
    let stage = Stage::new().await;
    let worker = stage.worker().await;
    stage.storage_goes_away();
    let job = stage.job(prompt, 2).await;
    stage.until_spooled(2).await;
    killed_without_the_job(&stage, worker).await;
    stage.storage_comes_back();
    (stage, job)
}

/// Dead with the job given back: that of a lost worker would count an attempt.
async fn killed_without_the_job(stage: &Stage, worker: InProcess) {
    let held_back = || async {
        let held = sqlx::query(HOLD_BACK).execute(&stage.pool).await.unwrap();
        held.rows_affected() == 1
    };
    while !held_back().await {
        tokio::task::yield_now().await;
    }
    worker.killed().await;
    stage.until(NOTHING_UNDER_WAY).await;
}

/// Not for an hour, or it may be claimed before the worker is dead.
const HOLD_BACK: &str = r#"
    UPDATE photo_generation_queue SET "retryAt" = now() + interval '1 hour' WHERE status = 'pending'"#;

/// What a dead worker sent is carried out all the same.
const NOTHING_UNDER_WAY: &str = "
    SELECT count(*) = 0 FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'";

/// As it was before the row was written: with a worker that lives no more.
const WITHOUT_ROW: &str = r#"
    DELETE FROM photo_generation_workers;
    DELETE FROM photo_generation_spools;
    UPDATE photo_generation_calls
    SET spool = NULL, accepted = NULL, "deadlineAt" = now() + interval '3 minutes' WHERE state = 'calling';
    UPDATE photo_generation_queue SET status = 'pending', "retryAt" = NULL"#;

async fn finishes_without_a_call(stage: &Stage, job: i64, calls: i64) {
    stage.until_all_ended().await;
    assert_eq!(
        stage.ended_as(job).await,
        "completed 2/2 attempts 0",
        "{}",
        stage.dump().await
    );
    assert_eq!(stage.calls_of(job).await, "stored 2");
    stage.until_nothing_waits("usual").await;
    stage.assert_sound(calls).await;
}

#[tokio::test]
async fn a_file_without_its_row_is_found_by_the_next_worker_of_the_machine() {
    let (stage, job) = left_in_the_spool("a lake").await;
    stage.sql(WITHOUT_ROW).await;

    let worker = stage.worker().await;

    finishes_without_a_call(&stage, job, 2).await;
    worker.stop().await;
}

/// The storage does not answer, so nobody says that there is no object; and no attempt is counted.
#[tokio::test]
async fn a_file_without_its_row_is_found_by_an_attempt_while_the_storage_is_away() {
    let stage = Stage::new().await;
    let dead = stage.worker().await;
    let living = stage.worker().await;
    stage.storage_goes_away();
    let job = stage.job("a lake", 2).await;
    stage.until_spooled(2).await;
    killed_without_the_job(&stage, dead).await;
    stage.sql(WITHOUT_ROW).await;

    stage.until_spooled(2).await;
    stage.storage_comes_back();

    finishes_without_a_call(&stage, job, 2).await;
    living.stop().await;
}

#[tokio::test]
async fn an_object_whose_row_and_file_are_still_there_is_settled() {
    let (stage, job) = left_in_the_spool("a lake").await;
    copy(&stage.spool("usual"), stage.photos());

    let worker = stage.worker().await;

    finishes_without_a_call(&stage, job, 2).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_file_that_outlived_its_settlement_goes() {
    let (stage, job) = left_in_the_spool("a lake").await;
    let kept = tempfile::tempdir().unwrap();
    copy(&stage.spool("usual"), kept.path());
    let worker = stage.worker().await;
    finishes_without_a_call(&stage, job, 2).await;
    worker.stop().await;
    copy(kept.path(), &stage.spool("usual"));

    let worker = stage.worker().await;
    stage
        .until("SELECT count(*) = 1 FROM photo_generation_workers")
        .await;
    let spool = stage.spool("usual");
    super::until(|| super::files(&spool).is_empty()).await;

    finishes_without_a_call(&stage, job, 2).await;
    worker.stop().await;
}

/// A call that was settled as ambiguous, as nobody knew better, stays so.
#[tokio::test]
async fn a_file_whose_call_was_given_up_goes() {
    let (stage, job) = left_in_the_spool("a lake").await;
    stage
        .sql(
            r#"UPDATE photo_generation_calls SET state = 'ambiguous', "endedAt" = now(), accepted = NULL;
               UPDATE photo_generation_images SET state = 'planned', ambiguous = 1;
               UPDATE photo_generation_queue SET status = 'pending', "retryAt" = NULL"#,
        )
        .await;

    let worker = stage.worker().await;
    stage.until_all_ended().await;
    let spool = stage.spool("usual");
    super::until(|| super::files(&spool).is_empty()).await;

    assert_eq!(stage.calls_of(job).await, "ambiguous 2, stored 2");
    stage.assert_equation().await;
    worker.stop().await;
}

/// Two databases' workers that were given the same directory.
#[tokio::test]
async fn a_file_of_another_database_is_left_alone() {
    let (stage, _) = left_in_the_spool("a lake").await;
    let other = Stage::new().await;
    let mut config = other.config();
    config.worker.spool_dir = stage.spool("usual");
    let stranger = other.worker_from(config, |_| {}).await;
    other.job("a wood", 1).await;
    other.until_all_ended().await;
    stranger.stop().await;

    assert_eq!(stage.spooled("usual").len(), 2);
    let worker = stage.worker().await;
    stage.until_all_ended().await;
    stage.until_nothing_waits("usual").await;
    stage.assert_sound(2).await;
    worker.stop().await;
}

/// Also over what is there: hidden files are no pictures.
fn copy(from: &Path, to: &Path) {
    for file in super::files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, target).unwrap();
    }
}
