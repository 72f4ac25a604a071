//! Who lives is not taken for dead, and who is dead is found out, whatever happens to connections
//! and locks meanwhile.

use std::time::Duration;

use crate::harness::{QUICK, Stage};

/// Twice the time after which a worker of the quick rhythm counts as dead.
const LONG: Duration = Duration::from_secs(6);

#[tokio::test]
async fn a_row_that_others_hold_locked_does_not_make_its_worker_look_dead() {
    let stage = Stage::new().await;
    let busy = stage.worker().await;
    let locked = stage.job("a lock [sim:slow=7s]", 1).await;
    let other = stage.job("a key [sim:slow=7s]", 1).await;
    stage.until_called(|log| log.len() == 2).await;
    let watcher = stage.worker().await;

    let mut lock = stage.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM photo_generation_queue WHERE id = $1 FOR UPDATE")
        .bind(locked)
        .execute(&mut *lock)
        .await
        .unwrap();
    tokio::time::sleep(LONG).await;
    lock.rollback().await.unwrap();
    stage.until_all_ended().await;

    for job in [locked, other] {
        assert_eq!(
            stage
                .text(&format!(
                    "SELECT concat_ws(' ', status, attempts, lease) FROM photo_generation_queue WHERE id = {job}"
                ))
                .await,
            "completed 0 2",
            "{}",
            stage.dump().await
        );
    }
    busy.stop().await;
    watcher.stop().await;
}

#[tokio::test]
async fn a_worker_that_failed_to_renew_once_still_takes_over_from_the_dead() {
    let stage = Stage::new().await;
    let dying = stage.worker().await;
    let job = stage.job("a candle [sim:hang@1]", 1).await;
    stage.until_called(|log| log.len() == 1).await;
    let heir = stage.worker().await;
    stage
        .until(
            "SELECT count(*) = 2 FROM photo_generation_workers WHERE \"renewedAt\" > \"startedAt\"",
        )
        .await;

    stage
        .sql(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'safelight'",
        )
        .await;
    dying.kill();
    let patience = QUICK.stale_after * 5;
    stage
        .until_within(
            &format!("SELECT status = 'completed' FROM photo_generation_queue WHERE id = {job}"),
            patience,
        )
        .await;

    stage.assert_equation().await;
    heir.stop().await;
}
