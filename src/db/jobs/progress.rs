//! Watching: how far some jobs are, in one statement however many are watched.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::db::{Db, DbError};
use crate::domain::{JobId, Status};

/// What is watched: these jobs, and all that are or come into a batch.
#[derive(Debug, Default, Clone)]
pub struct Watched {
    pub jobs: Vec<JobId>,
    pub batch_id: Option<i64>,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    pub id: JobId,
    pub job_id: Option<Uuid>,
    pub status: Status,
    /// Its beginning, to recognise the job by.
    #[serde(skip)]
    pub prompt: Option<String>,
    pub images_total: i64,
    pub images_completed: i64,
    pub attempts: i64,
    pub max_attempts: i64,
    pub error: Option<String>,
    pub error_code: Option<String>,
    pub retry_at: Option<DateTime<Utc>>,
    /// From now to `retry_at` on the database's clock, while the job waits; negative when that has
    /// passed.
    pub retry_in_seconds: Option<f64>,
    /// From its insertion until it ended, or until now.
    pub elapsed_seconds: f64,
}

/// The watched jobs that exist, oldest first.
pub async fn progress(db: &Db, watched: &Watched) -> Result<Vec<Progress>, DbError> {
    let jobs = sqlx::query_file_as!(
        Progress,
        "sql/queue/progress.sql",
        &watched.jobs,
        watched.batch_id
    )
    .fetch_all(&db.pool)
    .await?;
    Ok(jobs)
}
