//! Virtual try-on, in the shapes and words of the first of the frontends. The pipeline is not built yet.

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use uuid::Uuid;

use super::Api;
use super::caller::Caller;
use super::error::{ApiError, ErrorBody};
use super::extract::Query;
use super::hub::Seen;
use super::jobs::looked_at;
use super::jobs::view::ImageView;
use super::links::Links;
use super::openapi::one_of;
use super::signing::Moment;
use crate::domain::{ImageState, Status};
use crate::storage::ObjectKey;

/// Pictures read at a time: each is held in memory twice.
static PICTURES: Semaphore = Semaphore::const_new(8);

/// A job as that frontend polls it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TryonView {
    job_id: Option<Uuid>,
    #[schema(schema_with = states)]
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    image_url: Option<String>,
    /// Only with `?include=base64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    base64_image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

/// The four states that the frontend knows.
fn states() -> Object {
    let known = [
        Status::Pending,
        Status::Processing,
        Status::Completed,
        Status::Failed,
    ];
    one_of(&known.map(Status::as_str))
}

/// Enqueue a try-on
///
/// This version does not work them yet: 501.
#[utoipa::path(post, path = "/api/tryon", tag = "extra", operation_id = "enqueueTryon",
    responses((status = 501, body = ErrorBody, description = "`type_unavailable`")))]
pub(super) async fn enqueue(_: Caller) -> ApiError {
    ApiError::NotBuilt(
        "type_unavailable",
        "This version does not work jobs of type \"tryon\" yet.".to_owned(),
    )
}

/// Look at a try-on
#[utoipa::path(get, path = "/api/tryon/jobs/{jobId}", tag = "extra", operation_id = "pollTryon",
    params(("jobId" = String, Path, description = "The job's uuid or number"),
           ("include" = Option<String>, Query, description = "base64: the picture in the answer")),
    responses((status = 200, body = TryonView, description = "The job"),
              (status = 502, body = ErrorBody, description = "The storage fails: `storage_failed`")))]
pub(super) async fn poll(
    State(api): State<Api>,
    caller: Caller,
    Path(job): Path<String>,
    Query(query): Query,
) -> Result<Json<TryonView>, ApiError> {
    let seen = looked_at(&api, &caller, &job).await?;
    let wants_picture = query
        .iter()
        .any(|(name, value)| name == "include" && value == "base64");
    let base64_image = if wants_picture {
        picture(&api, &seen).await?
    } else {
        None
    };
    let job = seen.job();
    let links = Links::of(&api, seen.images(), Moment::now()).await;
    let mut images = seen
        .images()
        .iter()
        .map(|image| ImageView::of(job, image, &links));
    // That frontend knows four of the states.
    let (status, error) = match job.status {
        Status::Pending | Status::RateLimited => (Status::Pending, None),
        Status::Processing | Status::Completed => (job.status, None),
        Status::Failed => (Status::Failed, job.error.clone()),
        Status::Canceled => (Status::Failed, Some("Canceled".to_owned())),
    };
    Ok(Json(TryonView {
        job_id: job.job_id,
        status,
        image_url: images
            .find(ImageView::is_stored)
            .and_then(ImageView::into_url),
        base64_image,
        error,
    }))
}

/// The first picture.
async fn picture(api: &Api, seen: &Seen) -> Result<Option<String>, ApiError> {
    let mut images = seen.images().iter();
    let stored = images.find(|image| image.state == ImageState::Stored);
    let key = stored.and_then(|image| image.storage_key.as_deref());
    let Some(key) = key.and_then(|key| ObjectKey::parse(key).ok()) else {
        return Ok(None);
    };
    let _turn = PICTURES.try_acquire().map_err(|_| ApiError::Busy)?;
    let bytes = api.storage().get(&key).await?;
    Ok(Some(BASE64_STANDARD.encode(bytes)))
}
