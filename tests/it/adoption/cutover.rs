//! The old worker runs beside ours for a while, on the same rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use safelight::providers::simulator::{Pictures, SimulatorConfig};
use sqlx::{PgPool, Row as _};

use super::app::App;
use super::{APPS_HOOK, APPS_INSERT, Stage, TEXT, UUID};

const JOBS: usize = 60;
/// How long the old worker takes for a picture.
const OLD_CALL: Duration = Duration::from_millis(60);

/// The old worker: looks for what waits, takes it by id if it still waits and nobody has locked it,
/// inserts its photos, and writes the end by id and its own lock. It knows none of our columns.
struct OldWorker {
    name: &'static str,
    pool: PgPool,
    stop: Arc<AtomicBool>,
}

impl OldWorker {
    /// How many jobs it did.
    async fn work(self) -> i64 {
        let mut done = 0;
        while !self.stop.load(Ordering::Relaxed) {
            done += self.take_one().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        done
    }

    async fn take_one(&self) -> i64 {
        let waiting = sqlx::query(
            r#"SELECT id, "numImagesPerExample" FROM photo_generation_queue
               WHERE status IN ('pending', 'rate_limited') AND ("retryAt" IS NULL OR "retryAt" <= now())
               ORDER BY "createdAt" LIMIT 1"#,
        )
        .fetch_optional(&self.pool)
        .await
        .unwrap();
        let Some(row) = waiting else { return 0 };
        let (id, images): (i32, i32) = (row.get(0), row.get(1));
        let taken = sqlx::query(
            r#"UPDATE photo_generation_queue
               SET status = 'processing', "lockedBy" = $2, "lockedAt" = now(), "processedAt" = now()
               WHERE id = $1 AND status IN ('pending', 'rate_limited') AND "lockedBy" IS NULL"#,
        )
        .bind(id)
        .bind(self.name)
        .execute(&self.pool)
        .await
        .unwrap();
        if taken.rows_affected() == 0 {
            return 0;
        }
        for index in 1..=images {
            tokio::time::sleep(OLD_CALL).await;
            sqlx::query(
                r#"INSERT INTO photos ("userId", "jobId", url)
                   SELECT "userId", id, $2 FROM photo_generation_queue WHERE id = $1"#,
            )
            .bind(id)
            .bind(format!("old/{id}/{index}"))
            .execute(&self.pool)
            .await
            .unwrap();
        }
        // Its locks it leaves where they are.
        let ended = sqlx::query(
            r#"UPDATE photo_generation_queue SET status = 'completed', "completedAt" = now()
               WHERE id = $1 AND "lockedBy" = $2"#,
        )
        .bind(id)
        .bind(self.name)
        .execute(&self.pool)
        .await
        .unwrap();
        i64::try_from(ended.rows_affected()).unwrap()
    }
}

async fn both_work_on_one_table(app: App) {
    let stage = Stage::at(
        app.database().await,
        SimulatorConfig {
            latency: Duration::from_millis(20)..=Duration::from_millis(120),
            pictures: Pictures::Small,
            ..SimulatorConfig::default()
        },
    )
    .await;
    let stop = Arc::new(AtomicBool::new(false));
    let old: Vec<_> = ["edge-worker-2", "edge-worker-3"]
        .map(|name| OldWorker {
            name,
            pool: stage.pool.clone(),
            stop: stop.clone(),
        })
        .into_iter()
        .map(|worker| tokio::spawn(worker.work()))
        .collect();

    // Adopted under the old workers' hands.
    for _ in 0..JOBS / 3 {
        stage.sql(APPS_INSERT).await;
    }
    stage.migrate().await;
    stage.sql(APPS_HOOK).await;
    let ours = stage.worker().await;
    for _ in JOBS / 3..JOBS {
        stage.sql(APPS_INSERT).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stage.until_all_ended().await;
    stop.store(true, Ordering::Relaxed);
    let mut by_old = 0;
    for worker in old {
        by_old += worker.await.unwrap();
    }
    // The last batch of theirs is closed by our sweep.
    stage
        .until("SELECT bool_and(status = 'completed') FROM photo_generation_batches")
        .await;
    ours.stop().await;

    let new = r#""createdAt" > now() - interval '1 day'"#;
    let unfinished = format!(
        "SELECT count(*) FROM photo_generation_queue WHERE {new} AND status <> 'completed'"
    );
    assert_eq!(stage.number(&unfinished).await, 0, "{}", stage.dump().await);
    let by_us = stage
        .number(&format!(
            r#"SELECT count(*) FROM photo_generation_queue WHERE {new} AND "imagesCompleted" > 0"#
        ))
        .await;
    let all = stage
        .number(&format!(
            "SELECT count(*) FROM photo_generation_queue WHERE {new}"
        ))
        .await;
    assert!(by_old > 5 && by_us > 5, "old {by_old}, ours {by_us}");
    assert_eq!(by_old + by_us, all, "each job was done by one of them");
    let photos = format!(
        r#"SELECT count(*) FROM photo_generation_queue AS job WHERE {new}
           AND "numImagesPerExample" <> (SELECT count(*) FROM photos WHERE "jobId" = job.id)"#
    );
    assert_eq!(
        stage.number(&photos).await,
        0,
        "a photo is there twice, or not at all"
    );
    // The old worker's finished rows keep its locks, and that hurts nobody.
    let locked = format!(
        r#"SELECT count(*) FROM photo_generation_queue WHERE {new} AND status = 'completed' AND "lockedBy" IS NOT NULL"#
    );
    assert_eq!(stage.number(&locked).await, by_old);
    stage.assert_photos().await;
    stage.assert_equation().await;
}

#[tokio::test]
async fn the_old_worker_and_ours_share_a_table_with_integer_users() {
    both_work_on_one_table(TEXT).await;
}

#[tokio::test]
async fn the_old_worker_and_ours_share_a_table_with_uuid_users() {
    both_work_on_one_table(UUID).await;
}

/// A row that the old worker holds is left alone for five minutes, however busy ours is; and what it
/// writes after it lost the row hits nothing.
#[tokio::test]
async fn a_row_of_the_old_worker_is_taken_over_after_five_minutes_and_not_before() {
    let stage = Stage::of(TEXT).await;
    stage.migrate().await;
    stage
        .sql(r#"UPDATE photo_generation_queue SET status = 'canceled' WHERE "createdAt" > now() - interval '1 day';
                INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", status, "lockedBy", "lockedAt")
                VALUES ('held', 1, 'processing', 'edge-worker-2', now() - interval '4 minutes 55 seconds'),
                       ('lost', 1, 'processing', 'edge-worker-2', now() - interval '5 minutes 1 second')"#)
        .await;
    let worker = stage.worker().await;
    let status = |prompt: &str| {
        format!(r#"SELECT status FROM photo_generation_queue WHERE "basePrompt" = '{prompt}'"#)
    };

    stage
        .until(&format!("({}) = 'completed'", status("lost")))
        .await;
    let late = sqlx::query(
        r#"UPDATE photo_generation_queue SET status = 'failed', "errorMessage" = 'too late'
           WHERE "basePrompt" = 'lost' AND "lockedBy" = 'edge-worker-2'"#,
    )
    .execute(&stage.pool)
    .await
    .unwrap();
    let held = stage.text(&status("held")).await;
    let seen = stage
        .number(r#"SELECT extract(epoch FROM now() - "lockedAt") FROM photo_generation_queue WHERE "basePrompt" = 'held'"#)
        .await;
    stage
        .until(&format!("({}) = 'completed'", status("held")))
        .await;
    worker.stop().await;

    assert_eq!(late.rows_affected(), 0);
    assert!(held == "processing" || seen >= 300, "{held} after {seen} s");
    stage.assert_sound(2).await;
}
