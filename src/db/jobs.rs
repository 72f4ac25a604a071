//! Jobs as people and programs ask for them: enqueue, look, cancel, retry.
//!
//! Nothing here needs a worker. Enqueueing, what is done to many jobs at once, and watching stand in
//! files of their own.

mod bulk;
mod circumstances;
mod enqueue;
mod progress;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

pub use bulk::{Retried, Selected, Selection, cancel, retry, select};
pub use circumstances::{Hindrance, Holder, HolderKind, Standing, hindrances, holder, standing};
pub use enqueue::{EnqueueError, Enqueued, Insertion, NewJob, enqueue, tenant_of};
pub use progress::{Progress, Watched, progress};

use super::json::Json;
use super::words::words;
use super::{Db, DbError, seconds};
use crate::domain::{ImageState, JobId, Status, Tenant};

/// A job as somebody names it: the uuid that leaves the database, or the row's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobRef {
    Uuid(Uuid),
    Id(JobId),
}

impl FromStr for JobRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        text.parse()
            .map(Self::Uuid)
            .map_err(|_| format!("\"{text}\" is neither a job's uuid nor its number"))
    }
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(uuid) => uuid.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}

impl JobRef {
    fn parts(self) -> (Option<Uuid>, Option<JobId>) {
        match self {
            Self::Uuid(uuid) => (Some(uuid), None),
            Self::Id(id) => (None, Some(id)),
        }
    }
}

/// A job as it stands, without its lock columns.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub id: JobId,
    pub job_id: Option<Uuid>,
    pub batch_id: Option<i64>,
    #[serde(rename = "type")]
    pub kind: String,
    pub status: Status,
    pub team_id: Option<String>,
    pub user_id: Option<String>,
    pub prompt: Option<String>,
    pub aspect_ratio: Option<String>,
    pub model: Option<String>,
    pub priority: Option<String>,
    /// Images asked for.
    pub images_total: i64,
    pub images_completed: i64,
    pub image_urls: Option<Json>,
    pub attempts: i64,
    pub max_attempts: i64,
    pub retry_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub locked_by: Option<String>,
    pub error: Option<String>,
    pub error_code: Option<String>,
    pub retry_of: Option<Uuid>,
    pub request_id: Option<String>,
    pub idempotency_key: Option<String>,
    /// The app's own, letter by letter.
    pub metadata: Option<Json>,
    pub created_at: Option<DateTime<Utc>>,
    pub started_at: Option<DateTime<Utc>>,
    pub completed_at: Option<DateTime<Utc>>,
    /// The database's clock when this was read: what ages are counted from.
    #[serde(skip)]
    pub read_at: DateTime<Utc>,
}

impl Job {
    pub fn tenant(&self) -> Tenant {
        Tenant::of(self.team_id.as_deref(), self.user_id.as_deref())
    }
}

/// One image of a job.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    pub index: i32,
    pub state: ImageState,
    pub storage_key: Option<String>,
    pub mime_type: Option<String>,
    pub bytes: Option<i64>,
    pub width: Option<i32>,
    pub height: Option<i32>,
    pub sha256: Option<String>,
    pub stored_at: Option<DateTime<Utc>>,
    pub error: Option<String>,
    pub error_code: Option<String>,
}

/// One call of a job, as the ledger has it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    pub id: Uuid,
    pub index: Option<i32>,
    /// Attempts counted before, and this one.
    pub attempt: i32,
    /// The same in all calls of one claim.
    pub lease: i64,
    /// `label@host` of the worker that made it.
    pub worker: Option<String>,
    pub account: String,
    pub model: String,
    pub state: String,
    pub accepted: Option<bool>,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub provider_request_id: Option<String>,
    pub error: Option<String>,
    pub error_code: Option<String>,
}

/// Which jobs to list; `None` and empty do not filter.
#[derive(Debug, Default, Clone)]
pub struct Filter {
    pub statuses: Vec<Status>,
    pub error_code: Option<String>,
    pub batch_id: Option<i64>,
    /// Created within this long.
    pub since: Option<Duration>,
    pub limit: Option<i64>,
}

/// One job, or `None`.
pub async fn find(db: &Db, job: JobRef) -> Result<Option<Job>, DbError> {
    let (uuid, id) = job.parts();
    Ok(sqlx::query_file_as!(
        Job,
        "sql/queue/jobs.sql",
        uuid,
        id,
        &[] as &[String],
        None::<String>,
        None::<i64>,
        None::<f64>,
        1
    )
    .fetch_optional(&db.pool)
    .await?)
}

/// Newest first.
pub async fn list(db: &Db, filter: &Filter) -> Result<Vec<Job>, DbError> {
    Ok(sqlx::query_file_as!(
        Job,
        "sql/queue/jobs.sql",
        None::<Uuid>,
        None::<i64>,
        &words(&filter.statuses),
        filter.error_code,
        filter.batch_id,
        filter.since.map(seconds),
        filter.limit.unwrap_or(i64::MAX)
    )
    .fetch_all(&db.pool)
    .await?)
}

/// The images of a job, in order.
pub async fn images(db: &Db, job: JobId) -> Result<Vec<Image>, DbError> {
    Ok(sqlx::query_as!(
        Image,
        r#"SELECT index, state AS "state: ImageState", "storageKey" AS storage_key, "mimeType" AS mime_type, bytes, width,
                  height, sha256, "storedAt" AS stored_at, error, "errorCode" AS error_code
           FROM photo_generation_images WHERE "jobId" = $1 ORDER BY index"#,
        job
    )
    .fetch_all(&db.pool)
    .await?)
}

/// The provider calls of a job, in order of time. They outlive it.
pub async fn calls(db: &Db, job: JobId) -> Result<Vec<Call>, DbError> {
    Ok(sqlx::query_as!(
        Call,
        r#"SELECT id, index, attempt, lease, worker, account, model, state, accepted,
                  "startedAt" AS started_at, "endedAt" AS ended_at,
                  "providerRequestId" AS provider_request_id, error, "errorCode" AS error_code
           FROM photo_generation_calls WHERE "jobId" = $1 ORDER BY "startedAt", index"#,
        job
    )
    .fetch_all(&db.pool)
    .await?)
}
