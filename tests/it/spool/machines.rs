//! Several workers: on one machine with one spool, and on others.

use crate::harness::Stage;

#[tokio::test]
async fn two_workers_share_a_spool() {
    let stage = Stage::new().await;
    stage.without_cap().await;
    let workers = [stage.worker().await, stage.worker().await];
    stage.storage_goes_away();
    for number in 1..=10 {
        stage.job(&format!("lake {number}"), 3).await;
    }
    stage.until_spooled(30).await;

    stage.storage_comes_back();
    stage.until_all_ended().await;

    stage.until_nothing_waits("usual").await;
    stage.assert_sound(30).await;
    let ended = stage
        .number("SELECT count(*) FROM photo_generation_queue WHERE status = 'completed' AND attempts = 0")
        .await;
    assert_eq!(ended, 10);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_picture_on_a_machine_that_is_off_is_waited_for() {
    let stage = Stage::new().await;
    let off = stage.worker_at("one").await;
    stage.storage_goes_away();
    let job = stage.job("a lake", 1).await;
    stage.until_spooled(1).await;
    off.killed().await;
    stage.storage_comes_back();

    let other = stage.worker_at("two").await;
    for _ in 0..2 {
        stage.claim_in_vain(job).await;
    }
    assert_eq!(stage.calls_of(job).await, "calling 1");
    let back = stage.worker_at("one").await;
    stage.until_all_ended().await;

    assert_eq!(stage.calls_of(job).await, "stored 1");
    stage.until_nothing_waits("one").await;
    stage.assert_sound(1).await;
    for worker in [other, back] {
        worker.stop().await;
    }
}

/// More than an hour ago, as far as the tables know.
#[tokio::test]
async fn a_machine_that_does_not_come_back_is_given_up() {
    let stage = Stage::new().await;
    let gone = stage.worker_at("one").await;
    stage.storage_goes_away();
    let job = stage.job("a lake", 1).await;
    stage.until_spooled(1).await;
    gone.killed().await;
    stage.storage_comes_back();
    stage
        .sql(
            r#"UPDATE photo_generation_spools SET "renewedAt" = now() - interval '61 minutes';
               UPDATE photo_generation_calls
               SET "startedAt" = now() - interval '63 minutes', "deadlineAt" = now() - interval '62 minutes';
               UPDATE photo_generation_queue
               SET status = 'pending', "retryAt" = now() + interval '1 hour' WHERE status = 'pending'"#,
        )
        .await;

    let other = stage.worker_at("two").await;
    stage
        .until("SELECT state = 'planned' AND ambiguous = 1 FROM photo_generation_images")
        .await;
    let call = stage
        .text(r#"SELECT concat_ws(' ', state, accepted, "errorCode") FROM photo_generation_calls"#)
        .await;
    assert_eq!(call, "ambiguous t spool_lost");
    stage
        .until("SELECT NOT EXISTS (SELECT FROM photo_generation_spools)")
        .await;
    stage
        .sql(r#"UPDATE photo_generation_queue SET "retryAt" = NULL"#)
        .await;
    stage.until_all_ended().await;
    assert_eq!(stage.calls_of(job).await, "ambiguous 1, stored 1");

    // It comes back after all: too late.
    let back = stage.worker_at("one").await;
    let spool = stage.spool("one");
    super::until(|| super::files(&spool).is_empty()).await;
    assert_eq!(stage.calls_of(job).await, "ambiguous 1, stored 1");
    stage.assert_sound(2).await;
    for worker in [other, back] {
        worker.stop().await;
    }
}
