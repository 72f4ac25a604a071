//! Retention: what is old enough goes, and nothing else.

mod load;
mod objects;
mod orphans;
mod races;
mod safe;

use std::time::Duration;

use crate::harness::{InProcess, Stage};

/// Wishes for ended jobs, each with one image and one call.
struct Ended {
    status: &'static str,
    days: i32,
    jobs: i32,
}

impl Stage {
    /// Inserts jobs that ended so many days ago; their ids.
    async fn ended(&self, ended: Ended) -> Vec<i64> {
        let Ended { status, days, jobs } = ended;
        let stored = i32::from(status == "completed");
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            r#"WITH job AS (
                   INSERT INTO photo_generation_queue
                       ("basePrompt", "userId", status, "createdAt", "completedAt", "imagesTotal", "imagesCompleted")
                   SELECT 'a lake', '7', '{status}', at, at, 1, {stored}
                   FROM generate_series(1, {jobs}), (SELECT now() - interval '{days} days' AS at) AS long_ago
                   RETURNING id, "jobId", "createdAt" AS at),
               call AS (
                   INSERT INTO photo_generation_calls
                       (id, "jobId", "jobUuid", tenant, index, lease, run, attempt, provider, account, model,
                        "deadlineAt", state, accepted, "startedAt", "endedAt", "costUsd", spool)
                   SELECT gen_random_uuid(), id, "jobId", 'user:7', 1, 1, gen_random_uuid(), 1, 'gemini', 'default',
                          'gemini-2.5-flash-image', at, CASE {stored} WHEN 1 THEN 'stored' ELSE 'refused' END, true,
                          -- Where it once waited keeps nothing.
                          at, at, 0.039, gen_random_uuid()
                   FROM job
                   RETURNING id, "jobId" AS job),
               image AS (
                   INSERT INTO photo_generation_images
                       ("jobId", index, state, "callId", "storageKey", "mimeType", bytes, width, height, sha256)
                   SELECT job.id, 1, CASE {stored} WHEN 1 THEN 'stored' ELSE 'refused' END, call.id,
                          CASE {stored} WHEN 1 THEN format('user=3A7/%s/1-%s.png', job."jobId", call.id) END,
                          'image/png', 9, 3, 3, 'x'
                   FROM job JOIN call ON call.job = job.id)
               SELECT id FROM job ORDER BY id"#
        )))
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    async fn completed(&self, days: i32, jobs: i32) -> Vec<i64> {
        let status = "completed";
        self.ended(Ended { status, days, jobs }).await
    }

    async fn failed(&self, status: &'static str, days: i32) -> i64 {
        let jobs = 1;
        self.ended(Ended { status, days, jobs }).await[0]
    }

    /// Puts the pictures of all stored images where they belong.
    async fn paint(&self) {
        for key in self.keys().await {
            let path = self.photos().join(key);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"a picture").unwrap();
        }
    }

    async fn keys(&self) -> Vec<String> {
        sqlx::query_scalar(
            r#"SELECT "storageKey" FROM photo_generation_images WHERE state = 'stored'"#,
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// How many pictures lie in the storage.
    fn pictures(&self) -> usize {
        fn below(folder: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(folder).unwrap();
            let paths = entries.map(|entry| entry.unwrap().path());
            paths
                .map(|path| if path.is_dir() { below(&path) } else { 1 })
                .sum()
        }
        below(self.photos())
    }

    /// The jobs that are there.
    async fn jobs(&self) -> Vec<i64> {
        sqlx::query_scalar("SELECT id::bigint FROM photo_generation_queue ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    /// Images and calls that there are, of jobs and without.
    async fn belongings(&self) -> String {
        self.text(
            r#"SELECT format('%s images, %s calls, %s without a job',
                   (SELECT count(*) FROM photo_generation_images),
                   (SELECT count(*) FROM photo_generation_calls),
                   (SELECT count(*) FROM photo_generation_calls AS call WHERE NOT EXISTS (
                        SELECT FROM photo_generation_queue WHERE id = call."jobId")))"#,
        )
        .await
    }

    async fn retain(&self, completed: i32, failed: i32, objects: &str) {
        self.sql(&format!(
            "INSERT INTO photo_generation_settings (key, value)
             VALUES ('retentionCompletedDays', '{completed}'), ('retentionFailedDays', '{failed}'),
                    ('retentionDeleteObjects', '{objects}')
             ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        ))
        .await;
    }

    /// A worker that looks for something to prune twice a second, and takes no job.
    async fn pruning_worker(&self) -> InProcess {
        self.worker_with(|settings| {
            settings.rhythm.sweep_every = Duration::from_millis(40);
            settings.types = Some(vec!["none".to_owned()]);
        })
        .await
    }
}

#[tokio::test]
async fn a_worker_prunes_by_state_and_age_and_leaves_the_photos() {
    let stage = Stage::new().await;
    let old = stage.completed(31, 450).await;
    stage.paint().await;
    let young = stage.completed(29, 1).await[0];
    let failed = stage.failed("failed", 8).await;
    let lately = stage.failed("failed", 6).await;
    let canceled = stage.failed("canceled", 8).await;
    let waiting = stage.job("a lake", 1).await;
    let stopped = stage.job("a lake", 1).await;
    stage
        .sql(
            r#"UPDATE photo_generation_queue SET "createdAt" = now() - interval '1 year', "updatedAt" = now() - interval '1 year'
               WHERE status = 'pending'"#,
        )
        .await;
    stage.retain(30, 7, "false").await;

    let worker = stage.pruning_worker().await;

    stage
        .until(&format!(
            "SELECT NOT EXISTS (SELECT FROM photo_generation_queue WHERE id IN ({failed}, {canceled}, {}))",
            old[449]
        ))
        .await;
    assert_eq!(stage.jobs().await, [young, lately, waiting, stopped]);
    assert_eq!(
        stage.belongings().await,
        "2 images, 2 calls, 0 without a job"
    );
    assert_eq!(stage.pictures(), 450);
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_removals")
            .await,
        0
    );
    worker.stop().await;
}

#[tokio::test]
async fn nothing_is_pruned_unless_it_is_asked_for() {
    let stage = Stage::new().await;
    let old = stage.completed(4000, 3).await;
    stage.retain(0, 0, "true").await;
    let check = async |arguments: &[&str]| {
        let answer = stage.safelight(arguments).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        assert!(
            answer
                .stdout
                .starts_with("Nothing is pruned: no retention is set."),
            "{answer:?}"
        );
    };

    check(&["prune"]).await;
    check(&["prune", "--yes", "--objects", "--adopted"]).await;
    check(&["prune", "--completed-days", "0", "--dry-run"]).await;
    // What is no number keeps everything.
    stage
        .sql("UPDATE photo_generation_settings SET value = 'a month' WHERE key = 'retentionCompletedDays'")
        .await;
    check(&["prune", "--yes"]).await;
    let worker = stage.pruning_worker().await;
    // Some looks later.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(stage.jobs().await, old);
    worker.stop().await;
}

#[tokio::test]
async fn the_command_shows_what_would_go_asks_and_does_what_it_showed() {
    let stage = Stage::new().await;
    stage.completed(40, 3).await;
    let young = stage.completed(20, 1).await[0];
    let failed = stage.failed("failed", 40).await;
    let oldest = stage
        .text(r#"SELECT to_char(min("completedAt") AT TIME ZONE 'UTC', 'YYYY-MM-DD') FROM photo_generation_queue"#)
        .await;
    let expected = format!(
        "3 jobs to be pruned: 3 completed. The oldest ended on {oldest}. 3 photos (27 B) stay in the storage; --objects removes them."
    );
    let before = stage.jobs().await;

    let dry = stage
        .safelight(&["prune", "--completed-days=30", "--dry-run"])
        .await;
    assert_eq!(dry.stdout, format!("{expected}\n"), "{dry:?}");
    let json = stage
        .safelight(&["prune", "--completed-days=30", "--dry-run", "--json"])
        .await
        .json();
    assert_eq!(json["dryRun"], true);
    assert_eq!(json["found"]["completed"]["jobs"], 3);
    assert_eq!(json["found"]["completed"]["bytes"], 27);
    assert_eq!(json["removedJobs"], 0);
    let unasked = stage.safelight(&["prune", "--completed-days=30"]).await;
    assert_eq!(unasked.code, 2, "{unasked:?}");
    assert!(unasked.stderr.contains("Nobody can be asked here; --yes"));
    assert_eq!(stage.jobs().await, before);

    let done = stage
        .safelight(&["prune", "--completed-days=30", "--yes"])
        .await;

    assert_eq!(done.stdout, "3 jobs are pruned.\n", "{done:?}");
    assert_eq!(done.stderr.trim_end(), expected);
    assert_eq!(stage.jobs().await, [young, failed]);
    stage.retain(10, 10, "false").await;
    let recorded = stage.safelight(&["prune", "--yes", "--json"]).await.json();
    assert_eq!(recorded["removedJobs"], 2, "{recorded}");
    let none = stage.safelight(&["prune"]).await;
    assert_eq!(none.stdout, "No job is old enough to be pruned.\n");
}

/// The ledger of pruned jobs goes with them, but not a call that limits and budgets have counted.
#[tokio::test]
async fn what_is_spent_today_is_the_same_before_and_after() {
    let stage = Stage::new().await;
    let with_a_call_of_today = stage.completed(40, 1).await[0];
    stage
        .sql(r#"UPDATE photo_generation_calls SET "startedAt" = now(), "endedAt" = now()"#)
        .await;
    stage.completed(40, 5).await;
    let today = "SELECT concat_ws(' ', calls, cost, photo_generation_spent_today())
        FROM photo_generation_today('gemini', 'default', 'gemini-2.5-flash-image')";
    let roll = "SELECT photo_generation_roll_total('gemini', 'default', 'gemini-2.5-flash-image')";
    // Once with all that is counted in the total, once with nothing.
    let before = stage.text(today).await;
    assert_eq!(before, "1 0.039000 0.039000");

    let done = stage
        .safelight(&["prune", "--completed-days=30", "--yes"])
        .await;

    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(stage.jobs().await, [with_a_call_of_today]);
    assert_eq!(stage.text(today).await, before);
    stage.sql(roll).await;
    stage.sql(roll).await;
    assert_eq!(stage.text(today).await, before);
}
