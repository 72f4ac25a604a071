//! Batches: up to a hundred jobs at once, all of them or none.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::Api;
use super::caller::Caller;
use super::error::{ApiError, ErrorBody, NoCreditBody};
use super::extract::{Body, IdempotencyKey};
use super::hub::Seen;
use super::jobs::body::{EnqueueBody, document};
use super::jobs::enqueue::{Accepted, tenant_of};
use super::jobs::view::{JobView, Progress};
use super::jobs::{list, make_room};
use super::links::Links;
use super::openapi::one_of;
use super::owner::{Id, Owner};
use super::request_id::RequestId;
use super::signing::Moment;
use super::uploads;
use crate::db::batches::{self, Batch, Made, NewBatch};
use crate::db::jobs::{self, EnqueueError, Enqueued, Filter, Insertion, NewJob};
use crate::db::json::Json as Document;
use crate::domain::Tenant;

/// Most jobs of one request.
const MOST_JOBS: usize = 100;

/// Jobs that belong together.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BatchBody {
    /// 1 to 100, each as it would be enqueued alone, for the same team or user.
    #[schema(min_items = 1, max_items = 100)]
    jobs: Vec<EnqueueBody>,
    /// Your own; returned as it is.
    #[schema(value_type = Option<serde_json::Value>)]
    metadata: Option<Box<RawValue>>,
    /// Whose batch it is: only a service key may say it.
    team_id: Option<Id>,
    /// The same for a user.
    user_id: Option<Id>,
}

/// The batch is committed, with all its jobs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchAccepted {
    accepted: bool,
    success: bool,
    batch_id: i64,
    jobs_enqueued: usize,
    poll_url: String,
    jobs: Vec<Accepted>,
    message: String,
}

/// A batch. Of more than a hundred jobs the newest hundred are shown; `GET /api/generations?batchId=` has
/// all.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchView {
    batch_id: i64,
    #[schema(schema_with = states)]
    status: String,
    /// Of all images of all jobs.
    progress: Progress,
    jobs_total: i64,
    jobs_ended: i64,
    /// In the order in which they were enqueued.
    jobs: Vec<JobView>,
    /// Of all stored pictures, when the batch has ended.
    zip_url: Option<String>,
    #[schema(value_type = Option<serde_json::Value>)]
    metadata: Option<Document>,
    created_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
}

fn states() -> Object {
    one_of(&["generating", "completed", "failed"])
}

/// Enqueue many jobs
///
/// All of them or none. With an `Idempotency-Key` the same request may be sent again.
#[utoipa::path(post, path = "/api/batches", tag = "extra", operation_id = "createBatch",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 200 characters")),
    request_body(content = BatchBody,
                 example = json!({"jobs": [{"prompt": "a red bicycle"}, {"prompt": "a blue one"}]})),
    responses((status = 202, body = BatchAccepted, description = "It is committed, with all its jobs",
               headers(("Location" = String, description = "Where to poll"))),
              (status = 402, body = NoCreditBody, description = "Its tenant has not the credits: `insufficient_credits`"),
              (status = 409, body = ErrorBody, description = "The key was used for another request: `idempotency_key_reused`"),
              (status = 502, body = ErrorBody, description = "The storage of uploads fails: `storage_failed`"),
              (status = 503, body = ErrorBody, description = "Too many jobs wait: `queue_full`; or the server or its database is away")))]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    request_id: RequestId,
    body: Body<BatchBody>,
) -> Result<Response, ApiError> {
    let Body { content, hash } = body;
    let owner = Owner::of(&caller, content.team_id.as_ref(), content.user_id.as_ref())?;
    let batch = NewBatch {
        team_id: owner.team_id.clone(),
        user_id: owner.user_id.clone(),
        metadata: document(content.metadata.as_deref(), "metadata")?,
    };
    let mut jobs = wanted(&api, &caller, &owner, content.jobs).await?;
    for (number, job) in jobs.iter_mut().enumerate() {
        job.request_id = Some(request_id.as_str().to_owned());
        job.request_hash = key.is_some().then(|| hash.clone());
        job.idempotency_key = key.as_ref().map(|key| key_of(key, number));
    }
    // One is there, see `wanted`.
    let tenant = tenant_of(&api, &caller, &jobs[0]).await?;
    // Sent again, it is answered again, however full the queue is by now.
    let (id, enqueued) = match made_before(&api, &tenant, key.as_deref(), &hash).await? {
        Some(before) => before,
        None => make(&api, &tenant, &batch, &jobs, key.as_deref(), &hash).await?,
    };
    let answer = BatchAccepted {
        accepted: true,
        success: true,
        batch_id: id,
        jobs_enqueued: enqueued.len(),
        poll_url: format!("/api/batches/{id}"),
        message: format!("{} jobs queued", enqueued.len()),
        jobs: jobs
            .iter()
            .zip(enqueued)
            .map(|(job, enqueued)| Accepted::of(&api, job, enqueued))
            .collect(),
    };
    let location = HeaderValue::from_str(&answer.poll_url);
    let mut response = (StatusCode::ACCEPTED, Json(answer)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The jobs, each as it would be enqueued alone, and all of one owner.
async fn wanted(
    api: &Api,
    caller: &Caller,
    owner: &Owner,
    bodies: Vec<EnqueueBody>,
) -> Result<Vec<NewJob>, ApiError> {
    if !(1..=MOST_JOBS).contains(&bodies.len()) {
        return Err(ApiError::Invalid(format!(
            "\"jobs\" must hold 1 to {MOST_JOBS} jobs."
        )));
    }
    let mut jobs = Vec::with_capacity(bodies.len());
    for (number, body) in bodies.into_iter().enumerate() {
        let told = |error: ApiError| match error {
            ApiError::Invalid(text) => ApiError::Invalid(format!("Job {}: {text}", number + 1)),
            error => error,
        };
        let job = body.of_batch(owner).map_err(told)?;
        jobs.push(job.wanted(api, caller).await.map_err(told)?);
    }
    Ok(jobs)
}

/// Of the n-th job, from 0.
fn key_of(key: &str, number: usize) -> String {
    format!("{key}#{}", number + 1)
}

/// Makes the batch, if the queue has room.
async fn make(
    api: &Api,
    tenant: &Tenant,
    batch: &NewBatch,
    jobs: &[NewJob],
    key: Option<&str>,
    hash: &str,
) -> Result<(i64, Vec<Enqueued>), ApiError> {
    make_room(api, tenant, &jobs[0], jobs.len()).await?;
    let pictures: Vec<_> = jobs.iter().flat_map(|job| job.pictures.clone()).collect();
    uploads::claim(api, tenant, &pictures).await?;
    match batches::make(api.db(), batch, jobs).await? {
        Made::New { id, jobs } => Ok((id, jobs)),
        // The same request was quicker, or another has the key.
        Made::KeyTaken => {
            let before = made_before(api, tenant, key, hash).await?;
            before.ok_or_else(|| EnqueueError::KeyHidden.into())
        }
    }
}

/// The batch that the same request made before, if it has a key.
async fn made_before(
    api: &Api,
    tenant: &Tenant,
    key: Option<&str>,
    hash: &str,
) -> Result<Option<(i64, Vec<Enqueued>)>, ApiError> {
    let Some(key) = key else { return Ok(None) };
    let keys: Vec<_> = (0..MOST_JOBS).map(|number| key_of(key, number)).collect();
    let before = jobs::with_keys(api.db(), tenant, &keys).await?;
    let Some(first) = before.first() else {
        return Ok(None);
    };
    let same = first.request_hash.as_deref() == Some(hash);
    let batch = first.batch_id.filter(|_| same);
    let batch = batch.ok_or(EnqueueError::KeyHidden)?;
    let jobs = before.into_iter().map(|job| Enqueued {
        id: job.id,
        job_id: job.job_id,
        status: job.status,
        created_at: job.created_at,
        how: Insertion::WasThere,
    });
    Ok(Some((batch, jobs.collect())))
}

/// Look at a batch
#[utoipa::path(get, path = "/api/batches/{id}", tag = "extra", operation_id = "batch",
    params(("id" = i64, Path, description = "The batch's number")),
    responses((status = 200, body = BatchView, description = "The batch")))]
pub(super) async fn look(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<BatchView>, ApiError> {
    let batch = of_caller(&api, &caller, &id).await?;
    let filter = Filter {
        batch_id: Some(batch.id),
        tenant: caller.tenant()?,
        limit: Some(100),
        ..Filter::default()
    };
    let mut seen = list::page(&api, &filter).await?;
    seen.reverse();
    let now = Moment::now();
    let links = Links::of(&api, seen.iter().flat_map(Seen::images), now).await;
    let has_zip = batch.jobs > 0 && batch.jobs_ended == batch.jobs && batch.images_completed > 0;
    Ok(Json(BatchView {
        batch_id: batch.id,
        status: batch.status,
        progress: Progress::to(batch.images_completed, batch.images_total, Vec::new()),
        jobs_total: batch.jobs,
        jobs_ended: batch.jobs_ended,
        zip_url: has_zip.then(|| super::zip::batch_url(&api, batch.id, now)),
        jobs: seen
            .iter()
            .map(|seen| JobView::of(&api, seen, &links, now))
            .collect(),
        metadata: batch.metadata,
        created_at: batch.created_at,
        completed_at: batch.completed_at,
    }))
}

/// The batch that a path names, if it is the caller's.
pub(super) async fn of_caller(api: &Api, caller: &Caller, id: &str) -> Result<Batch, ApiError> {
    let not_found = || ApiError::NotFound("Batch");
    let own = caller.tenant()?;
    let id = id.parse().map_err(|_| not_found())?;
    // Whose it is comes first: counting its jobs takes as long as there are many.
    let owner = batches::owner(api.db(), id).await?.ok_or_else(not_found)?;
    if own.is_some_and(|own| own != owner) {
        return Err(not_found());
    }
    let _turn = api.heavy().await?;
    batches::find(api.db(), id).await?.ok_or_else(not_found)
}

/// Refuses a job for a batch of somebody else, in the words of a batch that is not there.
pub(super) async fn must_be_of(
    api: &Api,
    caller: &Caller,
    owner: &Owner,
    id: i64,
) -> Result<(), ApiError> {
    let of_batch = batches::owner(api.db(), id).await?;
    let is_theirs = of_batch.is_some_and(|of_batch| {
        let is_service = matches!(caller, Caller::Service);
        is_service || of_batch == owner.tenant()
    });
    if is_theirs {
        Ok(())
    } else {
        Err(ApiError::Invalid(format!("There is no batch {id}.")))
    }
}
