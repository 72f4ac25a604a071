//! The main job: a row becomes photos.

use crate::harness::Stage;

#[tokio::test]
async fn a_row_inserted_with_plain_sql_becomes_photos() {
    let stage = Stage::new().await;
    let worker = stage.worker().await;

    let job = stage.job("a red bicycle", 4).await;
    stage
        .until(&format!(
            "SELECT status = 'completed' FROM photo_generation_queue WHERE id = {job}"
        ))
        .await;

    assert_eq!(
        stage.text(&format!(r#"SELECT concat_ws(' ', "imagesCompleted", "imagesTotal", attempts, jsonb_array_length("imageUrls"), "lockedBy", run, "errorMessage") FROM photo_generation_queue WHERE id = {job}"#)).await,
        "4 4 0 4"
    );
    assert_eq!(stage.simulator.log().len(), 4);
    stage.assert_photos().await;
    stage.assert_equation().await;
    worker.stop().await;
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_workers")
            .await,
        0
    );
}

#[tokio::test]
async fn a_drain_ends_when_nothing_is_due() {
    let stage = Stage::new().await;
    for number in 0..10 {
        stage.job(&format!("a lake, number {number}"), 2).await;
    }

    stage.drain().await;

    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_queue WHERE status = 'completed'")
            .await,
        10
    );
    stage.assert_photos().await;
}
