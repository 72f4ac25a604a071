//! What safelight costs beside what the provider takes: run by `scripts/bench`, which builds it
//! with optimisations and gives it a Postgres that syncs as a real one does.
//!
//! Not a test: it fails only when something does not work at all. Times are taken where they are
//! felt, at the client that inserts and at the provider that is called.
#![expect(
    clippy::unwrap_used,
    reason = "an unwrap that panics is a measurement that failed, as it should"
)]

#[path = "../it/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the harness of the tests, of which this needs a part"
)]
mod harness;
mod http;
#[path = "../it/prune/load.rs"]
mod load;
mod prune;
mod quota;
mod shares;

use std::time::Duration;

use harness::Stage;
use safelight::db::lease::{self, Claimer, Window};
use safelight::db::workers::{self, Idle, Registration};
use safelight::providers::simulator::{Pictures, SimulatorConfig};
use tokio::time::{Instant, sleep};

/// How often each thing is measured; p99 is the third worst.
const TIMES: usize = 200;
/// Before measuring: connections, plans and caches.
const WARM_UP: usize = 10;
/// Longer than the gap that is kept between two calls, and than a worker needs to be idle again.
const REST: Duration = Duration::from_millis(300);

#[tokio::main]
async fn main() {
    println!("load of this machine before: {}", load());
    let asked_for = |what: &str| std::env::args().any(|argument| argument == what);
    if asked_for("quota") {
        return quota::measure(quota::Lengths::FULL).await;
    }
    if asked_for("quota-short") {
        return quota::measure(quota::Lengths::SHORT).await;
    }
    if asked_for("shares") {
        return shares::measure().await;
    }
    if asked_for("prune") {
        return prune::measure().await;
    }
    if asked_for("http") {
        return http::measure().await;
    }
    let commit = commits().await;
    commit.print("one synchronous commit", &commit);
    let (few, _) = claims(1_000).await;
    few.print("claim, 1,000 rows waiting", &commit);
    let (many, plan) = claims(1_000_000).await;
    many.print("claim, 1,000,000 rows waiting", &commit);
    println!(
        "{:<49}{:>12.2} x",
        "  against 1,000 rows, p50",
        many.at(0.5) / few.at(0.5)
    );
    insert_to_claim()
        .await
        .print("INSERT committed to claim committed", &commit);
    insert_to_call()
        .await
        .print("INSERT committed to call received", &commit);
    for (pictures, word) in [
        (Pictures::Small, "128 x 128"),
        (Pictures::Full, "1024 x 1024"),
    ] {
        let (image, job) = overhead(pictures).await;
        image.print(
            &format!("own time per image {word}, call to stored"),
            &commit,
        );
        job.print(&format!("own time per job of one image {word}"), &commit);
    }
    println!("load of this machine after: {}", load());
    println!("\nA claim with 1,000,000 rows waiting:\n{plan}");
}

/// What else runs is part of the result, of the slow end of it most.
fn load() -> String {
    std::fs::read_to_string("/proc/loadavg")
        .map_or_else(|error| error.to_string(), |load| load.trim().to_owned())
}

/// Milliseconds, in order.
struct Samples(Vec<f64>);

impl Samples {
    fn new(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }

    fn at(&self, share: f64) -> f64 {
        let last = self.0.len() - 1;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a short list"
        )]
        self.0[(last as f64 * share).round() as usize]
    }

    fn print(&self, what: &str, commit: &Self) {
        let (half, most) = (self.at(0.5), self.at(0.99));
        println!(
            "{what:<49}p50 {half:>8.2} ms   p99 {most:>8.2} ms   {:>6.1} commits",
            half / commit.at(0.5)
        );
    }
}

/// A row of a table without indexes, in a transaction of its own.
async fn commits() -> Samples {
    let stage = Stage::new().await;
    stage.sql("CREATE TABLE scratch (number integer)").await;
    let mut connection = stage.pool.acquire().await.unwrap();
    let mut samples = Vec::new();
    for time in 0..WARM_UP + TIMES {
        let begun = Instant::now();
        sqlx::query("INSERT INTO scratch VALUES (1)")
            .execute(&mut *connection)
            .await
            .unwrap();
        if time >= WARM_UP {
            samples.push(millis(begun.elapsed()));
        }
    }
    Samples::new(samples)
}

/// One worker claims one job at a time; how Postgres does it. One tenant has most of the jobs, others one
/// each, and a tenth as many wait for a moment in the future.
async fn claims(waiting: i64) -> (Samples, String) {
    let stage = Stage::new().await;
    stage
        .sql(&format!(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "userId", "createdAt")
               SELECT 'a lake', 'large', now() - make_interval(secs => {waiting} - n)
               FROM generate_series(1, {waiting}) AS n;
               INSERT INTO photo_generation_queue ("basePrompt", "userId")
               SELECT 'a lake', n FROM generate_series(1, {waiting} / 100) AS n;
               INSERT INTO photo_generation_queue ("basePrompt", "userId", "retryAt")
               SELECT 'a lake', 'late ' || n % ({waiting} / 200 + 1), now() + interval '1 day'
               FROM generate_series(1, {waiting} / 10) AS n"#
        ))
        .await;
    stage.sql("VACUUM ANALYZE photo_generation_queue").await;
    let db = stage.db().await;
    // Records the settings that a first worker records.
    drop(stage.config().tools(db.clone()).await.unwrap());
    let worker = Registration {
        run: uuid::Uuid::new_v4(),
        label: "bench".to_owned(),
        host: None,
        accounts: Vec::new(),
    };
    let claimer = Claimer {
        run: worker.run,
        label: worker.label.clone(),
        accounts: vec!["gemini:default".to_owned()],
        types: None,
    };
    let mut samples = Vec::new();
    for time in 0..WARM_UP + TIMES {
        workers::renew(&db, &worker, Idle::No).await.unwrap();
        let begun = Instant::now();
        let claimed = lease::claim(&db, &claimer, 1, Window::Usual, &[])
            .await
            .unwrap();
        let took = begun.elapsed();
        assert_eq!(claimed.len(), 1);
        stage
            .sql("UPDATE photo_generation_queue SET status = 'completed' WHERE status = 'processing'")
            .await;
        if time >= WARM_UP {
            samples.push(millis(took));
        }
    }
    (
        Samples::new(samples),
        plan_of_a_claim(&stage, &claimer).await,
    )
}

async fn plan_of_a_claim(stage: &Stage, claimer: &Claimer) -> String {
    let mut transaction = stage.pool.begin().await.unwrap();
    sqlx::raw_sql("SET LOCAL jit = off")
        .execute(&mut *transaction)
        .await
        .unwrap();
    // What the claim chooses by; the rest of it changes as many rows as it takes, by their ids.
    let plan: Vec<String> = sqlx::query_scalar(
        "EXPLAIN (ANALYZE, COSTS off) SELECT * FROM photo_generation_next(1, $1, NULL, 4, '{}', 11)",
    )
    .bind(&claimer.accounts)
    .fetch_all(&mut *transaction)
    .await
    .unwrap();
    plan.join("\n")
}

/// A second connection looks as fast as it can until the claim is there.
async fn insert_to_claim() -> Samples {
    let stage = Stage::new().await;
    let worker = idle_worker(&stage).await;
    let mut samples = Vec::new();
    for time in 0..WARM_UP + TIMES {
        let job = stage.job(&format!("lake {time}"), 1).await;
        let committed = Instant::now();
        let look = "SELECT lease > 0 FROM photo_generation_queue WHERE id = $1";
        while !sqlx::query_scalar::<_, bool>(look)
            .bind(job)
            .fetch_one(&stage.pool)
            .await
            .unwrap()
        {}
        if time >= WARM_UP {
            samples.push(millis(committed.elapsed()));
        }
        until_idle(&stage).await;
    }
    assert_eq!(worker.exit_code_after("TERM").await, Some(0));
    Samples::new(samples)
}

async fn insert_to_call() -> Samples {
    let stage = Stage::new().await;
    let worker = idle_worker(&stage).await;
    let mut samples = Vec::new();
    for time in 0..WARM_UP + TIMES {
        stage.job(&format!("lake {time}"), 1).await;
        let committed = Instant::now();
        stage.until_called(|log| log.len() > time).await;
        if time >= WARM_UP {
            samples.push(millis(committed.elapsed()));
        }
        until_idle(&stage).await;
    }
    assert_eq!(worker.exit_code_after("TERM").await, Some(0));
    Samples::new(samples)
}

/// What is not the provider's: between the ledger's `calling` and the image's `stored`, and between
/// the INSERT and the end of the job. One job at a time.
async fn overhead(pictures: Pictures) -> (Samples, Samples) {
    let stage = Stage::with(SimulatorConfig {
        pictures,
        ..SimulatorConfig::instant()
    })
    .await;
    let worker = idle_worker(&stage).await;
    for time in 0..WARM_UP + TIMES {
        stage.job(&format!("lake {time}"), 1).await;
        stage.until_all_ended().await;
        until_idle(&stage).await;
    }
    assert_eq!(worker.exit_code_after("TERM").await, Some(0));

    let spans: Vec<(f64, f64)> = sqlx::query_as(
        r#"SELECT extract(epoch FROM image."storedAt" - call."startedAt")::float8 * 1000,
                  extract(epoch FROM job."completedAt" - job."createdAt")::float8 * 1000
           FROM photo_generation_queue AS job
           JOIN photo_generation_images AS image ON image."jobId" = job.id
           JOIN photo_generation_calls AS call ON call."jobId" = job.id
           ORDER BY job.id"#,
    )
    .fetch_all(&stage.pool)
    .await
    .unwrap();
    let log = stage.simulator.log();
    let measured = spans
        .iter()
        .zip(&log)
        .skip(WARM_UP)
        .map(|((image, job), call)| {
            let providers =
                Duration::from_millis(call.answered_at_ms.unwrap() - call.received_at_ms);
            (image - millis(providers), job - millis(providers))
        });
    let (images, jobs): (Vec<f64>, Vec<f64>) = measured.unzip();
    (Samples::new(images), Samples::new(jobs))
}

/// Workers of twenty jobs each, all of them registered.
async fn fleet(stage: &Stage, workers: usize) -> Vec<harness::Process> {
    let fleet = (0..workers)
        .map(|_| stage.process(&["--worker-concurrency=20"]))
        .collect();
    stage
        .until(&format!(
            "SELECT count(*) = {workers} FROM photo_generation_workers"
        ))
        .await;
    fleet
}

async fn idle_worker(stage: &Stage) -> harness::Process {
    let worker = stage.process(&[]);
    stage
        .until("SELECT idle FROM photo_generation_workers")
        .await;
    sleep(REST).await;
    worker
}

async fn until_idle(stage: &Stage) {
    stage.until_all_ended().await;
    stage
        .until("SELECT idle FROM photo_generation_workers")
        .await;
    sleep(REST).await;
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
