//! One hook and one credit for one image, however often it was drawn; and none is lost with its job.

use super::{FAR, NO_CALL_IS_OPEN, NOTHING_TO_REMOVE, OWN};
use crate::harness::{Stage, hangs};
use crate::tryon::{FACE, RENDER};

/// An app that pays and has a table of its own.
async fn app() -> Stage {
    let stage = Stage::new().await;
    stage.pays("ledger").await;
    stage.grant("user:7", 10).await;
    stage
        .sql(
            "CREATE TABLE photos (key text);
             CREATE OR REPLACE FUNCTION photo_generation_on_image(image photo_generation_images)
                 RETURNS void LANGUAGE sql AS
                 $$ INSERT INTO photos VALUES (image.\"storageKey\") $$",
        )
        .await;
    stage
}

#[tokio::test]
async fn of_two_drawings_one_is_paid_and_told_of() {
    let stage = app().await;
    stage.drawn_with_faces(&[FAR, OWN]);

    let job = stage.usual_tryon().await;
    stage.drain().await;

    stage.assert_one_kept(job, "redraw").await;
    assert_eq!(
        stage.book("user:7").await,
        "left 9 reserved 0 captured 1 refunded 0"
    );
    let told = r#"SELECT string_agg(key, ' ') = (SELECT "storageKey" FROM photo_generation_images)
                  FROM photos"#;
    assert_eq!(stage.text(&format!("SELECT ({told})::text")).await, "true");
    let shown = r#"SELECT ("imageUrls" ->> 0 = (SELECT "storageKey" FROM photo_generation_images)
                           AND jsonb_array_length("imageUrls") = 1)::text
                   FROM photo_generation_queue"#;
    assert_eq!(stage.text(shown).await, "true");
}

#[tokio::test]
async fn a_drawing_that_is_refused_is_given_back() {
    let stage = app().await;
    stage.spoil(RENDER, "safety", 1);

    let job = stage.usual_tryon().await;
    stage.drain().await;

    assert_eq!(stage.end_of(job).await, "failed 0/1 attempts 0 lease 2");
    let error = r#"SELECT "errorCode" FROM photo_generation_queue"#;
    assert_eq!(stage.text(error).await, "moderation_output");
    assert_eq!(
        stage.steps_of(job).await,
        "face stored, garment-1 stored",
        "nothing is looked at that was not drawn"
    );
    assert_eq!(
        stage.book("user:7").await,
        "left 10 reserved 0 captured 0 refunded 1"
    );
    assert_eq!(stage.number("SELECT count(*) FROM photos").await, 0);
}

#[tokio::test]
async fn a_job_that_is_canceled_while_its_drawing_is_looked_at_keeps_what_it_paid_for() {
    let stage = app().await;
    stage.drawn_with_faces(&[]);
    stage.spoil(FACE, "hang", 1);
    let worker = stage.worker().await;
    let job = stage.usual_tryon().await;
    stage.until_called(hangs).await;

    stage
        .sql(&format!(
            "UPDATE photo_generation_queue SET status = 'canceled' WHERE id = {job}"
        ))
        .await;
    stage.until(NO_CALL_IS_OPEN).await;

    assert_eq!(stage.end_of(job).await, "canceled 1/1 attempts 0 lease 2");
    stage.assert_one_kept(job, "image 1").await;
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_expires_while_its_drawing_is_looked_at_has_it() {
    let stage = app().await;
    stage.drawn_with_faces(&[]);
    stage.spoil(FACE, "slow=3s", 1);
    let worker = stage.worker().await;
    let job = stage.usual_tryon().await;
    stage
        .until("SELECT state = 'calling' FROM photo_generation_steps WHERE step = 'check'")
        .await;

    stage
        .sql(&format!(
            r#"UPDATE photo_generation_queue SET "expiresAt" = now() WHERE id = {job}"#
        ))
        .await;
    stage.until_all_ended().await;

    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 2");
    stage.assert_one_kept(job, "image 1").await;
    worker.stop().await;
}

#[tokio::test]
async fn a_second_drawing_that_the_storage_does_not_take_is_removed_when_it_does() {
    let stage = app().await;
    stage.drawn_with_faces(&[FAR]);
    stage.spoil(RENDER, "slow=0ms", 1);
    stage.spoil(RENDER, "slow=1s", 1);
    let worker = stage.worker_at("one").await;
    let job = stage.usual_tryon().await;
    stage
        .until("SELECT state = 'calling' FROM photo_generation_steps WHERE step = 'redraw'")
        .await;

    stage.storage_goes_away();
    stage.until_spooled(1).await;
    stage.until_all_ended().await;
    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 2");
    stage.storage_comes_back();
    stage.until(NO_CALL_IS_OPEN).await;

    assert_eq!(
        stage.steps_of(job).await,
        "check stored, face stored, garment-1 stored, recheck planned, redraw stored"
    );
    stage.assert_one_kept(job, "image 1").await;
    worker.stop().await;
}

#[tokio::test]
async fn a_drawing_that_waits_for_the_storage_is_not_looked_at() {
    let stage = app().await;
    stage.spoil(RENDER, "slow=1s", 1);
    let worker = stage.worker_at("one").await;
    let job = stage.usual_tryon().await;
    stage
        .until("SELECT state = 'calling' FROM photo_generation_images")
        .await;

    stage.storage_goes_away();
    stage.until_spooled(1).await;
    stage.storage_comes_back();
    stage.until_all_ended().await;

    assert_eq!(stage.ended_as(job).await, "completed 1/1 attempts 0");
    assert_eq!(stage.steps_of(job).await, "face stored, garment-1 stored");
    stage.assert_one_kept(job, "image 1").await;
    worker.stop().await;
}

#[tokio::test]
async fn what_was_drawn_for_nothing_goes_with_its_job() {
    let stage = Stage::new().await;
    stage.drawn_with_faces(&[FAR, OWN]);
    let job = stage.usual_tryon().await;
    stage.drain().await;
    let drawn = stage.drawings_of(job).await;
    // As if nobody had noted the first drawing.
    stage
        .sql(
            r#"DELETE FROM photo_generation_removals;
               UPDATE photo_generation_calls SET "startedAt" = now() - interval '40 days';
               UPDATE photo_generation_queue SET "completedAt" = now() - interval '40 days'"#,
        )
        .await;

    let pruned = stage
        .safelight(&["prune", "--completed-days=30", "--objects", "--yes"])
        .await;
    assert!(pruned.stdout.starts_with("1 job is pruned"), "{pruned:?}");
    let worker = stage.worker().await;
    stage.until(NOTHING_TO_REMOVE).await;
    worker.stop().await;

    let left: Vec<_> = drawn.iter().filter(|picture| picture.exists()).collect();
    assert_eq!((drawn.len(), left.len()), (2, 0));
}
