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
use super::zip::Entry;
use super::zip::stream::stream;
use super::{Api, Moment, Scope, jobs};
use crate::db::batches::{self, Batch, BatchImage};
use crate::db::jobs::{self as rows, Image, Job, JobRef};
use crate::domain::{JobId, Status, Tenant};
use crate::images::PictureFormat;
use crate::storage::{InvalidKey, ObjectKey};

/// A single picture is no archive: it has a URL of its own.
const FEWEST: usize = 2;

/// A link's own permission.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Token {
    /// As `zipUrl` has it; or a view token. Without one the caller's key counts.
    token: Option<String>,
}

/// Where a browser gets the zip of a job without a header.
#[expect(dead_code, reason = "for the jobs that polls show")]
pub(super) fn job_url(api: &Api, job: Uuid, now: Moment) -> String {
    let end = now.end_of(api.settings().signed_url_life);
    let token = api.signer().token(Scope::Zip, job, end);
    let base = &api.settings().public_url;
    format!("{base}/api/generations/{job}/download?token={token}")
}

/// The same for a batch.
#[expect(dead_code, reason = "for the batches that are shown")]
pub(super) fn batch_url(api: &Api, batch: i64, now: Moment) -> String {
    let end = now.end_of(api.settings().signed_url_life);
    let token = api.signer().token(Scope::BatchZip, number(batch), end);
    let base = &api.settings().public_url;
    format!("{base}/api/batches/{batch}/download?token={token}")
}

/// A batch as tokens name it.
fn number(batch: i64) -> Uuid {
    Uuid::from_u128(u128::from(batch.unsigned_abs()))
}

/// What the zip of a job holds: its stored images; `None` while they are no archive.
///
/// # Errors
/// For a row that names no object.
pub(super) fn entries(images: &[Image]) -> Result<Option<Vec<Entry>>, InvalidKey> {
    let entries = images.iter().filter_map(|image| {
        let name = format!("image-{}", image.index);
        let (key, mime) = (image.storage_key.as_ref()?, image.mime_type.as_ref()?);
        Some(entry(name, key, mime, image.bytes?))
    });
    let entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
    Ok((entries.len() >= FEWEST).then_some(entries))
}

fn entry(name: String, key: &str, mime: &str, bytes: i64) -> Result<Entry, InvalidKey> {
    let key = ObjectKey::parse(key)?;
    let format = PictureFormat::ALL
        .into_iter()
        .find(|format| format.mime() == mime);
    let extension = format.ok_or(InvalidKey)?.extension();
    Ok(Entry {
        name: format!("{name}.{extension}"),
        key,
        bytes: u64::try_from(bytes).unwrap_or_default(),
    })
}

/// All pictures of a completed job in one zip, `image-1.png` and so on.
#[utoipa::path(
    get, path = "/api/generations/{jobId}/download", tag = "core",
    params(("jobId" = String, Path, description = "The uuid, or the number of the row"), Token),
    responses(
        (status = 200, description = "The zip", content_type = "application/zip"),
        (status = 400, description = "The job is not completed", body = ErrorBody),
        (status = 401, description = "Nobody known", body = ErrorBody),
        (status = 404, description = "No such job, or a single picture", body = ErrorBody),
        (status = 502, description = "The storage fails", body = ErrorBody),
        (status = 503, description = "Too many zips at once", body = ErrorBody),
    )
)]
pub(super) async fn job_zip(
    State(api): State<Api>,
    Path(job): Path<String>,
    Query(token): Query<Token>,
    mut parts: Parts,
) -> Result<Response, ApiError> {
    let job = match opened(&api, &token) {
        Some((Scope::Zip, uuid)) => by_token(&api, &job, uuid).await?,
        Some((Scope::View | Scope::BatchZip, _)) | None => {
            let caller = Caller::from_request_parts(&mut parts, &api).await?;
            jobs::named(&api, &caller, &job).await?
        }
    };
    if job.status != Status::Completed {
        return Err(ApiError::Refused(
            "not_completed",
            "The job is not completed.".to_owned(),
        ));
    }
    let images = rows::images(api.db(), job.id).await?;
    let entries = entries(&images)
        .map_err(|error| corrupt(job.id, error))?
        .ok_or(ApiError::NotFound("Zip file"))?;
    let id = job
        .job_id
        .map_or_else(|| job.id.to_string(), |uuid| uuid.to_string());
    let name = format!("generation-{id}-{}.zip", milliseconds(job.completed_at));
    stream(&api, entries, &name).await
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
    get, path = "/api/batches/{id}/download", tag = "extra",
    params(("id" = i64, Path, description = "Of the batch"), Token),
    responses(
        (status = 200, description = "The zip", content_type = "application/zip"),
        (status = 400, description = "Some job has not ended", body = ErrorBody),
        (status = 401, description = "Nobody known", body = ErrorBody),
        (status = 403, description = "A view token opens no batch", body = ErrorBody),
        (status = 404, description = "No such batch, or no picture", body = ErrorBody),
        (status = 502, description = "The storage fails", body = ErrorBody),
        (status = 503, description = "Too many zips at once", body = ErrorBody),
    )
)]
pub(super) async fn batch_zip(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(token): Query<Token>,
    mut parts: Parts,
) -> Result<Response, ApiError> {
    let not_found = || ApiError::NotFound("Batch");
    let caller = match opened(&api, &token) {
        Some((Scope::BatchZip, batch)) if id.parse().is_ok_and(|id| number(id) == batch) => None,
        Some(_) | None => Some(Caller::from_request_parts(&mut parts, &api).await?),
    };
    let id = id.parse().map_err(|_| not_found())?;
    let batch = batches::find(api.db(), id).await?.ok_or_else(not_found)?;
    let whose = jobs_of(caller.as_ref(), &batch)?;
    if batch.is_generating {
        return Err(ApiError::Refused(
            "not_completed",
            "The batch is not completed: some of its jobs have not ended.".to_owned(),
        ));
    }
    let images = batches::stored(api.db(), id).await?;
    let theirs = |image: &&BatchImage| {
        whose
            .as_ref()
            .is_none_or(|tenant| image.tenant() == *tenant)
    };
    let entries = images.iter().filter(theirs).map(|image| {
        let name = format!("job-{}/image-{}", image.job, image.index);
        entry(name, &image.storage_key, &image.mime_type, image.bytes)
    });
    let entries: Vec<Entry> = entries
        .collect::<Result<_, _>>()
        .map_err(|error| corrupt(id, error))?;
    if entries.is_empty() {
        return Err(ApiError::NotFound("Zip file"));
    }
    let name = format!("batch-{id}-{}.zip", milliseconds(batch.completed_at));
    stream(&api, entries, &name).await
}

/// Whose jobs of a batch are shown, `None`: everybody's. Who comes with a token sees what its owner sees.
///
/// # Errors
/// 404 if the batch is somebody else's.
fn jobs_of(caller: Option<&Caller>, batch: &Batch) -> Result<Option<Tenant>, ApiError> {
    let owner = batch.tenant();
    let Some(caller) = caller else {
        return Ok((owner != Tenant::of(None, None)).then_some(owner));
    };
    match caller.tenant()? {
        Some(tenant) if tenant != owner => Err(ApiError::NotFound("Batch")),
        shown => Ok(shown),
    }
}

fn opened(api: &Api, token: &Token) -> Option<(Scope, Uuid)> {
    api.signer().opened(token.token.as_ref()?, Moment::now())
}

fn corrupt(id: JobId, error: InvalidKey) -> ApiError {
    ApiError::Internal(format!("an image row of {id}: {error}"))
}

/// In the name of a file, as seed frontends expect it.
fn milliseconds(ended: Option<DateTime<Utc>>) -> i64 {
    ended.map_or(0, |ended| ended.timestamp_millis())
}
