//! A worker dies while its drawing is looked at, or drawn once more: what was drawn is there.

use std::time::Duration;

use super::{FAR, NO_CALL_IS_OPEN, OWN};
use crate::harness::{Stage, hangs};
use crate::tryon::{FACE, RENDER};

/// What is found out about a drawing until the worker dies.
async fn check(prepare: impl Fn(&Stage), drawn: i64, calls: &str) {
    let stage = Stage::new().await;
    prepare(&stage);
    let victim = stage.worker().await;
    let job = stage.usual_tryon().await;
    stage.until_called(hangs).await;

    victim.killed().await;
    let heir = stage.worker().await;
    stage.until_all_ended().await;
    stage
        .until_within(NO_CALL_IS_OPEN, Duration::from_secs(30))
        .await;

    let end = stage.end_of(job).await;
    assert!(end.starts_with("completed 1/1 attempts 1"), "{end}");
    assert_eq!(stage.called(RENDER), drawn);
    assert_eq!(stage.calls_of(job).await, calls);
    stage.assert_one_kept(job, "image 1").await;
    heir.stop().await;
}

#[tokio::test]
async fn in_the_first_look_the_first_drawing_stands() {
    let prepare = |stage: &Stage| {
        stage.drawn_with_faces(&[]);
        stage.spoil(FACE, "hang", 1);
    };
    check(prepare, 1, "ambiguous 1, stored 3").await;
}

#[tokio::test]
async fn in_the_second_drawing_the_first_one_stands_and_there_is_no_third() {
    let prepare = |stage: &Stage| {
        stage.drawn_with_faces(&[FAR]);
        stage.spoil(RENDER, "slow=0ms", 1);
        stage.spoil(RENDER, "hang", 1);
    };
    check(prepare, 2, "ambiguous 1, stored 4").await;
}

#[tokio::test]
async fn in_the_second_look_the_first_drawing_stands_and_the_other_is_removed() {
    let prepare = |stage: &Stage| {
        stage.drawn_with_faces(&[FAR]);
        stage.spoil(FACE, "hang", 1);
    };
    check(prepare, 2, "ambiguous 1, stored 5").await;
}

#[tokio::test]
async fn when_all_is_known_the_heir_keeps_the_better_one() {
    let stage = Stage::new().await;
    stage.drawn_with_faces(&[FAR, OWN]);
    let victim = stage.worker().await;
    // What says that the image is stored waits for us.
    let job = stage.usual_tryon().await;
    stage
        .until("SELECT state = 'calling' FROM photo_generation_images")
        .await;
    let mut lock = stage.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM photo_generation_images FOR UPDATE")
        .execute(&mut *lock)
        .await
        .unwrap();
    stage
        .until(
            "SELECT EXISTS (SELECT FROM photo_generation_steps
                            WHERE step = 'recheck' AND state = 'stored')",
        )
        .await;
    stage.until_waiting(1).await;
    victim.killed().await;
    stage.end_waiting().await;
    lock.rollback().await.unwrap();
    let held = "SELECT state FROM photo_generation_images";
    assert_eq!(stage.text(held).await, "calling");
    let heir = stage.worker().await;
    stage.until_all_ended().await;

    let end = stage.end_of(job).await;
    assert!(end.starts_with("completed 1/1 attempts 1"), "{end}");
    assert_eq!(stage.called(RENDER), 2);
    assert_eq!(stage.calls_of(job).await, "stored 6");
    stage.assert_one_kept(job, "redraw").await;
    // What the first drawing has used is known, whoever has settled its call.
    let known = r#"SELECT (count(*) FILTER (WHERE "outputTokens" IS NULL))::text
                   FROM photo_generation_calls WHERE index = 1"#;
    assert_eq!(stage.text(known).await, "0");
    heir.stop().await;
}
