//! Behind `PgBouncer` in transaction mode, where the next statement may meet another connection:
//! everything works, by polling, or woken over a direct address.

use std::time::Duration;

use tokio::time::Instant;

use crate::harness::{Pooler, Stage};

const NEVER_POLL: &str = "--poll-interval-ms=3600000";

#[tokio::test]
async fn two_workers_behind_a_transaction_pooler_work_by_polling() {
    let stage = Stage::new().await;
    let pooler = Pooler::before(&stage.url).await;
    stage
        .sql("INSERT INTO photo_generation_batches (id) VALUES (1)")
        .await;
    let poll = "--poll-interval-ms=300";
    let workers = [
        stage.process_at(&pooler.url, &[poll]),
        stage.process_at(&pooler.url, &[poll]),
    ];
    for worker in &workers {
        worker.said("found by polling").await;
        worker.said("worker started").await;
    }

    for number in 1..=20 {
        let job = stage.job(&format!("lake {number} [sim:500@1]"), 2).await;
        stage
            .sql(&format!(
                r#"UPDATE photo_generation_queue SET "batchId" = 1 WHERE id = {job}"#
            ))
            .await;
    }
    stage.until_all_ended().await;

    assert_eq!(
        stage
            .number(
                r#"SELECT count(*) FROM photo_generation_queue
                   WHERE status = 'completed' AND "imagesCompleted" = 2 AND attempts = 1"#
            )
            .await,
        20,
        "{}",
        stage.dump().await
    );
    assert_eq!(
        stage
            .text("SELECT status FROM photo_generation_batches")
            .await,
        "completed"
    );
    // One call in twenty jobs failed and was made again.
    stage.assert_sound(60).await;
    for worker in workers {
        worker.said_nothing_of("prepared statement");
        assert_eq!(worker.exit_code_after("TERM").await, Some(0));
    }
}

#[tokio::test]
async fn with_a_direct_address_a_worker_behind_a_pooler_is_woken() {
    let stage = Stage::new().await;
    let pooler = Pooler::before(&stage.url).await;
    let direct = format!("--database-listen-url={}", stage.url);
    let worker = stage.process_at(&pooler.url, &[NEVER_POLL, &direct]);
    stage
        .until("SELECT idle FROM photo_generation_workers")
        .await;
    // The first jobs may still be found by the looks that a worker takes as it goes idle.
    for number in 1..=5 {
        let inserted = Instant::now();
        stage.job(&format!("lake {number}"), 1).await;
        stage.until_all_ended().await;
        assert!(inserted.elapsed() < Duration::from_secs(5));
    }

    stage.assert_sound(5).await;
    assert_eq!(worker.exit_code_after("TERM").await, Some(0));
}
