//! A worker dies between two steps: the next one asks for what is missing and for nothing else.

use safelight::providers::simulator::CallOutcome;

use super::{FACE, GARMENT, RENDER};
use crate::harness::{Stage, hangs};

#[tokio::test]
async fn a_step_that_was_finished_is_never_bought_again() {
    for (at, others, expected) in [
        (FACE, "garment-1", (3, 1, 1)),
        (GARMENT, "face", (2, 2, 1)),
        (RENDER, "face", (2, 1, 2)),
    ] {
        let stage = Stage::new().await;
        let coat = stage.garment([20, 20, 90]);
        stage.spoil(at, "hang", 1);
        let victim = stage.worker().await;
        let job = stage.tryon(&[coat]).await;
        stage.until_called(hangs).await;
        stage
            .until(&format!(
                "SELECT state = 'stored' FROM photo_generation_steps WHERE step = '{others}'"
            ))
            .await;

        victim.killed().await;
        let heir = stage.worker().await;
        stage.until_all_ended().await;

        assert_eq!(
            stage.end_of(job).await,
            "completed 1/1 attempts 1 lease 4",
            "{at}"
        );
        let calls = (
            stage.called(FACE),
            stage.called(GARMENT),
            stage.called(RENDER),
        );
        assert_eq!(calls, expected, "{at}");
        assert_eq!(stage.calls_of(job).await, "ambiguous 1, stored 4", "{at}");
        stage.assert_sound(5).await;
        heir.stop().await;
    }
}

#[tokio::test]
async fn a_step_whose_end_nobody_saw_twice_is_done_without() {
    let stage = Stage::new().await;
    let coat = stage.garment([20, 20, 90]);
    stage.spoil(GARMENT, "hang", 2);
    let job = stage.tryon(&[coat]).await;
    for deaths in 1..=2 {
        let victim = stage.worker().await;
        stage
            .until_called(|log| {
                log.iter()
                    .filter(|call| call.outcome == CallOutcome::Hang)
                    .count()
                    == deaths
            })
            .await;
        // The question about the face has been answered: it is not cut off as well.
        stage
            .until("SELECT count(*) = 1 FROM photo_generation_calls WHERE state = 'calling'")
            .await;
        victim.killed().await;
    }

    let heir = stage.worker().await;
    stage.until_all_ended().await;

    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 2 lease 6");
    assert_eq!(
        stage.steps_of(job).await,
        "check stored, face stored, garment-1 ambiguous"
    );
    assert_eq!(stage.calls_of(job).await, "ambiguous 2, stored 3");
    stage.assert_sound(5).await;
    heir.stop().await;
}

#[tokio::test]
async fn killed_between_the_object_and_the_row_the_garment_is_found_and_not_bought_again() {
    let stage = Stage::new().await;
    let coat = stage.garment([20, 20, 90]);
    stage.spoil(GARMENT, "slow=5s", 1);
    let victim = stage.worker().await;
    let job = stage.tryon(&[coat]).await;
    stage
        .until("SELECT state = 'calling' FROM photo_generation_steps WHERE step = 'garment-1'")
        .await;
    stage
        .until("SELECT state = 'stored' FROM photo_generation_steps WHERE step = 'face'")
        .await;

    // What says that it is stored now waits for us.
    let mut lock = stage.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM photo_generation_steps WHERE step = 'garment-1' FOR UPDATE")
        .execute(&mut *lock)
        .await
        .unwrap();
    stage.until_waiting(1).await;
    victim.killed().await;
    stage.end_waiting().await;
    lock.rollback().await.unwrap();
    assert_eq!(stage.steps_of(job).await, "face stored, garment-1 calling");
    let heir = stage.worker().await;
    stage.until_all_ended().await;

    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 1 lease 4");
    assert_eq!(stage.calls_of(job).await, "stored 4");
    stage.assert_sound(4).await;
    heir.stop().await;
}
