//! What a job depends on at this moment: who holds it, and what its model waits for.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::super::{Db, DbError};
use crate::domain::JobId;

/// Who holds a job that is processing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    pub label: Option<String>,
    pub host: Option<String>,
    pub kind: HolderKind,
    /// Since it said that it lives.
    pub silent_seconds: Option<f64>,
}

/// What we know of a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HolderKind {
    /// A worker of ours, with a row.
    Worker,
    /// A worker of ours whose row is gone.
    GoneWorker,
    /// It locked the row by hand.
    OtherProgram,
}

/// An account that takes no calls to the job's model now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hindrance {
    pub provider: String,
    pub account: String,
    pub model: String,
    /// By an operator, until an operator resumes it.
    pub paused: bool,
    /// Until the next call is tried.
    pub seconds: Option<f64>,
    pub reason: Option<String>,
}

/// Where a job that is due stands in the order of claims, and what its turn waits for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// About how many jobs of its model begin before it; more, if there were too many to count.
    pub jobs_before: i64,
    pub or_more: bool,
    /// What those have to make, and how many of the model's images are made in a second of late;
    /// `None`: nobody knows.
    pub images_before: f64,
    pub images_per_second: Option<f64>,
    /// Jobs of its tenant that run, and how many may; `None`: any number.
    pub running: i64,
    pub max_running: Option<i64>,
    /// Until when its model takes no calls on any account, and why.
    pub usable_at: Option<DateTime<Utc>>,
    pub why: Option<String>,
}

/// Where a job stands that is due.
pub async fn standing(db: &Db, job: JobId) -> Result<Option<Standing>, DbError> {
    Ok(
        sqlx::query_file_as!(Standing, "sql/queue/position.sql", job)
            .fetch_optional(&db.pool)
            .await?,
    )
}

/// Who holds the job, if it is processing.
pub async fn holder(db: &Db, job: JobId) -> Result<Option<Holder>, DbError> {
    let row = sqlx::query!(
        r#"SELECT job."lockedBy" AS locked_by, worker.label AS "label?", worker.host AS "host?",
                  job.run IS NULL AS "other!", worker.run IS NULL AS "gone!",
                  CASE WHEN isfinite(coalesce(worker."renewedAt", job."lockedAt"))
                       THEN extract(epoch FROM now() - coalesce(worker."renewedAt", job."lockedAt"))
                       END::float8 AS silent_seconds
           FROM photo_generation_queue AS job
           LEFT JOIN photo_generation_workers AS worker ON worker.run = job.run
           WHERE job.id = $1 AND job.status = 'processing'"#,
        job
    )
    .fetch_optional(&db.pool)
    .await?;
    Ok(row.map(|row| Holder {
        label: row.label.or(row.locked_by),
        host: row.host,
        kind: if row.other {
            HolderKind::OtherProgram
        } else if row.gone {
            HolderKind::GoneWorker
        } else {
            HolderKind::Worker
        },
        silent_seconds: row.silent_seconds,
    }))
}

/// The accounts, of any worker, that take no calls to the model of a job that waits.
pub async fn hindrances(db: &Db, job: JobId) -> Result<Vec<Hindrance>, DbError> {
    Ok(sqlx::query_as!(
        Hindrance,
        r#"SELECT l.provider, l.account, l.model, l.paused, l.reason,
                  -- A hand may have written infinity, from which nothing can be subtracted.
                  CASE WHEN NOT l.paused THEN extract(epoch FROM
                      least(greatest(l."cooldownUntil", l."blockedUntil", now()),
                            now() + interval '100 years') - now())::float8 END AS seconds
           FROM photo_generation_queue AS job
           JOIN photo_generation_limits AS l ON l.model = coalesce(job.model, (
               SELECT chosen.value FROM photo_generation_settings AS provider
               JOIN photo_generation_settings AS chosen
                   ON chosen.key = 'defaultModel.' || provider.value
               WHERE provider.key = 'defaultProvider'))
           WHERE job.id = $1 AND job.status IN ('pending', 'rate_limited')
             AND (l.paused OR l."blockedUntil" IS NOT NULL OR l."cooldownUntil" > now())
           ORDER BY l.account"#,
        job
    )
    .fetch_all(&db.pool)
    .await?)
}
