//! Worker processes: who lives, who is idle, and which jobs they own.
//!
//! One row per process start, never per name: a restart under the same `WORKER_ID` must not keep
//! the jobs of the dead alive. All times are the database's.

use std::time::Duration;

use uuid::Uuid;

use super::{Db, DbError, seconds};
use crate::domain::JobId;

/// A worker that has not renewed for this long may be gone. It is what the wake-up trigger uses too.
const SILENT: Duration = Duration::from_secs(30);

/// One process start, as others see it.
#[derive(Debug, Clone)]
pub struct Registration {
    pub run: Uuid,
    /// `WORKER_ID`, a label; need not be unique.
    pub label: String,
    pub host: Option<String>,
    /// `provider:account`, each for which it has a key.
    pub accounts: Vec<String>,
}

/// A job and the lease under which this run owns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owned {
    pub job: JobId,
    pub token: i64,
}

/// Says that this run lives; returns the jobs it owns. `idle` is for a row that has to be made.
pub async fn renew(db: &Db, worker: &Registration, idle: Idle) -> Result<Vec<Owned>, DbError> {
    Ok(sqlx::query_file_as!(
        Owned,
        "sql/queue/renew.sql",
        worker.run,
        worker.label,
        env!("CARGO_PKG_VERSION"),
        worker.host,
        i32::try_from(std::process::id()).ok(),
        idle == Idle::Yes,
        &worker.accounts,
    )
    .fetch_all(&db.renewals)
    .await?)
}

/// The jobs that this run owns right now.
pub async fn owned(db: &Db, run: Uuid) -> Result<Vec<Owned>, DbError> {
    Ok(sqlx::query_file_as!(Owned, "sql/queue/owned.sql", run)
        .fetch_all(&db.renewals)
        .await?)
}

/// Renews `"lockedAt"` of all jobs of this run.
pub async fn touch(db: &Db, run: Uuid) -> Result<(), DbError> {
    sqlx::query_file!("sql/queue/touch.sql", run)
        .execute(&db.renewals)
        .await?;
    Ok(())
}

/// Removes this run's row at the end, unless a job still names it: then it goes by the sweep.
pub async fn deregister(db: &Db, run: Uuid) -> Result<(), DbError> {
    sqlx::query!(
        "DELETE FROM photo_generation_workers
         WHERE run = $1 AND NOT EXISTS (
             SELECT FROM photo_generation_queue WHERE status = 'processing' AND run = $1)",
        run
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// Whether a worker wants to be told of new rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    Yes,
    No,
}

/// Sets the flag that inserts look at.
pub async fn set_idle(db: &Db, run: Uuid, idle: Idle) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE photo_generation_workers SET idle = $2 WHERE run = $1",
        run,
        idle == Idle::Yes
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// The open transactions that have written to the queue and may have missed the flag.
pub async fn writers(db: &Db) -> Result<Vec<String>, DbError> {
    let rows = sqlx::query_file!("sql/queue/writers.sql")
        .fetch_all(&db.pool)
        .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// How many of them are still open.
pub async fn writers_left(db: &Db, writers: &[String]) -> Result<i64, DbError> {
    Ok(
        sqlx::query_file_scalar!("sql/queue/writers_left.sql", writers)
            .fetch_one(&db.pool)
            .await?,
    )
}

/// Whether a job waits to be taken back, for a drain that found nothing due `since` then.
pub async fn left_by_dead(db: &Db, run: Uuid, since: Duration) -> Result<bool, DbError> {
    Ok(
        sqlx::query_file_scalar!("sql/queue/left_by_dead.sql", run, seconds(since))
            .fetch_one(&db.pool)
            .await?,
    )
}

/// Who lives that could work a job, for people who wonder why nothing happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Staff {
    Nobody,
    /// Somebody, but without a key of the job's provider.
    NobodyFor(String),
    Somebody,
}

/// Whether any worker lives.
pub async fn any_alive(db: &Db) -> Result<bool, DbError> {
    let alive = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM photo_generation_workers
                          WHERE "renewedAt" > now() - make_interval(secs => $1)) AS "alive!""#,
        seconds(SILENT)
    )
    .fetch_one(&db.pool)
    .await?;
    Ok(alive)
}

/// Whether a worker lives that has a key for the model of this job.
pub async fn staff_for(db: &Db, job: JobId) -> Result<Staff, DbError> {
    let row = sqlx::query!(
        r#"SELECT served.provider, count(worker.run) AS "alive!",
                  count(worker.run) FILTER (
                      WHERE served.provider IS NULL OR worker.accounts IS NULL
                         OR EXISTS (SELECT FROM unnest(worker.accounts) AS account
                                    WHERE split_part(account, ':', 1) = served.provider)) AS "able!"
           FROM (SELECT photo_generation_provider(coalesce(
                            nullif(model::text, ''), photo_generation_default_model())) AS provider
                 FROM photo_generation_queue WHERE id = $1) AS served
           LEFT JOIN photo_generation_workers AS worker
               ON worker."renewedAt" > now() - make_interval(secs => $2)
           GROUP BY served.provider"#,
        job,
        seconds(SILENT)
    )
    .fetch_optional(&db.pool)
    .await?;
    Ok(match row {
        // Deleted meanwhile: nobody is missed.
        None => Staff::Somebody,
        Some(row) if row.able > 0 => Staff::Somebody,
        Some(row) if row.alive == 0 => Staff::Nobody,
        Some(row) => Staff::NobodyFor(row.provider.unwrap_or_default()),
    })
}
