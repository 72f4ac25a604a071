//! A worker with nothing to do asks for next to nothing, and so does one whose jobs must wait.

use std::str::FromStr as _;
use std::time::Duration;

use safelight::providers::simulator::SimulatorConfig;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};

use crate::harness::{Process, Server, Stage};

const IDLE: Duration = Duration::from_mins(1);
/// Renewals, looks at the queue and sweeps, each every five seconds, a ping every fifteen, and what the
/// spread of the intervals adds. Whatever else an idle worker wants to know, one of these asks with it.
const MOST_STATEMENTS: i64 = 48;
const MOST_MEMORY_KB: u64 = 40 * 1024;
/// So long that it does not matter when a backend says what it did last.
const COOLS_DOWN: Duration = Duration::from_secs(30);
/// A backend's statistics arrive within this long when it has nothing to do.
const STATISTICS_LAG: Duration = Duration::from_secs(11);

#[tokio::test]
async fn an_idle_minute_costs_less_than_48_statements_and_40_mb() {
    // Autovacuum's transactions are counted like a client's: one visit may be thirty.
    let server = Server::start_with("-c autovacuum=off").await;
    let stage = Stage::on(&server, SimulatorConfig::instant()).await;
    let worker = stage.process(&[]);
    // It has worked before, so that what work leaves behind in memory is counted.
    for number in 1..=3 {
        stage.job(&format!("lake {number}"), 2).await;
    }
    stage.until_all_ended().await;
    stage
        .until("SELECT idle FROM photo_generation_workers")
        .await;
    // From another database, so that our own looks are not counted.
    let mut outside = PgConnectOptions::from_str(&server.url)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let database = stage.text("SELECT current_database()").await;
    stage.pool.close().await;
    tokio::time::sleep(STATISTICS_LAG).await;

    let before = transactions(&mut outside, &database).await;
    tokio::time::sleep(IDLE).await;
    let statements = transactions(&mut outside, &database).await - before;

    // Fewer than the renewals alone would mean that it is dead.
    assert!(
        (12..MOST_STATEMENTS).contains(&statements),
        "{statements} statements"
    );
    let resident = resident_kb(&worker);
    assert!(resident < MOST_MEMORY_KB, "{resident} kB resident");
    println!("{statements} statements, {resident} kB resident");
    assert_eq!(worker.exit_code_after("TERM").await, Some(0));
}

#[tokio::test]
async fn fifty_thousand_jobs_of_a_model_that_cools_down_cost_less_than_a_query_a_second() {
    let server = Server::start_with("-c autovacuum=off").await;
    let stage = Stage::on(&server, SimulatorConfig::instant()).await;
    let worker = stage.process(&[]);
    // It has worked before, so that its connections know what it asks.
    for number in 1..=10 {
        stage.job(&format!("lake {number}"), 2).await;
    }
    stage.until_all_ended().await;
    stage
        .sql(
            r#"DELETE FROM photo_generation_queue; UPDATE photo_generation_limits
               SET "cooldownUntil" = now() + interval '1 hour', "limitedInARow" = 1, reason = 'cooldown';
               INSERT INTO photo_generation_queue ("basePrompt", "userId")
               SELECT 'lake ' || n, n % 200 FROM generate_series(1, 50000) AS n;
               ANALYZE photo_generation_queue"#,
        )
        .await;
    stage
        .until("SELECT idle FROM photo_generation_workers")
        .await;
    let mut outside = PgConnectOptions::from_str(&server.url)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let database = stage.text("SELECT current_database()").await;
    // Of how many transactions the rows are, and whether any holds or held one of them.
    let writes =
        "SELECT concat_ws(' ', count(DISTINCT xmin::text), count(*) FILTER (WHERE xmax <> 0),
        max(lease), min(status), max(status)) FROM photo_generation_queue";
    let before_it = stage.text(writes).await;
    stage.pool.close().await;
    tokio::time::sleep(STATISTICS_LAG).await;

    let before = transactions(&mut outside, &database).await;
    tokio::time::sleep(COOLS_DOWN).await;
    let statements = transactions(&mut outside, &database).await - before;

    assert!((8..30).contains(&statements), "{statements} statements");
    let queue = sqlx::PgPool::connect(&stage.url).await.unwrap();
    let after: String = sqlx::query_scalar(writes).fetch_one(&queue).await.unwrap();
    assert_eq!(before_it, "1 0 0 pending pending");
    assert_eq!(after, before_it);
    println!("{statements} statements in {COOLS_DOWN:?}");
    assert_eq!(worker.exit_code_after("TERM").await, Some(0));
}

/// Each statement of an idle worker is a transaction of its own.
async fn transactions(outside: &mut PgConnection, database: &str) -> i64 {
    sqlx::query_scalar(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1",
    )
    .bind(database)
    .fetch_one(outside)
    .await
    .unwrap()
}

fn resident_kb(worker: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
