//! Virtual try-on, in the shapes and words of the first of the frontends.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use uuid::Uuid;

use super::Api;
use super::caller::Caller;
use super::error::{ApiError, ErrorBody, NoCreditBody};
use super::extract::{Body, IdempotencyKey, Query};
use super::hub::Seen;
use super::jobs::body::{check_webhook, document, in_our_words, is_picture};
use super::jobs::enqueue::insert;
use super::jobs::looked_at;
use super::jobs::view::ImageView;
use super::links::Links;
use super::openapi::one_of;
use super::owner::{Id, Owner};
use super::request_id::RequestId;
use super::signing::Moment;
use crate::db::jobs::NewJob;
use crate::db::settings;
use crate::domain::{ImageState, JobType, Model, Provider, Request, Status, tryon};
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

/// As that frontend knows it. What was asked for once before may have come to any of ours.
fn in_four_states(status: Status) -> Status {
    match status {
        Status::Pending | Status::RateLimited => Status::Pending,
        Status::Failed | Status::Canceled => Status::Failed,
        Status::Processing | Status::Completed => status,
    }
}

/// The four states that it knows.
fn states() -> Object {
    let known = [
        Status::Pending,
        Status::Processing,
        Status::Completed,
        Status::Failed,
    ];
    one_of(&known.map(Status::as_str))
}

/// What is to be tried on, and by whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TryonBody {
    /// A URL, or what `POST /api/uploads` answered.
    #[schema(example = "https://example.com/me.jpg")]
    person_image: String,
    /// 1 to 4 of the same.
    #[schema(min_items = 1, max_items = 4, example = json!(["https://example.com/coat.jpg"]))]
    garment_images: Vec<String>,
    /// What you wish besides.
    prompt: Option<String>,
    #[schema(example = "3:4")]
    aspect_ratio: Option<String>,
    /// 2K if left out, where the model has sizes.
    #[schema(example = "2K")]
    image_size: Option<String>,
    #[schema(example = "gemini-3-pro-image-preview")]
    model: Option<String>,
    /// Who is told when the job has ended: an https URL of yours. Signed as Standard Webhooks has it.
    #[schema(max_length = 8192, example = "https://example.com/webhooks/photos")]
    webhook_url: Option<String>,
    /// Your own; returned as it is.
    #[schema(value_type = Option<serde_json::Value>)]
    metadata: Option<Box<RawValue>>,
    /// Whose job it is: only a service key may say it.
    team_id: Option<Id>,
    /// The same for a user.
    user_id: Option<Id>,
}

/// The job is committed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TryonAccepted {
    accepted: bool,
    job_id: Uuid,
    #[schema(schema_with = states)]
    status: Status,
    poll_url: String,
}

/// Enqueue a try-on
///
/// Garments are cut out of their pictures, the face is found, and one picture is drawn of the person in
/// the garments; once more if the face is not where it was. `GET /api/generations/{jobId}` shows these steps.
#[utoipa::path(post, path = "/api/tryon", tag = "extra", operation_id = "enqueueTryon",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters")),
    request_body = TryonBody,
    responses((status = 202, body = TryonAccepted, description = "It is committed"),
              (status = 402, body = NoCreditBody, description = "Its tenant has not the credits: `insufficient_credits`"),
              (status = 409, body = ErrorBody, description = "The key was used for another request: `idempotency_key_reused`"),
              (status = 502, body = ErrorBody, description = "The storage of uploads fails: `storage_failed`"),
              (status = 503, body = ErrorBody, description = "Too many jobs wait: `queue_full`; or the server or its database is away")))]
pub(super) async fn enqueue(
    State(api): State<Api>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    request_id: RequestId,
    body: Body<TryonBody>,
) -> Result<(StatusCode, Json<TryonAccepted>), ApiError> {
    check_webhook(body.content.webhook_url.as_deref(), api.sends_webhooks())?;
    let pictures = body.content.pictures()?;
    let mut job = body.content.new_job(&caller)?;
    let default = settings::default_model(api.db(), None).await?;
    let model = match Model::from_name(&default).map(|model| model.provider()) {
        Some(Provider::OpenAi) => default.as_str(),
        Some(Provider::Gemini) | None => tryon::MODEL,
    };
    Request::parse(&job.as_claimed(model))
        .map_err(|error| ApiError::Invalid(in_our_words(&error.to_string())))?;
    job.request_id = Some(request_id.as_str().to_owned());
    job.request_hash = key.is_some().then_some(body.hash);
    job.idempotency_key = key;
    let enqueued = insert(&api, &caller, &job, &pictures).await?;
    let answer = TryonAccepted {
        accepted: true,
        job_id: enqueued.job_id,
        status: in_four_states(enqueued.status),
        poll_url: format!("/api/tryon/jobs/{}", enqueued.job_id),
    };
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

impl TryonBody {
    /// All that are named.
    fn pictures(&self) -> Result<Vec<String>, ApiError> {
        let pictures = std::iter::once(&self.person_image).chain(&self.garment_images);
        let pictures: Vec<String> = pictures.cloned().collect();
        if pictures.iter().all(|picture| is_picture(picture)) {
            return Ok(pictures);
        }
        Err(ApiError::Invalid(
            "\"personImage\" and \"garmentImages\" must hold URLs that begin with http:// or https://, or names of uploads: send pictures of your own to POST /api/uploads first.".to_owned(),
        ))
    }

    fn new_job(self, caller: &Caller) -> Result<NewJob, ApiError> {
        let owner = Owner::of(caller, self.team_id.as_ref(), self.user_id.as_ref())?;
        let mut payload = json!({
            "personImage": self.person_image,
            "garmentImages": self.garment_images,
        });
        if let Some(size) = self.image_size {
            payload["imageSize"] = size.into();
        }
        Ok(NewJob {
            kind: Some(JobType::TryOn),
            prompt: self.prompt.unwrap_or_default(),
            images: Some(1),
            aspect_ratio: self.aspect_ratio,
            model: self.model,
            team_id: owner.team_id,
            user_id: owner.user_id,
            webhook_url: self.webhook_url,
            metadata: document(self.metadata.as_deref(), "metadata")?,
            payload: Some(payload),
            ..NewJob::default()
        })
    }
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
    let error = match job.status {
        Status::Failed => job.error.clone(),
        Status::Canceled => Some("Canceled".to_owned()),
        Status::Pending | Status::RateLimited | Status::Processing | Status::Completed => None,
    };
    Ok(Json(TryonView {
        job_id: job.job_id,
        status: in_four_states(job.status),
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
