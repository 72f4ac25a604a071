//! The demo's side of the database: an app that inserts rows, and somebody who looks at them.
//!
//! The two INSERTs are shown to people as they run, so their files have no head and hold nothing
//! that only a program needs. Nothing of the product uses this.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Db, DbError};
use crate::domain::{ImageState, JobId, Provider, Status};

/// Opens a batch for `$1`.
pub const INSERT_BATCH: &str = include_str!("../../sql/demo/batch.sql");
/// Puts a job into batch `$1` for user `$2`: prompt, aspect ratio, number of images.
pub const INSERT_JOB: &str = include_str!("../../sql/demo/job.sql");

/// What an app asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    pub prompt: String,
    pub aspect_ratio: String,
    pub images: i32,
}

/// A job with its images.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub id: JobId,
    pub batch_id: Option<i64>,
    pub status: Status,
    pub prompt: String,
    pub aspect_ratio: Option<String>,
    /// A sentence for people.
    pub error: Option<String>,
    pub created_at: Option<DateTime<Utc>>,
    /// Until it may be claimed again; `None` when that is now.
    pub retry_in: Option<Duration>,
    /// From its insertion until it ended, or until now.
    pub elapsed: Duration,
    /// Calls of it that were answered 429.
    pub limited: i64,
    /// In order.
    pub images: Vec<Image>,
}

/// One image of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// From 1.
    pub index: i32,
    pub state: ImageState,
    /// Where it lies, once it is stored.
    pub photo: Option<Photo>,
    /// Why there will be none, as a sentence for people.
    pub error: Option<String>,
}

/// A stored picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Photo {
    pub key: String,
    pub bytes: i64,
    pub width: i32,
    pub height: i32,
    /// What the call took that brought it.
    pub took: Option<Duration>,
}

/// A row of the queue as its operator looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRow {
    pub id: JobId,
    pub status: String,
    pub images: Option<String>,
    pub attempts: Option<i32>,
    pub error: Option<String>,
    pub took: Option<String>,
}

/// Why no call passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// For how much longer.
    pub lasts: Duration,
    pub reason: Option<String>,
}

/// Inserts a batch of jobs, as an app would: it knows the tables and nothing of workers.
pub async fn insert(db: &Db, user: &str, jobs: &[NewJob]) -> Result<i64, DbError> {
    let mut transaction = db.pool.begin().await?;
    let batch = sqlx::query_file_scalar!("sql/demo/batch.sql", user)
        .fetch_one(&mut transaction)
        .await?;
    for job in jobs {
        sqlx::query_file!(
            "sql/demo/job.sql",
            batch,
            user,
            job.prompt,
            job.aspect_ratio,
            job.images
        )
        .execute(&mut transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(batch)
}

/// How many batches there are.
pub async fn batches(db: &Db) -> Result<i64, DbError> {
    let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM photo_generation_batches"#);
    Ok(count.fetch_one(&db.pool).await?)
}

/// All jobs, newest first.
pub async fn look(db: &Db) -> Result<Vec<Job>, DbError> {
    let rows = sqlx::query_file!("sql/demo/look.sql")
        .fetch_all(&db.pool)
        .await?;
    let mut jobs: Vec<Job> = Vec::new();
    for row in rows {
        if jobs.last().is_none_or(|job| job.id != row.id) {
            jobs.push(Job {
                id: row.id,
                batch_id: row.batch_id,
                status: row.status,
                prompt: row.prompt.unwrap_or_default(),
                aspect_ratio: row.aspect_ratio,
                error: row.error,
                created_at: row.created_at,
                retry_in: row.retry_in_seconds.and_then(positive),
                elapsed: row.elapsed_seconds.and_then(positive).unwrap_or_default(),
                limited: row.limited,
                images: Vec::new(),
            });
        }
        let (Some(job), Some(index)) = (jobs.last_mut(), row.index) else {
            continue;
        };
        let photo = match (row.state, row.key, row.bytes, row.width, row.height) {
            (ImageState::Stored, Some(key), Some(bytes), Some(width), Some(height)) => {
                let took = row.took_seconds.and_then(positive);
                Some(Photo {
                    key,
                    bytes,
                    width,
                    height,
                    took,
                })
            }
            _ => None,
        };
        job.images.push(Image {
            index,
            state: row.state,
            photo,
            error: row.image_error,
        });
    }
    Ok(jobs)
}

/// A batch as its operator looks at it.
pub async fn queue(db: &Db, batch: i64) -> Result<Vec<QueueRow>, DbError> {
    Ok(sqlx::query_file_as!(QueueRow, "sql/demo/queue.sql", batch)
        .fetch_all(&db.pool)
        .await?)
}

/// What keeps all of these accounts from calling a model.
pub async fn obstacle(
    db: &Db,
    provider: Provider,
    accounts: &[String],
    model: &str,
) -> Result<Option<Obstacle>, DbError> {
    let row = sqlx::query_file!("sql/demo/obstacle.sql", provider.as_str(), accounts, model)
        .fetch_optional(&db.pool)
        .await?;
    Ok(row.and_then(|row| {
        Some(Obstacle {
            lasts: row.seconds.and_then(positive)?,
            reason: row.reason,
        })
    }))
}

/// Forgets what providers let us know in an earlier run: the simulator is another one now, and a key
/// that was refused may have been replaced.
pub async fn forget_limits(db: &Db) -> Result<(), DbError> {
    sqlx::query!(
        r#"UPDATE photo_generation_limits
           SET "cooldownUntil" = NULL, "limitedInARow" = 0, "blockedUntil" = NULL, reason = NULL"#
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// Cancels every job that has not ended; returns how many there were.
pub async fn cancel_unfinished(db: &Db) -> Result<u64, DbError> {
    let canceled = sqlx::query!(
        "UPDATE photo_generation_queue SET status = 'canceled'
         WHERE status IN ('pending', 'processing', 'rate_limited')"
    )
    .execute(&db.pool)
    .await?;
    Ok(canceled.rows_affected())
}

/// A statement's seconds; `None` for a moment that has passed.
fn positive(seconds: f64) -> Option<Duration> {
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    (!duration.is_zero()).then_some(duration)
}
