//! Most of a large queue is pruned while a worker works and an app inserts. Also run by `scripts/bench prune`,
//! with a million jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use safelight::db::lease::{self, Claimer, Window};
use safelight::db::workers::{self, Idle, Registration};
use safelight::providers::simulator::{Pictures, SimulatorConfig};
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::harness::Stage;

/// What nobody may wait longer for.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// Between two claims, and two inserts of the app.
const PACE: Duration = Duration::from_millis(20);
/// How long claims are timed before anything is pruned.
const BEFORE: Duration = Duration::from_secs(5);
const SAMPLE_EVERY: Duration = Duration::from_millis(5);
const TABLES: [&str; 3] = ["queue", "images", "calls"];
/// Longer than a million take.
const PATIENCE: Duration = Duration::from_hours(1);

/// What was measured.
pub(crate) struct Report {
    pub(crate) took: Duration,
    /// Claims before anything is pruned, and meanwhile.
    pub(crate) before: Claims,
    pub(crate) claims: Claims,
    pub(crate) waits: Waits,
    /// Of each table: its size and its dead rows, before, after, and after a vacuum.
    pub(crate) sizes: Vec<String>,
    /// Jobs that the worker ended meanwhile.
    pub(crate) worked: i64,
}

/// How long each claim took, in milliseconds, in order.
pub(crate) struct Claims(Vec<f64>);

/// The longest that anybody has been seen waiting for a lock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waits {
    /// On a row, a table, a transaction.
    pub(crate) held: Duration,
    /// For its turn: claims of the fleet come one after the other.
    pub(crate) turn: Duration,
}

impl Claims {
    pub(crate) fn at(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a short list"
        )]
        self.0[((self.0.len() - 1) as f64 * share).round() as usize]
    }

    fn in_words(&self) -> String {
        format!(
            "{} claims, p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms",
            self.0.len(),
            self.at(0.5),
            self.at(0.99),
            self.at(1.0)
        )
    }
}

impl Report {
    pub(crate) fn print(&self) {
        println!(
            "  pruned in {:.1?}, meanwhile {} jobs were worked",
            self.took, self.worked
        );
        println!("  before:     {}", self.before.in_words());
        println!("  meanwhile:  {}", self.claims.in_words());
        println!(
            "  longest wait for what somebody holds {:.1?}, for a turn to claim {:.1?}",
            self.waits.held, self.waits.turn
        );
        for line in &self.sizes {
            println!("  {line}");
        }
    }
}

/// So many ended jobs with an image and a call each, all but `kept` of them old.
fn many(jobs: i64, kept: i64) -> String {
    format!(
        r#"SET synchronous_commit = off;
        INSERT INTO photo_generation_batches (status, "createdAt", "completedAt")
        SELECT 'completed', now() - interval '40 days', now() - interval '40 days'
        FROM generate_series(1, {jobs} / 20 + 1);
        INSERT INTO photo_generation_queue
            ("basePrompt", "userId", "batchId", status, "createdAt", "completedAt", "imagesTotal", "imagesCompleted")
        SELECT 'a lake', n % 1000, CASE WHEN n % 2 = 0 THEN 1 + n / 20 END,
               CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'completed' END, at, at, 1, 1
        FROM generate_series(1, {jobs}) AS n
        CROSS JOIN LATERAL (SELECT now() - make_interval(days => CASE WHEN n <= {kept} THEN 2 ELSE 40 END) AS at) AS moment;
        INSERT INTO photo_generation_images
            ("jobId", index, state, "callId", "storageKey", "mimeType", bytes, width, height, sha256)
        SELECT id, 1, 'stored', gen_random_uuid(), format('user=3A7/%s/1-%s.png', "jobId", gen_random_uuid()),
               'image/png', 9, 3, 3, md5(id::text)
        FROM photo_generation_queue;
        INSERT INTO photo_generation_calls
            (id, "jobId", "jobUuid", tenant, index, lease, run, attempt, provider, account, model, "deadlineAt",
             state, accepted, "startedAt", "endedAt", "costUsd")
        SELECT gen_random_uuid(), id, "jobId", 'user:7', 1, 1, gen_random_uuid(), 1, 'gemini', 'default',
               'gemini-2.5-flash-image', "completedAt", 'stored', true, "completedAt", "completedAt", 0.039
        FROM photo_generation_queue;
        RESET synchronous_commit"#
    )
}

async fn sizes(stage: &Stage, when: &str) -> String {
    let mut parts = Vec::new();
    for table in TABLES {
        parts.push(
            stage
                .text(&format!(
                    "SELECT format('{table} %s, %s dead', pg_size_pretty(pg_total_relation_size(relid)), n_dead_tup)
                     FROM pg_stat_user_tables WHERE relname = 'photo_generation_{table}'"
                ))
                .await,
        );
    }
    format!("{when:<14}{}", parts.join("; "))
}

/// Inserts for the worker and for the claims that are measured, until told to stop.
async fn app(url: String, stop: Arc<AtomicBool>) {
    let mut connection = PgConnection::connect(&url).await.unwrap();
    while !stop.load(Ordering::Relaxed) {
        sqlx::query(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "userId", "numImagesPerExample", type)
               SELECT 'a lake', 'app ' || (random() * 20)::integer, 1, type
               FROM unnest(ARRAY['photo_generation', 'measured']) AS type"#,
        )
        .execute(&mut connection)
        .await
        .unwrap();
        sleep(PACE).await;
    }
}

async fn longest_waits(url: String, stop: Arc<AtomicBool>) -> Waits {
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut longest = Waits::default();
    while !stop.load(Ordering::Relaxed) {
        let (held, turn): (f64, f64) = sqlx::query_as(
            "SELECT coalesce(max(waited) FILTER (WHERE locktype <> 'advisory'), 0),
                    coalesce(max(waited) FILTER (WHERE locktype = 'advisory'), 0)
             FROM (SELECT lock.locktype,
                          greatest(extract(epoch FROM clock_timestamp() - lock.waitstart), 0)::float8 AS waited
                   FROM pg_locks AS lock JOIN pg_stat_activity AS waiting USING (pid)
                   WHERE NOT lock.granted AND waiting.datname = current_database()) AS waits",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        longest.held = longest.held.max(Duration::from_secs_f64(held));
        longest.turn = longest.turn.max(Duration::from_secs_f64(turn));
        sleep(SAMPLE_EVERY).await;
    }
    longest
}

/// Claims one job after the other, as a worker does; how long each took.
async fn claims(stage: &Stage, stop: Arc<AtomicBool>) -> Claims {
    let db = stage.db().await;
    let worker = Registration {
        run: Uuid::new_v4(),
        label: "measuring".to_owned(),
        host: None,
        accounts: Vec::new(),
    };
    let claimer = Claimer {
        run: worker.run,
        label: worker.label.clone(),
        accounts: vec!["gemini:default".to_owned()],
        types: Some(vec!["measured".to_owned()]),
    };
    let mut took = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        workers::renew(&db, &worker, Idle::No).await.unwrap();
        let begun = Instant::now();
        let claimed = lease::claim(&db, &claimer, 1, Window::Usual, &[])
            .await
            .unwrap();
        let length = begun.elapsed().as_secs_f64() * 1000.0;
        if !claimed.is_empty() {
            took.push(length);
            stage
                .sql(
                    "UPDATE photo_generation_queue SET status = 'canceled'
                     WHERE status = 'processing' AND type = 'measured'",
                )
                .await;
        }
        sleep(PACE).await;
    }
    took.sort_by(f64::total_cmp);
    Claims(took)
}

/// Prunes `jobs` jobs down to `kept`.
pub(crate) async fn measure(jobs: i64, kept: i64) -> Report {
    let stage = Stage::with(SimulatorConfig {
        pictures: Pictures::Small,
        ..SimulatorConfig::instant()
    })
    .await;
    stage.without_cap().await;
    stage.sql(&many(jobs, kept)).await;
    stage.sql("VACUUM ANALYZE").await;
    // Else it writes all this to the disk while claims are timed.
    stage.sql("CHECKPOINT").await;
    let mut lines = vec![sizes(&stage, "before").await];
    let stop = Arc::new(AtomicBool::new(false));
    let inserts = tokio::spawn(app(stage.url.clone(), stop.clone()));
    let worker = stage
        .worker_with(|settings| {
            // Looks for something to prune every second, not every minute.
            settings.rhythm.sweep_every = Duration::from_millis(80);
            settings.types = Some(vec!["photo_generation".to_owned()]);
        })
        .await;
    let enough = Arc::new(AtomicBool::new(false));
    let (before, ()) = tokio::join!(claims(&stage, enough.clone()), async {
        sleep(BEFORE).await;
        enough.store(true, Ordering::Relaxed);
    });
    let waits = tokio::spawn(longest_waits(stage.url.clone(), stop.clone()));
    stage
        .sql(
            "INSERT INTO photo_generation_settings (key, value)
             VALUES ('retentionCompletedDays', '30'), ('retentionFailedDays', '30')",
        )
        .await;
    let pruned = async {
        stage
            .until("SELECT EXISTS (SELECT FROM photo_generation_settings WHERE key = 'pruning')")
            .await;
        let begun = Instant::now();
        // By its last row, and then all: counting takes time from what is measured.
        stage
            .until_within(
                &format!(
                    r#"SELECT NOT EXISTS (SELECT FROM photo_generation_queue WHERE id = {jobs})
                       AND NOT EXISTS (SELECT FROM photo_generation_queue
                                       WHERE id <= {jobs} AND "completedAt" < now() - interval '30 days')"#
                ),
                PATIENCE,
            )
            .await;
        let took = begun.elapsed();
        stop.store(true, Ordering::Relaxed);
        took
    };
    let (took, claims) = tokio::join!(pruned, claims(&stage, stop.clone()));
    inserts.await.unwrap();
    let waits = waits.await.unwrap();
    worker.stop().await;
    let left = stage
        .number(&format!(
            "SELECT count(*) FROM photo_generation_queue WHERE id <= {jobs}"
        ))
        .await;
    assert_eq!(left, kept);
    lines.push(sizes(&stage, "after").await);
    stage.sql("VACUUM").await;
    lines.push(sizes(&stage, "after VACUUM").await);
    Report {
        took,
        before,
        claims,
        waits,
        sizes: lines,
        worked: stage
            .number(&format!(
                "SELECT count(*) FROM photo_generation_queue WHERE id > {jobs} AND status = 'completed'"
            ))
            .await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_thousand_jobs_go_while_a_worker_works_and_nobody_waits() {
    let report = measure(30_000, 1_000).await;

    report.print();
    assert!(report.waits.held < LONGEST_WAIT, "{:?}", report.waits);
    assert!(report.worked > 0);
    // In both a machine that does much else is felt; what a claim takes is for scripts/bench prune to say.
    let (before, meanwhile) = (report.before.at(0.5), report.claims.at(0.5));
    assert!(
        meanwhile < 20.0 || meanwhile < 4.0 * before,
        "{before} {meanwhile}"
    );
}
