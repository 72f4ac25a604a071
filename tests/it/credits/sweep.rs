//! What no trigger saw, or could decide, the next sweep settles.

use super::ledger;
use crate::harness::Stage;

/// Waits until a worker has settled what was left.
async fn until_settled(stage: &Stage) {
    let worker = stage.worker().await;
    stage
        .until("SELECT NOT EXISTS (SELECT FROM photo_generation_credit_reservations)")
        .await;
    worker.stop().await;
}

#[tokio::test]
async fn what_was_done_with_the_triggers_switched_off_is_settled() {
    let stage = ledger(&[("user:7", 20)]).await;
    let canceled = stage.job("a lake", 3).await;
    let deleted = stage.job("a hill", 4).await;
    let waits = stage.job("a wood", 2).await;
    stage
        .sql("INSERT INTO photo_generation_pauses (what) VALUES ('all')")
        .await;
    stage.image(canceled, 2, "calling").await;

    stage
        .sql(&format!(
            r#"SET session_replication_role = replica;
               UPDATE photo_generation_images SET state = 'stored', "storageKey" = 'k', "mimeType" = 'm',
                      bytes = 1, width = 1, height = 1, sha256 = 'x';
               UPDATE photo_generation_queue SET status = 'canceled' WHERE id = {canceled};
               DELETE FROM photo_generation_queue WHERE id = {deleted};
               SET session_replication_role = DEFAULT"#
        ))
        .await;
    let worker = stage.worker().await;
    stage
        .until("SELECT count(*) = 1 FROM photo_generation_credit_reservations")
        .await;
    worker.stop().await;

    assert_eq!(
        stage.settled(canceled).await,
        "1 refund canceled, 2 capture, 3 refund canceled"
    );
    assert!(stage.settled(deleted).await.starts_with("1 refund deleted"));
    assert_eq!(stage.settled(waits).await, "");
    assert_eq!(
        stage.book("user:7").await,
        "left 17 reserved 2 captured 1 refunded 6"
    );
}

#[tokio::test]
async fn an_old_snapshot_decides_nothing() {
    let stage = ledger(&[("user:7", 2)]).await;
    let job = stage.job("a lake", 2).await;
    stage
        .sql("INSERT INTO photo_generation_pauses (what) VALUES ('all')")
        .await;
    stage.image(job, 1, "planned").await;
    stage.image(job, 2, "planned").await;
    let mut app = stage.pool.begin().await.unwrap();
    let mut run = async |sql: &'static str| {
        sqlx::raw_sql(sql).execute(&mut *app).await.unwrap();
    };
    run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await;
    run("SELECT count(*) FROM photo_generation_images").await;
    stage.image(job, 1, "calling").await;

    // It still sees the image as planned.
    run("UPDATE photo_generation_queue SET status = 'canceled'").await;
    app.commit().await.unwrap();
    assert_eq!(stage.settled(job).await, "");
    let worker = stage.worker().await;
    stage
        .until("SELECT open = '{1}' FROM photo_generation_credit_reservations")
        .await;
    stage.image(job, 1, "stored").await;
    worker.stop().await;

    assert_eq!(stage.settled(job).await, "1 capture, 2 refund canceled");
    assert_eq!(
        stage.book("user:7").await,
        "left 1 reserved 0 captured 1 refunded 1"
    );
}

#[tokio::test]
async fn two_sweeps_at_once_settle_each_job_once_and_pass_by_what_somebody_holds() {
    let stage = ledger(&[("user:7", 600)]).await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "userId", "numImagesPerExample")
               SELECT 'a lake', '7', 2 FROM generate_series(1, 300);
               SET session_replication_role = replica;
               UPDATE photo_generation_queue SET status = 'canceled';
               DELETE FROM photo_generation_queue WHERE id % 3 = 0;
               SET session_replication_role = DEFAULT"#,
        )
        .await;
    let mut hand = stage.pool.begin().await.unwrap();
    sqlx::raw_sql("SELECT FROM photo_generation_queue WHERE id = (SELECT min(id) FROM photo_generation_queue) FOR UPDATE")
        .execute(&mut *hand)
        .await
        .unwrap();

    let sweeps = (0..4).map(|_| stage.number("SELECT photo_generation_settle_left(1000)"));
    let settled: i64 = futures_util::future::join_all(sweeps)
        .await
        .into_iter()
        .sum();

    assert!(settled >= 299, "{settled}");
    let left = "SELECT count(*) FROM photo_generation_credit_reservations";
    assert_eq!(stage.number(left).await, 1);
    hand.rollback().await.unwrap();
    until_settled(&stage).await;
    assert_eq!(
        stage.book("user:7").await,
        "left 600 reserved 0 captured 0 refunded 600"
    );
}
