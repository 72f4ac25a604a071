//! A job as callers see it, and once more in the short words of a frontend that was there before.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use uuid::Uuid;

use super::rendered::Reader;
use crate::api::hub::Seen;
use crate::api::links::{Links, key_of};
use crate::api::openapi::one_of;
use crate::api::signing::{Moment, Scope, TOKEN_LIFE};
use crate::api::{Api, zip};
use crate::db::jobs::{Image, Job, Standing, StepSeen, Steps};
use crate::db::json::Json;
use crate::domain::{ImageState, Status};

/// A job. What has no value yet is null.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct JobView {
    /// The id to show and to poll with.
    pub(in crate::api) job_id: Option<Uuid>,
    /// The row's number, which routes take as well.
    id: i64,
    /// `photo_generation`, ...
    #[serde(rename = "type")]
    kind: String,
    #[schema(schema_with = states)]
    status: Status,
    progress: Progress,
    /// How many jobs of its model begin before it, and one; about, above ten. Null when it runs, has
    /// ended, may not begin yet, or nobody knows.
    queue_position: Option<i64>,
    /// About how long until it begins, at the present pace.
    estimated_wait_seconds: Option<i64>,
    /// Of the first picture.
    image_url: Option<String>,
    images: Vec<ImageView>,
    /// Of a try-on: what is found out before it is drawn. Empty of other jobs.
    steps: Vec<StepView>,
    /// For people.
    error: Option<String>,
    /// For programs.
    error_code: Option<String>,
    /// Not before this moment.
    retry_at: Option<DateTime<Utc>>,
    /// Of a completed job with two pictures or more.
    zip_url: Option<String>,
    /// The exact length of that zip.
    #[schema(minimum = 0)]
    zip_bytes: Option<u64>,
    /// The app's own, as it was sent.
    #[schema(value_type = Option<serde_json::Value>)]
    metadata: Option<Json>,
    prompt: Option<String>,
    aspect_ratio: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    priority: Option<String>,
    batch_id: Option<i64>,
    team_id: Option<String>,
    user_id: Option<String>,
    /// Tries that ended badly.
    attempts: i64,
    max_attempts: i64,
    /// The job that this one repeats.
    retry_of: Option<Uuid>,
    request_id: Option<String>,
    idempotency_key: Option<String>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    /// Opens this job alone, for six hours at least: `?token=` where no header can be sent. Null for
    /// whoever came by one, as are `teamId`, `userId` and `idempotencyKey`.
    view_token: Option<String>,
    job: JobInShort,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Progress {
    /// Images that are stored.
    current: i64,
    /// Images that were asked for.
    total: i64,
    pub(super) percent: i64,
    /// The indexes of the stored images, from 1.
    completed_images: Vec<i32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct StepView {
    /// face; garment-1, garment-2, ...
    step: String,
    #[schema(schema_with = image_states)]
    state: ImageState,
    error: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct ImageView {
    /// The job's number and the index.
    pub(super) id: String,
    /// From 1.
    index: i32,
    #[schema(schema_with = image_states)]
    state: ImageState,
    /// Signed or public; needs no header. Null until it is stored, and while the storage does not answer.
    pub(super) url: Option<String>,
    /// When that URL ends; a poll has a new one before. Null: never.
    expires_at: Option<DateTime<Utc>>,
    mime_type: Option<String>,
    bytes: Option<i64>,
    width: Option<i32>,
    height: Option<i32>,
    error: Option<String>,
}

/// The job once more, in the words of a frontend that was written for `generation_jobs`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct JobInShort {
    id: i64,
    #[schema(schema_with = states_in_short)]
    status: &'static str,
    progress: Progress,
    error: Option<String>,
    metadata: ZipOnly,
    created_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct ZipOnly {
    zip_url: Option<String>,
}

/// The states, as the document lists them.
pub(in crate::api) fn states() -> Object {
    one_of(&Status::ALL.map(Status::as_str))
}

fn image_states() -> Object {
    one_of(&ImageState::ALL.map(ImageState::as_str))
}

fn states_in_short() -> Object {
    one_of(&Status::ALL.map(in_short))
}

impl JobView {
    /// `links` has those of its pictures.
    pub(in crate::api) fn of(api: &Api, seen: &Seen, links: &Links, now: Moment) -> Self {
        let job = seen.job().clone();
        let zip = Zip::of(api, &job, seen.images(), now);
        let images: Vec<_> = seen
            .images()
            .iter()
            .map(|image| ImageView::of(&job, image, links))
            .collect();
        let turn = seen.turn.as_ref();
        Self {
            job: JobInShort::of(&job, seen.images(), zip.url.clone()),
            progress: Progress::of(&job, seen.images()),
            queue_position: turn.map(|turn| rounded(turn.jobs_before + 1)),
            estimated_wait_seconds: turn.and_then(estimate),
            image_url: images.iter().find_map(|image| image.url.clone()),
            images,
            steps: steps(job.steps),
            zip_url: zip.url,
            zip_bytes: zip.bytes,
            view_token: job.job_id.map(|id| view_token(api, id, now)),
            job_id: job.job_id,
            id: job.id,
            kind: job.kind,
            status: job.status,
            error: job.error,
            error_code: job.error_code,
            retry_at: job.retry_at.filter(|_| !job.status.is_final()),
            metadata: job.metadata,
            prompt: job.prompt,
            aspect_ratio: job.aspect_ratio,
            provider: job.provider,
            model: job.model,
            priority: job.priority,
            batch_id: job.batch_id,
            team_id: job.team_id,
            user_id: job.user_id,
            attempts: job.attempts,
            max_attempts: job.max_attempts,
            retry_of: job.retry_of,
            request_id: job.request_id,
            idempotency_key: job.idempotency_key,
            created_at: job.created_at,
            updated_at: job.updated_at,
            started_at: job.started_at,
            completed_at: job.completed_at,
            expires_at: job.expires_at,
        }
    }
}

fn steps(steps: Option<Steps>) -> Vec<StepView> {
    let steps = steps.into_iter().flat_map(|steps| steps.0);
    steps
        .map(|StepSeen { step, state, error }| StepView { step, state, error })
        .collect()
}

impl JobView {
    pub(in crate::api) fn for_reader(self, reader: Reader) -> Self {
        match reader {
            Reader::Owner => self,
            Reader::Viewer => Self {
                view_token: None,
                team_id: None,
                user_id: None,
                idempotency_key: None,
                ..self
            },
        }
    }
}

pub(in crate::api) fn view_token(api: &Api, job: Uuid, now: Moment) -> String {
    api.signer().token(Scope::View, job, now.end_of(TOKEN_LIFE))
}

impl Progress {
    pub(in crate::api) fn of(job: &Job, images: &[Image]) -> Self {
        let stored = images
            .iter()
            .filter(|image| image.state == ImageState::Stored);
        Self::to(
            job.images_completed,
            job.images_total,
            stored.map(|image| image.index).collect(),
        )
    }

    pub(in crate::api) fn to(current: i64, total: i64, completed_images: Vec<i32>) -> Self {
        let percent = i128::from(current) * 100 / i128::from(total.max(1));
        Self {
            current,
            total,
            percent: i64::try_from(percent.clamp(0, 100)).unwrap_or(100),
            completed_images,
        }
    }
}

impl ImageView {
    pub(in crate::api) fn of(job: &Job, image: &Image, links: &Links) -> Self {
        let link = key_of(image).and_then(|key| links.get(key));
        Self {
            id: format!("{}-{}", job.id, image.index),
            index: image.index,
            state: image.state,
            expires_at: link.and_then(|link| link.expires).and_then(moment),
            url: link.map(|link| link.url.clone()),
            mime_type: image.mime_type.clone(),
            bytes: image.bytes,
            width: image.width,
            height: image.height,
            error: image.error.clone(),
        }
    }

    pub(in crate::api) fn is_stored(&self) -> bool {
        self.state == ImageState::Stored
    }

    pub(in crate::api) fn into_url(self) -> Option<String> {
        self.url
    }
}

fn moment(at: Moment) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(i64::try_from(at.0).ok()?, 0)
}

/// What can be downloaded as one file.
struct Zip {
    url: Option<String>,
    bytes: Option<u64>,
}

impl Zip {
    fn of(api: &Api, job: &Job, images: &[Image], now: Moment) -> Self {
        let entries = zip::entries(images);
        let uuid = job
            .job_id
            .filter(|_| job.status == Status::Completed && entries.len() > 1);
        Self {
            url: uuid.map(|uuid| zip::url(api, uuid, now)),
            bytes: uuid.map(|_| zip::size(&entries)),
        }
    }
}

impl JobInShort {
    pub(in crate::api) fn of(job: &Job, images: &[Image], zip_url: Option<String>) -> Self {
        Self {
            id: job.id,
            status: in_short(job.status),
            progress: Progress::of(job, images),
            error: job.error.clone(),
            metadata: ZipOnly { zip_url },
            created_at: job.created_at,
        }
    }

    /// Of a job that was enqueued a moment ago.
    pub(in crate::api) fn fresh(
        id: i64,
        status: Status,
        images: i64,
        created_at: Option<DateTime<Utc>>,
    ) -> Self {
        Self {
            id,
            status: in_short(status),
            progress: Progress::to(0, images, Vec::new()),
            error: None,
            metadata: ZipOnly { zip_url: None },
            created_at,
        }
    }
}

fn in_short(status: Status) -> &'static str {
    match status {
        Status::Pending | Status::RateLimited => "queued",
        Status::Processing => "running",
        Status::Completed => "success",
        Status::Failed => "failed",
        Status::Canceled => "canceled",
    }
}

/// Above ten by tens, above a hundred by hundreds: that is all that an estimate knows, and a poll whose
/// answer changes with every job of somebody else is no 304.
fn rounded(position: i64) -> i64 {
    let unit = match position {
        ..=10 => 1,
        11..=100 => 10,
        101.. => 100,
    };
    (position + unit / 2) / unit * unit
}

/// In steps of ten seconds, minutes, and quarters of an hour.
fn estimate(turn: &Standing) -> Option<i64> {
    let pace = turn.images_per_second.filter(|pace| *pace > 0.0)?;
    let seconds = turn.images_before / pace;
    let step = match seconds {
        ..120.0 => 10.0,
        120.0..3600.0 => 60.0,
        _ => 900.0,
    };
    let stepped = (seconds / step).ceil() * step;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a year is as good as anything beyond"
    )]
    let whole = stepped.clamp(0.0, 31_536_000.0) as i64;
    Some(whole)
}

/// How a job stands, without its pictures.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct ProgressEvent {
    status: Status,
    progress: Progress,
    queue_position: Option<i64>,
    estimated_wait_seconds: Option<i64>,
    retry_at: Option<DateTime<Utc>>,
    error: Option<String>,
    error_code: Option<String>,
}

impl ProgressEvent {
    pub(in crate::api) fn of(view: &JobView) -> Self {
        Self {
            status: view.status,
            progress: view.progress.clone(),
            queue_position: view.queue_position,
            estimated_wait_seconds: view.estimated_wait_seconds,
            retry_at: view.retry_at,
            error: view.error.clone(),
            error_code: view.error_code.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
