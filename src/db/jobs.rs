//! Jobs as people and programs ask for them: enqueue, look, cancel, retry.
//!
//! Nothing here needs a worker. Enqueueing, what is done to many jobs at once, and watching stand in
//! files of their own.

mod bulk;
mod circumstances;
mod enqueue;
mod progress;
mod wishes;
mod with_keys;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use bulk::{
    Again, Retried, Selected, Selection, cancel, retried_before, retry, retry_once, select,
};
pub use circumstances::{Hindrance, Holder, HolderKind, Standing, hindrances, holder, standing};
pub(super) use enqueue::enqueue_within;
pub use enqueue::{
    EnqueueError, Enqueued, Insertion, enqueue, enqueued_before, tenant_of, waiting,
};
pub use progress::{Progress, Watched, progress};
pub use wishes::NewJob;
pub(super) use wishes::document;
pub use with_keys::{Keyed, with_keys};

use super::json::Json;
use super::words::words;
use super::{Db, DbError, seconds};
use crate::domain::{ImageState, JobId, Status, Tenant};

/// A job as somebody names it: the uuid that leaves the database, or the row's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

impl JobRef {
    fn uuid(self) -> Option<Uuid> {
        match self {
            Self::Uuid(uuid) => Some(uuid),
            Self::Id(_) => None,
        }
    }

    fn id(self) -> Option<JobId> {
        match self {
            Self::Uuid(_) => None,
            Self::Id(id) => Some(id),
        }
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
    pub provider: Option<String>,
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
    pub updated_at: Option<DateTime<Utc>>,
    /// What a try-on finds out before it is drawn; `None` of other jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Steps>,
    /// The database's clock when this was read: what ages are counted from.
    #[serde(skip)]
    pub read_at: DateTime<Utc>,
}

impl Job {
    pub fn tenant(&self) -> Tenant {
        Tenant::of(self.team_id.as_deref(), self.user_id.as_deref())
    }
}

/// The steps of a try-on, as a statement reads them.
pub type Steps = sqlx::types::Json<Vec<StepSeen>>;

/// A step of a try-on: `face`, `garment-1`, ...
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepSeen {
    pub step: String,
    pub state: ImageState,
    pub error: Option<String>,
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
    /// Where it was not for an image.
    pub step: Option<String>,
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
    /// Since when its picture waits in a spool, while it does.
    pub spooled_at: Option<DateTime<Utc>>,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub provider_request_id: Option<String>,
    pub input_tokens: Option<i64>,
    pub output_tokens: Option<i64>,
    /// In US dollars; while it runs what it is expected to cost. `None`: not known, or not billed.
    pub cost_usd: Option<f64>,
    pub error: Option<String>,
    pub error_code: Option<String>,
}

/// Which jobs to list; `None` and empty do not filter.
#[derive(Debug, Default, Clone)]
pub struct Filter {
    /// These and no others.
    pub jobs: Option<Vec<JobRef>>,
    pub statuses: Vec<Status>,
    pub error_code: Option<String>,
    pub batch_id: Option<i64>,
    /// Created within this long.
    pub since: Option<Duration>,
    pub tenant: Option<Tenant>,
    /// With a smaller number than this: where a list goes on.
    pub before: Option<JobId>,
    /// The app's own: a key, and its value as text.
    pub metadata: Option<(String, String)>,
    pub limit: Option<i64>,
}

/// One job, or `None`.
pub async fn find(db: &Db, job: JobRef) -> Result<Option<Job>, DbError> {
    let filter = Filter {
        jobs: Some(vec![job]),
        limit: Some(1),
        ..Filter::default()
    };
    Ok(list(db, &filter).await?.pop())
}

/// Newest first.
pub async fn list(db: &Db, filter: &Filter) -> Result<Vec<Job>, DbError> {
    let named = filter.jobs.as_deref();
    let uuids = named.map(|jobs| jobs.iter().filter_map(|job| job.uuid()).collect::<Vec<_>>());
    let ids = named.map(|jobs| jobs.iter().filter_map(|job| job.id()).collect::<Vec<_>>());
    let (key, value) = filter.metadata.clone().unzip();
    Ok(sqlx::query_file_as!(
        Job,
        "sql/queue/jobs.sql",
        uuids.as_deref(),
        ids.as_deref(),
        &words(&filter.statuses),
        filter.error_code,
        filter.batch_id,
        filter.since.map(seconds),
        filter.tenant.as_ref().map(Tenant::as_str),
        filter.before,
        key,
        value,
        filter.limit.unwrap_or(i64::MAX)
    )
    .fetch_all(&db.pool)
    .await?)
}

/// For each of these jobs that is there a number, which changes when the job or one of its images does.
pub async fn versions(db: &Db, jobs: &[JobId]) -> Result<HashMap<JobId, i64>, DbError> {
    let versions = sqlx::query_file!("sql/queue/versions.sql", jobs)
        .fetch_all(&db.pool)
        .await?;
    Ok(versions
        .into_iter()
        .map(|row| (row.id, row.version))
        .collect())
}

/// The images of a job, in order.
pub async fn images(db: &Db, job: JobId) -> Result<Vec<Image>, DbError> {
    Ok(images_of(db, &[job])
        .await?
        .remove(&job)
        .unwrap_or_default())
}

/// The images of each of these jobs, in order.
pub async fn images_of(db: &Db, jobs: &[JobId]) -> Result<HashMap<JobId, Vec<Image>>, DbError> {
    let images = sqlx::query!(
        r#"SELECT "jobId" AS job, index, state AS "state: ImageState", "storageKey" AS storage_key,
                  "mimeType" AS mime_type, bytes, width, height, sha256, "storedAt" AS stored_at,
                  error, "errorCode" AS error_code
           FROM photo_generation_images WHERE "jobId" = ANY ($1) ORDER BY "jobId", index"#,
        jobs
    )
    .fetch_all(&db.pool)
    .await?;
    let mut of_each: HashMap<JobId, Vec<Image>> = HashMap::new();
    for row in images {
        of_each.entry(row.job).or_default().push(Image {
            index: row.index,
            state: row.state,
            storage_key: row.storage_key,
            mime_type: row.mime_type,
            bytes: row.bytes,
            width: row.width,
            height: row.height,
            sha256: row.sha256,
            stored_at: row.stored_at,
            error: row.error,
            error_code: row.error_code,
        });
    }
    Ok(of_each)
}

/// The provider calls of a job, in order of time. They outlive it.
pub async fn calls(db: &Db, job: JobId) -> Result<Vec<Call>, DbError> {
    Ok(sqlx::query_as!(
        Call,
        r#"SELECT id, index, step, attempt, lease, worker, account, model, state, accepted,
                  CASE WHEN state = 'calling' AND spool IS NOT NULL THEN "deadlineAt" END AS spooled_at,
                  "startedAt" AS started_at, "endedAt" AS ended_at,
                  "providerRequestId" AS provider_request_id,
                  "inputTokens" AS input_tokens, "outputTokens" AS output_tokens,
                  "costUsd"::float8 AS cost_usd, error, "errorCode" AS error_code
           FROM photo_generation_calls WHERE "jobId" = $1 ORDER BY "startedAt", index"#,
        job
    )
    .fetch_all(&db.pool)
    .await?)
}
