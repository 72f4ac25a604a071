//! Cancel and retry.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::rendered::Reader;
use super::view::{JobInShort, JobView};
use super::{make_room, named, poll, read};
use crate::api::Api;
use crate::api::caller::Caller;
use crate::api::error::{ApiError, ErrorBody, NoCreditBody};
use crate::api::extract::IdempotencyKey;
use crate::api::request_id::RequestId;
use crate::api::signing::{Moment, Scope, TOKEN_LIFE};
use crate::db::jobs::{self, Again, JobRef, NewJob, Retried};
use crate::domain::{JobType, Status, hex};

/// Cancel a job
///
/// A call that runs is aborted within two seconds; images that are stored stay. Canceling twice is
/// right.
#[utoipa::path(post, path = "/api/generations/{jobId}/cancel", tag = "core",
    params(("jobId" = String, Path, description = "The job's uuid or number")),
    responses((status = 200, body = JobView, description = "It is canceled"),
              (status = 409, body = ErrorBody, description = "It has ended already: `already_ended`")))]
pub(in crate::api) async fn cancel(
    State(api): State<Api>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<Response, ApiError> {
    let job = named(&api, &caller, &job).await?;
    jobs::cancel(api.db(), &[job.id]).await?;
    // It may have ended a moment before: what it is now counts.
    let seen = read(&api, &caller, JobRef::Id(job.id)).await?;
    match seen.job().status {
        Status::Completed | Status::Failed => Err(ApiError::Conflict(
            "already_ended",
            format!("The job is {} already.", seen.job().status),
        )),
        Status::Canceled | Status::Pending | Status::Processing | Status::RateLimited => {
            poll::rendered(&api, &seen, Reader::of(&caller), None).await
        }
    }
}

/// A job that repeats another.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct RetryAnswer {
    job_id: Uuid,
    id: i64,
    /// The job that is repeated; it stays as it is.
    original_job_id: Option<Uuid>,
    poll_url: String,
    /// Opens the new job.
    view_token: String,
    job: JobInShort,
    message: &'static str,
}

/// Retry a job
///
/// A new job with the same wishes, which makes all images again. The old one stays as it is.
#[utoipa::path(post, path = "/api/generations/{jobId}/retry", tag = "core",
    params(("jobId" = String, Path, description = "The uuid or number of a failed or canceled job"),
           ("Idempotency-Key" = Option<String>, Header, description = "One new job however often it is sent")),
    responses((status = 201, body = RetryAnswer, description = "The new job is committed"),
              (status = 400, body = ErrorBody, description = "It is neither failed nor canceled: `not_retryable`"),
              (status = 402, body = NoCreditBody, description = "Its tenant has not the credits: `insufficient_credits`"),
              (status = 409, body = ErrorBody, description = "The key was used for another request: `idempotency_key_reused`")))]
pub(in crate::api) async fn retry(
    State(api): State<Api>,
    caller: Caller,
    Path(job): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    request_id: RequestId,
) -> Result<Response, ApiError> {
    let job = named(&api, &caller, &job).await?;
    let again = Again {
        job: job.id,
        request_id: request_id.as_str().to_owned(),
        request_hash: hash_of(&job),
        idempotency_key: match &caller {
            Caller::Service | Caller::Team(_) | Caller::User(_) => key,
            // Whoever has a link may repeat the job once, however often it asks.
            Caller::Viewer { .. } => Some(format!("retry of {}", job.id)),
        },
    };
    let retried = match jobs::retried_before(api.db(), &job.tenant(), &again).await? {
        Some(retried) => retried,
        None => retry_now(&api, &job, &again).await?,
    };
    let end = match caller {
        Caller::Service | Caller::Team(_) | Caller::User(_) => Moment::now().end_of(TOKEN_LIFE),
        // A link does not renew itself.
        Caller::Viewer { end, .. } => end,
    };
    let answer = RetryAnswer {
        job_id: retried.job_id,
        id: retried.id,
        original_job_id: job.job_id,
        poll_url: format!("/api/generations/{}", retried.job_id),
        view_token: api.signer().token(Scope::View, retried.job_id, end),
        job: JobInShort::fresh(
            retried.id,
            retried.status,
            job.images_total,
            retried.created_at,
        ),
        message: "Retry job queued successfully",
    };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Makes the new job, if the old one and the queue allow it.
async fn retry_now(api: &Api, job: &jobs::Job, again: &Again) -> Result<Retried, ApiError> {
    let not_retryable = || {
        ApiError::Refused(
            "not_retryable",
            "Can only retry failed or canceled jobs.".to_owned(),
        )
    };
    match job.status {
        Status::Failed | Status::Canceled => {}
        Status::Pending | Status::Processing | Status::RateLimited | Status::Completed => {
            return Err(not_retryable());
        }
    }
    let coming = NewJob {
        kind: JobType::named(&job.kind),
        model: job.model.clone(),
        ..NewJob::default()
    };
    make_room(api, &job.tenant(), &coming, 1).await?;
    if let Some(retried) = jobs::retry_once(api.db(), again).await? {
        return Ok(retried);
    }
    // The same request was quicker, or somebody moved the job.
    let before = jobs::retried_before(api.db(), &job.tenant(), again).await?;
    before.ok_or_else(not_retryable)
}

/// What a retry asks for: this job again.
fn hash_of(job: &jobs::Job) -> String {
    hex(&Sha256::digest(format!("retry of {}", job.id)))
}
