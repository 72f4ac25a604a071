//! Enqueue: a body becomes a row, and the answer leaves after the commit.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::EnqueueBody;
use super::view::{JobInShort, JobView, states, view_token};
use super::{make_room, poll};
use crate::api::caller::Caller;
use crate::api::error::{ApiError, ErrorBody, NoCreditBody};
use crate::api::extract::{Body, IdempotencyKey, Wait};
use crate::api::links::Links;
use crate::api::request_id::RequestId;
use crate::api::signing::Moment;
use crate::api::{Api, uploads};
use crate::db::jobs::{self, Enqueued, Insertion, JobRef, NewJob};
use crate::domain::{Status, Tenant};

/// The job is committed.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the frontends know it so")]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Accepted {
    accepted: bool,
    job_id: Uuid,
    id: i64,
    #[schema(schema_with = states)]
    status: Status,
    poll_url: String,
    /// Opens this job alone: `?token=` where no header can be sent.
    view_token: String,
    job: JobInShort,
    message: &'static str,
    /// With `Prefer: wait`: the job as a poll shows it, when it has ended or the time is over.
    generation: Option<JobView>,
}

/// Enqueue a job
///
/// The answer is sent when the job is committed. With an `Idempotency-Key` the same request may be sent
/// again: it answers with the same job.
#[utoipa::path(post, path = "/api/generations", tag = "core",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters"),
           ("Prefer" = Option<String>, Header, description = "wait=SECONDS, 60 at most: until the job has ended")),
    request_body(content = EnqueueBody, example = json!({"prompt": "a red bicycle", "numImages": 4})),
    responses((status = 202, body = Accepted, description = "It is committed",
               headers(("Location" = String, description = "Where to poll"),
                       ("Preference-Applied" = String, description = "The wait, where one was wished"))),
              (status = 402, body = NoCreditBody, description = "Its tenant has not the credits: `insufficient_credits`"),
              (status = 409, body = ErrorBody, description = "The key was used for another request: `idempotency_key_reused`"),
              (status = 503, body = ErrorBody, description = "Too many jobs wait: `queue_full`; or the server or its database is away"),
              (status = 502, body = ErrorBody, description = "The storage of uploads fails: `storage_failed`")))]
pub(in crate::api) async fn enqueue(
    State(api): State<Api>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Wait(wait): Wait,
    request_id: RequestId,
    body: Body<EnqueueBody>,
) -> Result<Response, ApiError> {
    let mut job = body.content.wanted(&api, &caller).await?;
    job.request_id = Some(request_id.as_str().to_owned());
    job.request_hash = key.is_some().then_some(body.hash);
    job.idempotency_key = key;
    let enqueued = insert(&api, &caller, &job, &job.pictures).await?;
    let mut answer = Accepted::of(&api, &job, enqueued);
    if let Some(wait) = wait {
        answer.generation = ended(&api, enqueued, wait).await;
    }
    let location = HeaderValue::from_str(&answer.poll_url);
    let mut response = (StatusCode::ACCEPTED, Json(answer)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if let Some(wait) = wait {
        poll::applied(&mut response, wait);
    }
    Ok(response)
}

/// Inserts a job with these pictures.
pub(in crate::api) async fn insert(
    api: &Api,
    caller: &Caller,
    job: &NewJob,
    pictures: &[String],
) -> Result<Enqueued, ApiError> {
    let tenant = tenant_of(api, caller, job).await?;
    // Sent again, it is answered again, however full the queue is by now.
    if let Some(before) = jobs::enqueued_before(api.db(), job).await? {
        return Ok(before);
    }
    make_room(api, &tenant, job, 1).await?;
    uploads::claim(api, &tenant, pictures).await?;
    Ok(jobs::enqueue(api.db(), job).await?)
}

/// Whose the job will be, as the table writes it: an id that a column changes on its way must not make
/// it somebody else's.
pub(in crate::api) async fn tenant_of(
    api: &Api,
    caller: &Caller,
    job: &NewJob,
) -> Result<Tenant, ApiError> {
    let tenant = jobs::tenant_of(api.db(), job).await?;
    match caller.tenant()? {
        Some(own) if own != tenant => Err(ApiError::Forbidden(format!(
            "This database takes \"{}\" for another; jobs of it cannot be told apart.",
            own.as_str()
        ))),
        Some(_) | None => Ok(tenant),
    }
}

/// The job when it has ended or the time is over. It is committed: whatever goes wrong here changes
/// nothing about that.
async fn ended(api: &Api, enqueued: Enqueued, wait: Duration) -> Option<JobView> {
    let read = tokio::time::timeout(wait, api.hub().read(JobRef::Id(enqueued.id)));
    let seen = read.await.ok()?.ok().flatten()?;
    let seen = api
        .hub()
        .wait(seen, wait, |seen| seen.job().status.is_final())
        .await;
    let now = Moment::now();
    let links = Links::of(api, seen.images(), now).await;
    Some(JobView::of(api, &seen, &links, now))
}

impl Accepted {
    pub(in crate::api) fn of(api: &Api, job: &NewJob, enqueued: Enqueued) -> Self {
        let Enqueued {
            id,
            job_id,
            status,
            created_at,
            how,
        } = enqueued;
        Self {
            accepted: true,
            job_id,
            id,
            status,
            poll_url: format!("/api/generations/{job_id}"),
            view_token: view_token(api, job_id, Moment::now()),
            job: JobInShort::fresh(id, status, job.wanted(), created_at),
            message: match how {
                Insertion::Inserted => "Generation queued",
                Insertion::WasThere => "Generation was queued before, with this Idempotency-Key",
            },
            generation: None,
        }
    }
}
