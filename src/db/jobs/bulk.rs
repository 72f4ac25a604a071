//! What is done to many jobs, or to one: cancel and retry, each a single statement.
//!
//! The jobs are named by id, also after a search: what a person has confirmed is done to the jobs
//! that were counted and to no others. A job that has changed its state since is left out by the
//! statement itself.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{EnqueueError, with_keys};
use crate::db::words::words;
use crate::db::{Db, DbError, seconds};
use crate::domain::{JobId, Status, Tenant};

/// Which jobs a bulk action is about. `None` does not filter; the states do, also when empty.
#[derive(Debug, Default, Clone)]
pub struct Selection {
    pub statuses: Vec<Status>,
    pub error_code: Option<String>,
    pub batch_id: Option<i64>,
    /// Created within this long.
    pub since: Option<Duration>,
    /// Leave out jobs that a retry was made of before: each retry is paid for.
    pub not_retried_yet: bool,
}

/// A job that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selected {
    pub id: JobId,
    pub job_id: Option<Uuid>,
    pub status: Status,
}

/// A job made by a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retried {
    pub id: JobId,
    pub job_id: Uuid,
    /// The uuid of the job that it repeats.
    pub original: Option<Uuid>,
    pub status: Status,
    pub created_at: Option<DateTime<Utc>>,
}

/// A retry that may be asked for twice.
#[derive(Debug, Clone)]
pub struct Again {
    pub job: JobId,
    /// What follows the new job through the logs.
    pub request_id: String,
    /// The same key makes one job, as long as it is for the same request.
    pub idempotency_key: Option<String>,
    pub request_hash: String,
}

/// The jobs of a selection, oldest first.
pub async fn select(db: &Db, selection: &Selection) -> Result<Vec<Selected>, DbError> {
    let jobs = sqlx::query_file_as!(
        Selected,
        "sql/queue/select.sql",
        &words(&selection.statuses),
        selection.error_code,
        selection.batch_id,
        selection.since.map(seconds),
        selection.not_retried_yet
    )
    .fetch_all(&db.pool)
    .await?;
    Ok(jobs)
}

/// Cancels those that have not ended, and returns them. A running call is aborted within two
/// seconds.
pub async fn cancel(db: &Db, jobs: &[JobId]) -> Result<Vec<JobId>, DbError> {
    let canceled = sqlx::query_file_scalar!("sql/queue/cancel.sql", jobs)
        .fetch_all(&db.pool)
        .await?;
    Ok(canceled)
}

/// New jobs with the wishes of those that failed or were canceled, which stay as they are. Not to
/// be sent twice: each time makes new jobs.
pub async fn retry(db: &Db, jobs: &[JobId]) -> Result<Vec<Retried>, DbError> {
    let nothing = None::<String>;
    let retried = sqlx::query_file_as!(
        Retried,
        "sql/queue/retry.sql",
        jobs,
        nothing,
        nothing,
        nothing
    )
    .fetch_all(&db.pool)
    .await?;
    Ok(retried)
}

/// The new job; `None`: the job can be retried no more, or the key is taken.
pub async fn retry_once(db: &Db, again: &Again) -> Result<Option<Retried>, DbError> {
    let retried = sqlx::query_file_as!(
        Retried,
        "sql/queue/retry.sql",
        &[again.job],
        again.request_id,
        again.idempotency_key,
        again.request_hash
    );
    Ok(retried.fetch_optional(&db.pool).await?)
}

/// The job that the same request made before, if it has a key. `tenant` is whose the old job is.
pub async fn retried_before(
    db: &Db,
    tenant: &Tenant,
    again: &Again,
) -> Result<Option<Retried>, EnqueueError> {
    let Some(key) = &again.idempotency_key else {
        return Ok(None);
    };
    let there = with_keys(db, tenant, std::slice::from_ref(key)).await?;
    match there.into_iter().next() {
        None => Ok(None),
        Some(job) if job.request_hash.as_ref() == Some(&again.request_hash) => Ok(Some(Retried {
            id: job.id,
            job_id: job.job_id,
            original: job.retry_of,
            status: job.status,
            created_at: job.created_at,
        })),
        Some(job) => Err(EnqueueError::KeyTaken(job.id)),
    }
}
