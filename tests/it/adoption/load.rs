//! A table of a million rows, adopted while its app inserts and updates.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Executor as _, PgConnection};

use super::{APPS_INSERT, Stage, TEXT};

const ROWS: i64 = 1_000_000;
/// What nobody may wait longer for.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const SAMPLE_EVERY: Duration = Duration::from_millis(5);

/// Rows of long ago, with a few that wait; triggers and foreign keys are left out for speed.
fn many_rows() -> String {
    format!(
        r#"SET session_replication_role = replica; SET synchronous_commit = off;
        INSERT INTO photo_generation_queue
            ("batchId", "userId", "modelId", "exampleImageId", "exampleImageUrl", "basePrompt",
             "aspectRatio", glasses, status, "lockedBy", "createdAt", "completedAt")
        SELECT 1, 1, 1, 1, '', 'a person by a lake', '1:1', 'no',
               CASE WHEN n % 1000 = 0 THEN 'pending' ELSE 'completed' END,
               'edge-worker-1', now() - interval '2 days', now() - interval '1 day'
        FROM generate_series(1, {ROWS}) AS n;
        RESET session_replication_role; RESET synchronous_commit;
        ANALYZE photo_generation_queue"#
    )
}

async fn app(stage: &Stage, name: &str) -> PgConnection {
    let address: PgConnectOptions = stage.url.parse().unwrap();
    address.application_name(name).connect().await.unwrap()
}

/// Repeats a statement of the app's until told to stop; the longest that it took.
async fn repeat(
    mut connection: PgConnection,
    sql: &'static str,
    stop: Arc<AtomicBool>,
) -> Duration {
    let mut longest = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        connection.execute(sql).await.unwrap();
        longest = longest.max(started.elapsed());
    }
    longest
}

/// The longest that a statement of the app's has been seen waiting for a lock.
async fn longest_lock_wait(mut connection: PgConnection, stop: Arc<AtomicBool>) -> Duration {
    let mut longest = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        let seconds: f64 = sqlx::query_scalar(
            "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - lock.waitstart)), 0)::float8
             FROM pg_locks AS lock JOIN pg_stat_activity AS app USING (pid)
             WHERE NOT lock.granted AND app.application_name = 'app'
               AND app.datname = current_database()",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        longest = longest.max(Duration::from_secs_f64(seconds));
        tokio::time::sleep(SAMPLE_EVERY).await;
    }
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_rows_are_adopted_while_the_app_inserts_and_updates() {
    let stage = Stage::of(TEXT).await;
    stage.sql(&many_rows()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let inserts = tokio::spawn(repeat(app(&stage, "app").await, APPS_INSERT, stop.clone()));
    let updates = tokio::spawn(repeat(
        app(&stage, "app").await,
        r#"UPDATE photo_generation_queue SET "exampleImagePrompt" = 'smiling'
           WHERE id BETWEEN 1000 AND 1000 + (random() * 20)::integer"#,
        stop.clone(),
    ));
    // Needs no lock of anybody: what it waits for is the machine.
    stage.sql("CREATE TABLE bystander (at timestamptz)").await;
    let stalls = tokio::spawn(repeat(
        app(&stage, "bystander").await,
        "INSERT INTO bystander VALUES (now())",
        stop.clone(),
    ));
    let locks = tokio::spawn(longest_lock_wait(
        app(&stage, "watcher").await,
        stop.clone(),
    ));
    let file = "SELECT pg_relation_filenode('photo_generation_queue')";
    let before = stage.number(file).await;

    let started = Instant::now();
    stage.migrate().await;
    let took = started.elapsed();
    stop.store(true, Ordering::Relaxed);

    let (inserts, updates, locks) = tokio::join!(inserts, updates, locks);
    let (inserts, updates, locks) = (inserts.unwrap(), updates.unwrap(), locks.unwrap());
    let stalls = stalls.await.unwrap();
    println!(
        "{ROWS} rows adopted in {took:.1?}; longest insert {inserts:.0?}, longest update \
         {updates:.0?}, longest wait for a lock {locks:.0?}, of the machine {stalls:.0?}"
    );
    assert!(locks < LONGEST_WAIT + stalls, "{locks:?}, {stalls:?}");
    assert_eq!(stage.number(file).await, before, "the table was rewritten");
    let nameless = r#"SELECT count(*) FROM photo_generation_queue WHERE "jobId" IS NULL"#;
    // A row that the app held at that moment gets its own when it is claimed.
    assert!(stage.number(nameless).await <= 25);
    let plan = stage.migrate().await.plan;
    assert!(plan.steps.len() <= 2, "{plan:?}");
}
