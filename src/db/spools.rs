//! Spools: directories of workers with pictures that are paid for and wait for the storage.
//!
//! A row says to everybody else what lies where, and since when; which calls wait in it say the calls.
//! It is renewed as long as a worker looks after the directory, and goes when that is empty.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Db, DbError, seconds};
use crate::domain::JobId;

/// A spool that nobody has renewed for so long is gone with its machine, and its calls are ambiguous.
/// A machine is started again, or its disk put into another, in less; jobs should not wait for longer.
pub const GONE_AFTER: Duration = Duration::from_hours(1);

/// A spool that nobody has renewed for so long has no worker at the moment.
const SILENT: Duration = Duration::from_secs(30);

/// What lies in a spool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    pub photos: i32,
    pub bytes: i64,
    /// It takes no more, and its workers claim nothing.
    pub full: bool,
    /// Why the storage took nothing when it was last asked.
    pub error: Option<String>,
}

/// Says that this spool is looked after, and what is in it.
pub async fn renew(db: &Db, spool: Uuid, worker: &str, now: &Contents) -> Result<(), DbError> {
    sqlx::query!(
        r#"INSERT INTO photo_generation_spools AS spool (spool, worker, photos, bytes, "fullSince", error)
           VALUES ($1, $2, $3, $4, CASE WHEN $5 THEN now() END, $6)
           ON CONFLICT (spool) DO UPDATE
           SET worker = excluded.worker, "renewedAt" = now(), photos = excluded.photos,
               bytes = excluded.bytes, error = excluded.error,
               "fullSince" = CASE WHEN $5 THEN coalesce(spool."fullSince", now()) END"#,
        spool,
        worker,
        now.photos,
        now.bytes,
        now.full,
        now.error
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// A directory is empty. Where calls wait in it all the same, somebody has removed their files: its row
/// stays and is not renewed, so that they end.
pub async fn emptied(db: &Db, spool: Uuid) -> Result<(), DbError> {
    sqlx::query!(
        r#"WITH empty AS (
               UPDATE photo_generation_spools
               SET photos = 0, bytes = 0, "fullSince" = NULL, error = NULL
               WHERE spool = $1
                 AND EXISTS (SELECT FROM photo_generation_calls
                             WHERE state = 'calling' AND spool = $1)
               RETURNING spool)
           DELETE FROM photo_generation_spools
           WHERE spool = $1 AND NOT EXISTS (SELECT FROM photo_generation_calls
                                            WHERE state = 'calling' AND spool = $1)"#,
        spool
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// Removes the rows of spools that are gone, once no call waits in them.
pub async fn forget_gone(db: &Db) -> Result<(), DbError> {
    sqlx::query!(
        r#"DELETE FROM photo_generation_spools AS spool
           WHERE "renewedAt" < now() - make_interval(secs => $1)
             AND NOT EXISTS (SELECT FROM photo_generation_calls AS call
                             WHERE call.state = 'calling' AND call.spool = spool.spool)"#,
        seconds(GONE_AFTER)
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// A spool as its row tells it.
#[derive(Debug)]
pub struct Spool {
    pub worker: String,
    pub photos: i32,
    pub bytes: i64,
    pub full: bool,
    pub error: Option<String>,
    /// How long its oldest picture waits, in seconds.
    pub waits_seconds: f64,
    /// Since its worker was last heard of, if that is longer than usual.
    pub silent_seconds: Option<f64>,
}

/// All spools with pictures, the longest waiting first.
pub async fn all(db: &Db) -> Result<Vec<Spool>, DbError> {
    Ok(sqlx::query_as!(
        Spool,
        r#"SELECT spool.worker, spool.photos, spool.bytes, spool."fullSince" IS NOT NULL AS "full!",
                  spool.error, coalesce(extract(epoch FROM now() - waiting.since), 0)::float8 AS "waits_seconds!",
                  CASE WHEN spool."renewedAt" < now() - make_interval(secs => $1)
                       THEN extract(epoch FROM now() - spool."renewedAt") END::float8 AS silent_seconds
           FROM photo_generation_spools AS spool
           CROSS JOIN LATERAL (
               SELECT min(call."deadlineAt") AS since FROM photo_generation_calls AS call
               WHERE call.state = 'calling' AND call.spool = spool.spool
           ) AS waiting
           ORDER BY waiting.since, spool.worker"#,
        seconds(SILENT)
    )
    .fetch_all(&db.pool)
    .await?)
}

/// Images of a job that are paid for and wait in a spool.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spooled {
    /// `None`: of a step.
    pub index: Option<i32>,
    pub step: Option<String>,
    /// Who looks after the spool.
    pub worker: Option<String>,
    pub since: DateTime<Utc>,
    /// Why the storage took nothing when it was last asked.
    pub error: Option<String>,
}

pub async fn of_job(db: &Db, job: JobId) -> Result<Vec<Spooled>, DbError> {
    Ok(sqlx::query_as!(
        Spooled,
        r#"SELECT call.index, call.step, coalesce(spool.worker, call.worker) AS worker,
                  call."deadlineAt" AS since, spool.error AS "error?"
           FROM photo_generation_calls AS call
           LEFT JOIN photo_generation_spools AS spool ON spool.spool = call.spool
           WHERE call."jobId" = $1 AND call.state = 'calling' AND call.spool IS NOT NULL
           ORDER BY call.index, call.step"#,
        job
    )
    .fetch_all(&db.pool)
    .await?)
}
