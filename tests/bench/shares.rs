//! Fair shares among real workers: `scripts/bench shares`. Eight processes, calls of 1.5 to 4 s.
//!
//! First with the usual cap: one tenant with 100,000 jobs of ten images, 200 others with a backlog, and
//! one who comes with a single job. Then two without a cap, one with large jobs and one with small.

use std::time::Duration;

use safelight::providers::simulator::{Pictures, SimulatorConfig};
use tokio::time::{Instant, sleep};

use crate::harness::{MODEL, Process, Stage};
use crate::{Samples, fleet, millis};

const WORKERS: usize = 8;
/// What all workers together may call at a time.
const AT_A_TIME: u32 = 60;
const CAPPED_FOR: Duration = Duration::from_mins(2);
const BACKLOGGED_FOR: Duration = Duration::from_mins(4);
const NEWCOMERS: usize = 20;

pub(crate) async fn measure() {
    capped().await;
    backlogged().await;
}

async fn capped() {
    let (stage, workers) = limited_fleet().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "userId")
               SELECT 'a lake', 10, 'large' FROM generate_series(1, 100000);
               INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "userId")
               SELECT 'a lake', 2, n % 200 FROM generate_series(1, 20000) AS n"#,
        )
        .await;
    let begun = Instant::now();
    let mut most_running = 0;
    let mut waits = Vec::new();
    let mut claims_before = Vec::new();
    while begun.elapsed() < CAPPED_FOR {
        let running = stage
            .number("SELECT coalesce(max(running), 0) FROM photo_generation_busy()")
            .await;
        most_running = most_running.max(running);
        if waits.len() < NEWCOMERS && begun.elapsed() > CAPPED_FOR / 3 {
            let (wait, claims) = newcomer(&stage, waits.len()).await;
            waits.push(wait);
            claims_before.push(claims);
        }
        sleep(Duration::from_millis(50)).await;
    }
    let overlapping = stage.number(OVERLAPPING).await;
    let calls = stage.simulator.log().len();
    drop(workers);
    let waits = Samples::new(waits);
    println!("8 workers, 202 tenants, cap 3: {calls} calls in {CAPPED_FOR:?}");
    println!(
        "  most jobs of a tenant at a time, sampled {most_running}, by the ledger {overlapping}"
    );
    println!(
        "  a newcomer's INSERT committed to claim committed: p50 {:.0} ms, most {:.0} ms; claims of others in between: most {}",
        waits.at(0.5),
        waits.at(1.0),
        claims_before.iter().max().unwrap()
    );
}

/// Who comes with one job: milliseconds until it runs, and how many jobs of others began meanwhile.
async fn newcomer(stage: &Stage, number: usize) -> (f64, i64) {
    let begun = Instant::now();
    let job: i64 = sqlx::query_scalar(
        r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "userId")
           VALUES ('a lake', 1, $1) RETURNING id"#,
    )
    .bind(format!("newcomer {number}"))
    .fetch_one(&stage.pool)
    .await
    .unwrap();
    stage
        .until(&format!(
            r#"SELECT "startedAt" IS NOT NULL FROM photo_generation_queue WHERE id = {job}"#
        ))
        .await;
    let waited = millis(begun.elapsed());
    let claims = stage
        .number(&format!(
            r#"SELECT count(*) FROM photo_generation_queue AS other, photo_generation_queue AS job
               WHERE job.id = {job} AND other.id <> job.id
                 AND other."startedAt" > job."createdAt" AND other."startedAt" < job."startedAt""#
        ))
        .await;
    (waited, claims)
}

/// The most jobs of one tenant that had calls open at the moment when one of its calls began.
const OVERLAPPING: &str = r#"SELECT max(jobs) FROM (
    SELECT count(DISTINCT other."jobId") AS jobs
    FROM photo_generation_calls AS call
    JOIN photo_generation_calls AS other
      ON other.tenant = call.tenant AND other."startedAt" <= call."startedAt"
     AND coalesce(other."endedAt", 'infinity') > call."startedAt"
    GROUP BY call.id) AS begun"#;

async fn backlogged() {
    let (stage, workers) = limited_fleet().await;
    stage.without_cap().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "userId")
               SELECT 'a lake', 10, 'large' FROM generate_series(1, 2000);
               INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "userId")
               SELECT 'a lake', 1, 'small' FROM generate_series(1, 20000)"#,
        )
        .await;
    sleep(BACKLOGGED_FOR).await;
    let used = |user: &str| {
        format!(
            r#"SELECT 1000 * sum(extract(epoch FROM "endedAt" - "startedAt"))
               FROM photo_generation_calls WHERE tenant = 'user:{user}'"#
        )
    };
    let large = seconds(stage.number(&used("large")).await);
    let small = seconds(stage.number(&used("small")).await);
    drop(workers);
    println!("two without a cap, jobs of 10 images and of 1, {BACKLOGGED_FOR:?}");
    println!(
        "  provider time {large:.0} s and {small:.0} s: {:+.1} %",
        100.0 * (large / small - 1.0)
    );
}

fn seconds(milliseconds: i64) -> f64 {
    f64::from(i32::try_from(milliseconds / 1000).unwrap())
}

async fn limited_fleet() -> (Stage, Vec<Process>) {
    let stage = Stage::with(SimulatorConfig {
        pictures: Pictures::Small,
        latency: Duration::from_millis(1500)..=Duration::from_secs(4),
        ..SimulatorConfig::instant()
    })
    .await;
    stage
        .sql(&format!(
            r#"UPDATE photo_generation_limits SET "maxConcurrent" = {AT_A_TIME} WHERE model = '{MODEL}'"#
        ))
        .await;
    let workers = fleet(&stage, WORKERS).await;
    (stage, workers)
}
