//! An insert that is held open across a worker's going idle is not missed.

use std::time::Duration;

use sqlx::{PgPool, Postgres, Transaction};

use super::{Stage, saturated, seldom};

const INSERT: &str = "INSERT INTO photo_generation_queue (\"basePrompt\") VALUES ('a lake')";
/// How long older writers are waited for, and then some; a poll is five times as far away.
const PATIENCE: Duration = Duration::from_secs(12);

async fn begin(pool: &PgPool, isolation: &str) -> Transaction<'static, Postgres> {
    let mut transaction = pool.begin().await.unwrap();
    run(
        &mut transaction,
        &format!("SET TRANSACTION ISOLATION LEVEL {isolation}"),
    )
    .await;
    // The snapshot of a whole transaction is taken here.
    run(&mut transaction, "SELECT FROM photo_generation_workers").await;
    transaction
}

async fn run(transaction: &mut Transaction<'static, Postgres>, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(&mut **transaction)
        .await
        .unwrap();
}

impl Stage {
    /// Seen asking, by the name that the statement has in its head.
    async fn until_writers_are_waited_for(&self) {
        self.until(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                 AND query LIKE '-- queue/writers_left%')",
        )
        .await;
    }

    async fn until_claimed(&self) {
        self.until_within(
            "SELECT bool_and(lease > 0) FROM photo_generation_queue",
            PATIENCE,
        )
        .await;
    }
}

#[tokio::test]
async fn a_row_inserted_before_the_flag_and_committed_after_it() {
    let stage = Stage::new().await;
    let mut app = begin(&stage.pool, "READ COMMITTED").await;
    // Nobody is there to be notified.
    run(&mut app, INSERT).await;

    let worker = stage.worker_with(seldom).await;
    stage.until_idle().await;
    app.commit().await.unwrap();

    stage.until_claimed().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_row_inserted_after_the_flag_in_a_transaction_that_began_before_it() {
    for isolation in ["READ COMMITTED", "REPEATABLE READ"] {
        let stage = Stage::new().await;
        let mut app = begin(&stage.pool, isolation).await;

        let worker = stage.worker_with(seldom).await;
        stage.until_idle().await;
        run(&mut app, INSERT).await;
        app.commit().await.unwrap();

        stage.until_claimed().await;
        worker.stop().await;
    }
}

async fn set_free(stage: &Stage) {
    stage
        .sql("UPDATE photo_generation_queue SET status = 'canceled'")
        .await;
    stage.until_idle().await;
}

#[tokio::test]
async fn a_row_inserted_while_the_worker_was_saturated_and_committed_when_it_was_idle_again() {
    let stage = Stage::new().await;
    let worker = saturated(&stage).await;
    let mut app = begin(&stage.pool, "READ COMMITTED").await;
    run(&mut app, INSERT).await;

    set_free(&stage).await;
    stage.until_writers_are_waited_for().await;
    app.commit().await.unwrap();

    stage.until_claimed().await;
    worker.stop().await;
}

#[tokio::test]
async fn the_last_of_several_open_writers_is_waited_for() {
    let stage = Stage::new().await;
    let worker = saturated(&stage).await;
    let mut apps = Vec::new();
    for _ in 0..3 {
        let mut app = begin(&stage.pool, "READ COMMITTED").await;
        run(&mut app, INSERT).await;
        apps.push(app);
    }

    set_free(&stage).await;
    for app in apps {
        stage.until_writers_are_waited_for().await;
        app.commit().await.unwrap();
        stage.until_claimed().await;
        // With one slot each makes it busy once more: go idle before the next commits.
        stage
            .until(
                "SELECT bool_and(status IN ('completed', 'canceled')) FROM photo_generation_queue",
            )
            .await;
        stage.until_idle().await;
    }

    worker.stop().await;
}
