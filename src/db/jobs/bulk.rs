//! What is done to many jobs, or to one: cancel and retry, each a single statement.
//!
//! The jobs are named by id, also after a search: what a person has confirmed is done to the jobs
//! that were counted and to no others. A job that has changed its state since is left out by the
//! statement itself.

use std::time::Duration;

use uuid::Uuid;

use crate::db::words::words;
use crate::db::{Db, DbError, seconds};
use crate::domain::{JobId, Status};

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
    let retried = sqlx::query_file_as!(Retried, "sql/queue/retry.sql", jobs)
        .fetch_all(&db.pool)
        .await?;
    Ok(retried)
}
