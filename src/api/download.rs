//! Zips of what a job or a batch has made.
//!
//! A browser that follows a link sends no header, so besides a caller a token in the URL lets in, which
//! opens this one zip and nothing else.

use axum::extract::{FromRequestParts as _, Path, Query, State};
use axum::http::request::Parts;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::caller::Caller;
use super::error::{ApiError, ErrorBody};
use super::zip::{self, Entry};
use super::{Api, Moment, Opened, Scope, batches, jobs};
use crate::db::batches::{self as rows_of_batches, Batch, BatchImage};
use crate::db::jobs::{self as rows, Job, JobRef};
use crate::domain::{Status, Tenant};

/// A single picture is no archive: it has a URL of its own.
const FEWEST: usize = 2;

/// A link's own permission.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Token {
    /// As `zipUrl` has it; or a view token. Without one the caller's key counts.
    token: Option<String>,
}

/// All pictures of a completed job in one zip, `image-1.png` and so on.
#[utoipa::path(
    get, path = "/api/generations/{jobId}/download", tag = "core", operation_id = "download",
    params(("jobId" = String, Path, description = "The uuid, or the number of the row"), Token),
    responses(
        (status = 200, description = "The zip", content_type = "application/zip", body = Vec<u8>,
         headers(("Content-Disposition" = String, description = "With the name of the file"))),
        (status = 400, description = "The job is not completed", body = ErrorBody),
        (status = 404, description = "No such job, or a single picture", body = ErrorBody),
        (status = 502, description = "The storage fails", body = ErrorBody),
        (status = 503, description = "Too many zips at once; or the server or its database is away", body = ErrorBody),
    )
)]
pub(super) async fn job_zip(
    State(api): State<Api>,
    Path(job): Path<String>,
    Query(token): Query<Token>,
    mut parts: Parts,
) -> Result<Response, ApiError> {
    let job = if let Some(Opened {
        scope: Scope::Zip,
        what,
        ..
    }) = opened(&api, &token)
    {
        by_token(&api, &job, what).await?
    } else {
        let caller = Caller::from_request_parts(&mut parts, &api).await?;
        jobs::named(&api, &caller, &job).await?
    };
    if job.status != Status::Completed {
        return Err(ApiError::Refused(
            "not_completed",
            "The job is not completed.".to_owned(),
        ));
    }
    let images = rows::images(api.db(), job.id).await?;
    let entries = zip::entries(&images);
    if entries.len() < FEWEST {
        return Err(ApiError::NotFound("Zip file"));
    }
    let ended = milliseconds(job.completed_at);
    let name = format!("generation-{}-{ended}.zip", job.id);
    zip::stream(&api, entries, &name).await
}

/// The job of a path, if the token is for it.
async fn by_token(api: &Api, named: &str, uuid: Uuid) -> Result<Job, ApiError> {
    let job = rows::find(api.db(), JobRef::Uuid(uuid)).await?;
    job.filter(|job| match named.parse() {
        Ok(JobRef::Uuid(named)) => named == uuid,
        Ok(JobRef::Id(named)) => named == job.id,
        Err(_) => false,
    })
    .ok_or(ApiError::NotFound("Job"))
}

/// All pictures of a batch in one zip, `job-1/image-1.png` and so on.
#[utoipa::path(
    get, path = "/api/batches/{id}/download", tag = "extra", operation_id = "downloadBatch",
    params(("id" = i64, Path, description = "Of the batch"), Token),
    responses(
        (status = 200, description = "The zip", content_type = "application/zip", body = Vec<u8>,
         headers(("Content-Disposition" = String, description = "With the name of the file"))),
        (status = 400, description = "Some job has not ended", body = ErrorBody),
        (status = 404, description = "No such batch, or no picture", body = ErrorBody),
        (status = 502, description = "The storage fails", body = ErrorBody),
        (status = 503, description = "Too many zips at once; or the server or its database is away", body = ErrorBody),
    )
)]
pub(super) async fn batch_zip(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(token): Query<Token>,
    parts: Parts,
) -> Result<Response, ApiError> {
    let (batch, whose) = batch_of(&api, &id, &token, parts).await?;
    if batch.jobs_ended < batch.jobs {
        return Err(ApiError::Refused(
            "not_completed",
            "The batch is not completed: some of its jobs have not ended.".to_owned(),
        ));
    }
    let images = rows_of_batches::stored(api.db(), batch.id).await?;
    let theirs = |image: &&BatchImage| {
        whose
            .as_ref()
            .is_none_or(|tenant| image.tenant() == *tenant)
    };
    let entries: Vec<Entry> = images
        .iter()
        .filter(theirs)
        .filter_map(|image| {
            let name = format!("job-{}/image-{}", image.job, image.index);
            Entry::of(&name, &image.storage_key, &image.mime_type, image.bytes)
        })
        .collect();
    if entries.is_empty() {
        return Err(ApiError::NotFound("Zip file"));
    }
    let name = format!(
        "batch-{}-{}.zip",
        batch.id,
        milliseconds(batch.completed_at)
    );
    zip::stream(&api, entries, &name).await
}

/// The batch of a path, and whose jobs of it are shown; `None`: everybody's.
async fn batch_of(
    api: &Api,
    id: &str,
    token: &Token,
    mut parts: Parts,
) -> Result<(Batch, Option<Tenant>), ApiError> {
    if let Some(Opened {
        scope: Scope::BatchZip,
        what: uuid,
        ..
    }) = opened(api, token)
        && let Ok(number) = id.parse()
        && zip::batch_uuid(number) == uuid
    {
        let batch = rows_of_batches::find(api.db(), number).await?;
        let batch = batch.ok_or(ApiError::NotFound("Batch"))?;
        // Who has its token sees what its owner sees; one without an owner is a service's.
        let owner = batch.tenant();
        return Ok((batch, (owner != Tenant::of(None, None)).then_some(owner)));
    }
    let caller = Caller::from_request_parts(&mut parts, api).await?;
    let batch = batches::of_caller(api, &caller, id).await?;
    Ok((batch, caller.tenant()?))
}

fn opened(api: &Api, token: &Token) -> Option<Opened> {
    api.signer().opened(token.token.as_ref()?, Moment::now())
}

/// In the name of a file, as seed frontends expect it.
fn milliseconds(ended: Option<DateTime<Utc>>) -> i64 {
    ended.map_or(0, |ended| ended.timestamp_millis())
}
