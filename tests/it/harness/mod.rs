//! What every test stands on: a database of its own, the simulator over HTTP, a storage folder.
//!
//! The database server comes from `scripts/test` (`SAFELIGHT_TEST_DATABASE_URL`). Waiting is for
//! something that happens, with a deadline that only a broken program meets.

mod barrier;
mod bucket;
mod command;
mod database;
mod host;
mod odd_host;
mod pooler;
mod receiver;
mod served;
mod server;
mod supabase;
mod worker;

use std::path::Path;
use std::time::Duration;

use safelight::db::Db;
use safelight::providers::simulator::{CallOutcome, CallRecord, Simulator, SimulatorConfig};
use sqlx::PgPool;
use tempfile::TempDir;

pub(crate) use barrier::{Holder, MODEL, photograph};
pub(crate) use bucket::Bucket;
pub(crate) use command::Answer;
pub(crate) use database::{create_database, create_database_on, empty_database, server_url};
pub(crate) use host::PictureHost;
pub(crate) use odd_host::OddHost;
pub(crate) use pooler::Pooler;
pub(crate) use receiver::{Receiver, Reply, WEBHOOK_SECRET};
pub(crate) use served::{Served, answer, client};
pub(crate) use server::Server;
pub(crate) use supabase::Supabase;
pub(crate) use worker::{InProcess, Process, QUICK};

/// Longer than anything that works takes, reclaiming the jobs of the dead included.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// How often a condition in the database is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A database, a provider and a place for photos.
pub(crate) struct Stage {
    pub(crate) url: String,
    pub(crate) pool: PgPool,
    pub(crate) simulator: Simulator,
    photos: TempDir,
    /// Where photos go instead, below `photos`, over HTTP.
    bucket: Option<Bucket>,
    /// Holds the spools of its workers.
    pub(crate) spools: TempDir,
}

impl Stage {
    /// With a provider that answers at once.
    pub(crate) async fn new() -> Self {
        Self::with(SimulatorConfig::instant()).await
    }

    pub(crate) async fn with(simulator: SimulatorConfig) -> Self {
        Self::at(create_database().await, simulator).await
    }

    /// With photos in a bucket of an S3 server.
    pub(crate) async fn in_a_bucket() -> Self {
        let bucket = Bucket::start().await;
        Self {
            bucket: Some(bucket),
            ..Self::new().await
        }
    }

    /// On a server that the test may stop.
    pub(crate) async fn on(server: &Server, simulator: SimulatorConfig) -> Self {
        Self::at(create_database_on(&server.url).await, simulator).await
    }

    /// On a database of the test's own.
    pub(crate) async fn at(url: String, simulator: SimulatorConfig) -> Self {
        let pool = PgPool::connect(&url).await.unwrap();
        Self {
            url,
            pool,
            simulator: Simulator::start(simulator).await.unwrap(),
            photos: tempfile::tempdir().unwrap(),
            bucket: None,
            spools: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) async fn db(&self) -> Db {
        Db::connect(&self.url, None, 8).await.unwrap()
    }

    /// Runs SQL as an app or an operator would; panics if it is refused.
    pub(crate) async fn sql(&self, sql: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(&self.pool)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{sql}"));
    }

    /// One number.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT ({sql})::bigint")))
            .fetch_one(&self.pool)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{sql}"))
    }

    /// One text; null is empty.
    pub(crate) async fn text(&self, sql: &str) -> String {
        sqlx::query_scalar::<_, Option<String>>(sqlx::AssertSqlSafe(format!(
            "SELECT ({sql})::text"
        )))
        .fetch_one(&self.pool)
        .await
        .unwrap_or_else(|error| panic!("{error}\n{sql}"))
        .unwrap_or_default()
    }

    /// One user may run as many jobs as there are: this test has no other.
    pub(crate) async fn without_cap(&self) {
        self.sql(
            "INSERT INTO photo_generation_settings (key, value) VALUES ('tenantMaxRunning', '0')",
        )
        .await;
    }

    /// Inserts one job; returns its id.
    pub(crate) async fn job(&self, prompt: &str, images: i32) -> i64 {
        sqlx::query_scalar(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "userId")
               VALUES ($1, $2, '7') RETURNING id"#,
        )
        .bind(prompt)
        .bind(images)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    pub(crate) async fn status(&self, job: i64) -> String {
        self.text(&format!(
            "SELECT status FROM photo_generation_queue WHERE id = {job}"
        ))
        .await
    }

    /// Waits until a condition in SQL holds.
    pub(crate) async fn until(&self, condition: &str) {
        self.until_within(condition, PATIENCE).await;
    }

    pub(crate) async fn until_within(&self, condition: &str, patience: Duration) {
        let query = format!("SELECT coalesce(({condition}), false)");
        let holds = async {
            loop {
                // The server may be down: that is what some tests are about.
                let look = sqlx::query_scalar(sqlx::AssertSqlSafe(query.clone()));
                if let Ok(true) = look.fetch_one(&self.pool).await {
                    return;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let Ok(()) = tokio::time::timeout(patience, holds).await else {
            panic!(
                "after {patience:?} this does not hold: {condition}\n{}",
                self.dump().await
            );
        };
    }

    /// Waits until all jobs are in a final state.
    pub(crate) async fn until_all_ended(&self) {
        self.until(
            "SELECT NOT EXISTS (SELECT FROM photo_generation_queue
                    WHERE status IN ('pending', 'processing', 'rate_limited'))",
        )
        .await;
    }

    /// Waits until the provider's log is as wanted.
    pub(crate) async fn until_called(&self, wanted: impl Fn(&[CallRecord]) -> bool) {
        self.simulator.wait_for(wanted, PATIENCE).await.unwrap();
    }

    /// Waits until so many images of a job are stored.
    pub(crate) async fn until_stored(&self, job: i64, images: i64) {
        self.until(&format!(
            r#"SELECT "imagesCompleted" = {images} FROM photo_generation_queue WHERE id = {job}"#
        ))
        .await;
    }

    /// How a job stands; `lease` counts every claim and every end of one.
    pub(crate) async fn end_of(&self, job: i64) -> String {
        self.text(&format!(
            r#"SELECT format('%s %s/%s attempts %s lease %s', status, "imagesCompleted", "imagesTotal", attempts, lease)
               FROM photo_generation_queue WHERE id = {job}"#
        ))
        .await
    }

    /// What the ledger says of a job's calls, as `ambiguous 1, stored 3`.
    /// On a slow machine some are given up before they are made, and count for nothing.
    pub(crate) async fn calls_of(&self, job: i64) -> String {
        self.text(&format!(
            r#"SELECT string_agg(format('%s %s', state, count), ', ' ORDER BY state)
               FROM (SELECT state, count(*) FROM photo_generation_calls
                     WHERE "jobId" = {job} AND "errorCode" IS DISTINCT FROM 'not_called' GROUP BY 1) AS s"#
        ))
        .await
    }

    /// Nothing was bought twice, and of all `calls` that the provider saw each is accounted for.
    pub(crate) async fn assert_sound(&self, calls: i64) {
        assert_eq!(count(&self.simulator.log(), |_| true), calls);
        self.assert_photos().await;
        self.assert_equation().await;
    }

    /// The equation of the contract: what the provider took, less what we know of, is never below
    /// zero and never above the calls that we admit not to know.
    pub(crate) async fn assert_equation(&self) {
        let log = self.simulator.log();
        let accepted = count(&log, |call| call.accepted);
        let erred = count(&log, |call| {
            call.accepted && call.outcome == CallOutcome::Error
        });
        let known = self
            .number("SELECT count(*) FROM photo_generation_calls WHERE state IN ('stored', 'refused', 'empty')")
            .await;
        let ambiguous = self
            .number("SELECT count(*) FROM photo_generation_calls WHERE state = 'ambiguous'")
            .await;
        let unknown = accepted - known - erred;
        assert!(
            (0..=ambiguous).contains(&unknown),
            "accepted {accepted} - known {known} - accepted errors {erred} = {unknown}, ambiguous {ambiguous}\n{}",
            self.dump().await
        );
    }

    /// No image and no step was bought twice, and each stored one lies in storage, whole.
    pub(crate) async fn assert_photos(&self) {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            r#"SELECT "storageKey", bytes FROM photo_generation_images WHERE state = 'stored'"#,
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        for (key, bytes) in &rows {
            let file = std::fs::metadata(self.photos().join(key)).unwrap();
            assert_eq!(file.len(), u64::try_from(*bytes).unwrap(), "{key}");
        }
        let twice = self
            .number(
                r#"SELECT count(*) FROM (SELECT "jobId", index, step FROM photo_generation_calls
                       WHERE state = 'stored' GROUP BY 1, 2, 3 HAVING count(*) > 1) AS twice"#,
            )
            .await;
        assert_eq!(
            twice,
            0,
            "an image or a step was bought twice\n{}",
            self.dump().await
        );
    }

    /// The tables, for the message of a test that failed.
    pub(crate) async fn dump(&self) -> String {
        let mut text = String::new();
        for sql in [
            r#"SELECT string_agg(concat_ws(' ', id, status, 'lease', lease, 'attempts', attempts, 'images', "imagesCompleted", '/', "imagesTotal", "errorCode", "errorMessage", "lockedBy", "retryAt" - now()), E'\n' ORDER BY id) FROM (SELECT * FROM photo_generation_queue ORDER BY id LIMIT 20) AS q"#,
            r#"SELECT string_agg(concat_ws(' ', 'call', "jobId", index, step, 'lease', lease, state, accepted, "errorCode"), E'\n' ORDER BY "startedAt") FROM (SELECT * FROM photo_generation_calls ORDER BY "startedAt" LIMIT 60) AS c"#,
            r#"SELECT string_agg(concat_ws(' ', 'image', "jobId", index, state, "errorCode", ambiguous), E'\n' ORDER BY "jobId", index) FROM (SELECT * FROM photo_generation_images ORDER BY 1, 2 LIMIT 60) AS i"#,
            r#"SELECT string_agg(concat_ws(' ', 'limit', account, model, "cooldownUntil" - now(), "blockedUntil" - now(), reason), E'\n') FROM photo_generation_limits WHERE reason IS NOT NULL"#,
        ] {
            let part = sqlx::query_scalar::<_, Option<String>>(sql)
                .fetch_one(&self.pool)
                .await;
            text.push_str(&part.map_or_else(|error| error.to_string(), Option::unwrap_or_default));
            text.push('\n');
        }
        text
    }

    /// The folder in which the photos are files, whatever way they went.
    pub(crate) fn photos(&self) -> &Path {
        let folder = self.bucket.as_ref().map(Bucket::objects);
        folder.unwrap_or(self.photos.path())
    }

    /// The S3 server of a stage that has one.
    pub(crate) fn bucket(&self) -> &Bucket {
        self.bucket.as_ref().unwrap()
    }

    /// What tells a command where the photos are.
    pub(crate) fn storage(&self) -> Vec<String> {
        match &self.bucket {
            Some(bucket) => bucket.arguments(),
            None => vec![format!("--storage=local:{}", self.photos().display())],
        }
    }
}

/// Some call gets no answer.
pub(crate) fn hangs(log: &[CallRecord]) -> bool {
    log.iter().any(|call| call.outcome == CallOutcome::Hang)
}

pub(crate) fn count(log: &[CallRecord], which: impl Fn(&CallRecord) -> bool) -> i64 {
    i64::try_from(log.iter().filter(|call| which(call)).count()).unwrap()
}
