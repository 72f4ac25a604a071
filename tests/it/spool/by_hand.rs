//! What hands and time do to a job while a picture of it waits.

use crate::harness::{InProcess, Stage};
use crate::ops::psql::psql;

/// A job of two pictures, one of which is stored and one waits.
async fn half_stored() -> (Stage, InProcess, i64) {
    let stage = Stage::new().await;
    let worker = stage.worker().await;
    let job = stage.job("a lake [sim:slow=1s@2]", 2).await;
    stage.until_stored(job, 1).await;
    stage.storage_goes_away();
    stage.until_spooled(1).await;
    stage
        .until(&format!(
            "SELECT status = 'pending' FROM photo_generation_queue WHERE id = {job}"
        ))
        .await;
    (stage, worker, job)
}

async fn images(stage: &Stage, job: i64) -> String {
    stage
        .text(&format!(
            r#"SELECT string_agg(state, ' ' ORDER BY state) FROM photo_generation_images WHERE "jobId" = {job}"#
        ))
        .await
}

#[tokio::test]
async fn of_a_canceled_job_the_picture_is_stored_and_recorded() {
    let (stage, worker, job) = half_stored().await;

    psql(&stage, "cancel_write.sql", &[&format!("job={job}")]).await;
    stage.storage_comes_back();
    stage.until_nothing_waits("usual").await;

    assert_eq!(images(&stage, job).await, "stored stored");
    assert_eq!(stage.ended_as(job).await, "canceled 2/2 attempts 0");
    stage.assert_sound(2).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_is_requeued_or_made_again_keeps_its_picture() {
    let (stage, worker, job) = half_stored().await;

    psql(&stage, "requeue_write.sql", &[&format!("job={job}")]).await;
    let waits_again = format!(
        r#"SELECT status = 'pending' AND "retryAt" > now() FROM photo_generation_queue WHERE id = {job}"#
    );
    stage.until(&waits_again).await;
    psql(&stage, "cancel_write.sql", &[&format!("job={job}")]).await;
    psql(&stage, "retry_write.sql", &[&format!("job={job}")]).await;
    stage.until(&waits_again).await;
    assert_eq!(images(&stage, job).await, "calling stored");
    stage.storage_comes_back();
    stage.until_all_ended().await;

    assert_eq!(stage.ended_as(job).await, "completed 2/2 attempts 0");
    stage.until_nothing_waits("usual").await;
    stage.assert_sound(2).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_expires_meanwhile_gets_its_picture_all_the_same() {
    let stage = Stage::new().await;
    let worker = stage.worker().await;
    stage.storage_goes_away();
    let job = stage.job("a lake", 1).await;
    stage
        .sql(&format!("INSERT INTO photo_generation_batches (id) VALUES (1); UPDATE photo_generation_queue SET \"batchId\" = 1 WHERE id = {job}"))
        .await;
    stage.until_spooled(1).await;

    stage
        .sql(r#"UPDATE photo_generation_queue SET "expiresAt" = now()"#)
        .await;
    stage
        .until("SELECT status = 'failed' FROM photo_generation_queue")
        .await;
    stage
        .until("SELECT status = 'failed' FROM photo_generation_batches")
        .await;
    stage.storage_comes_back();
    stage.until_nothing_waits("usual").await;

    let row = stage
        .text(r#"SELECT concat_ws(' ', status, "imagesCompleted", "errorCode") FROM photo_generation_queue"#)
        .await;
    assert_eq!(row, "completed 1");
    stage
        .until("SELECT status = 'completed' FROM photo_generation_batches")
        .await;
    stage.assert_sound(1).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_expires_while_it_is_worked_gets_it_too() {
    let stage = Stage::new().await;
    let worker = stage.worker().await;
    stage.storage_goes_away();
    let job = stage.job("a lake [sim:slow=4s@2]", 2).await;
    stage
        .sql(r#"UPDATE photo_generation_queue SET "expiresAt" = now() + interval '2 seconds'"#)
        .await;
    stage.until_spooled(1).await;
    stage.storage_comes_back();
    stage.until_all_ended().await;
    stage.until_nothing_waits("usual").await;

    assert_eq!(stage.ended_as(job).await, "completed 2/2 attempts 0");
    stage.assert_sound(2).await;
    worker.stop().await;
}

#[tokio::test]
async fn of_a_deleted_job_the_call_and_the_object_stay() {
    let (stage, worker, job) = half_stored().await;

    psql(&stage, "delete_job_write.sql", &[&format!("job={job}")]).await;
    stage.storage_comes_back();
    stage.until_nothing_waits("usual").await;

    assert_eq!(stage.calls_of(job).await, "stored 2");
    assert_eq!(super::files(stage.photos()).len(), 2);
    stage.assert_equation().await;
    worker.stop().await;
}
