//! Enqueue: a body becomes a row, and the answer leaves after the commit.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{Object, ObjectBuilder};
use uuid::Uuid;

use super::view::{JobInShort, JobView, states, view_token};
use super::{make_room, poll};
use crate::api::caller::Caller;
use crate::api::error::{ApiError, ErrorBody};
use crate::api::extract::{Body, IdempotencyKey, Wait};
use crate::api::request_id::RequestId;
use crate::api::signing::Moment;
use crate::api::{Api, batches, uploads};
use crate::db::jobs::{self, DEFAULT_IMAGES, Enqueued, Insertion, JobRef, NewJob};
use crate::db::json::Json as Document;
use crate::db::settings;
use crate::domain::request::{MAX_IMAGES, TYPES};
use crate::domain::{Provider, Request, Status, Tenant};

/// Tries of a job that says nothing; the column's own default.
const MOST_ATTEMPTS: i32 = 100;
/// A job that is to be given up later than this need not say so.
const LONGEST_EXPIRY: u64 = 30 * 24 * 60 * 60;

/// What is wanted. Only `prompt` must be there; unknown fields are refused, since a misspelled one would
/// cost money.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::api) struct EnqueueBody {
    #[serde(rename = "type")]
    #[schema(schema_with = types)]
    kind: Option<String>,
    #[schema(required, nullable = false, pattern = r"\S", example = "a red bicycle")]
    prompt: Option<String>,
    #[schema(schema_with = not_yet)]
    prompts: Option<Vec<String>>,
    #[schema(minimum = 1, maximum = 100, default = 4)]
    num_images: Option<i32>,
    #[schema(example = "4:3")]
    aspect_ratio: Option<String>,
    /// Where the model has sizes.
    #[schema(example = "2K")]
    image_size: Option<String>,
    quality: Option<String>,
    output_format: Option<String>,
    /// Pictures to work from, in order: URLs, or what `POST /api/uploads` answered.
    images: Option<Vec<String>>,
    /// `urgent | normal | batch`
    #[schema(example = "normal")]
    priority: Option<Priority>,
    model: Option<String>,
    provider: Option<String>,
    /// A batch of yours.
    batch_id: Option<i64>,
    #[schema(minimum = 1, maximum = 100, default = 5)]
    max_attempts: Option<i32>,
    #[schema(schema_with = not_yet)]
    webhook_url: Option<String>,
    /// Give the job up when it is not made within this time.
    #[schema(minimum = 1, maximum = 2_592_000)]
    expires_in_seconds: Option<u64>,
    /// Your own; returned as it is.
    #[schema(value_type = Option<serde_json::Value>)]
    metadata: Option<Box<serde_json::value::RawValue>>,
    /// Whose job it is: only a service key may say it.
    team_id: Option<Id>,
    /// The same for a user.
    user_id: Option<Id>,
    client_id: Option<Value>,
    product_ids: Option<Value>,
    settings: Option<BTreeMap<String, Value>>,
    #[schema(schema_with = not_yet)]
    source_image_url: Option<String>,
    #[schema(schema_with = not_yet)]
    edit_prompt: Option<String>,
}

/// What this version refuses.
fn not_yet() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Null)
        .description(Some("Not built yet, or for a type that is not: refused"))
        .build()
}

/// Those that this version works: `check` tells of the others that they are not built.
fn types() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some([Some(TYPES[0]), None]))
        .build()
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Priority {
    Urgent,
    Normal,
    Batch,
}

impl Priority {
    fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Normal => "normal",
            Self::Batch => "batch",
        }
    }
}

/// An id of the app's: a text or a number.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(in crate::api) enum Id {
    Number(i64),
    Text(String),
}

impl Id {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// Whose something is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) struct Owner {
    pub(in crate::api) team_id: Option<String>,
    pub(in crate::api) user_id: Option<String>,
}

impl Owner {
    /// The caller itself; for a service key whom it names.
    pub(in crate::api) fn of(
        caller: &Caller,
        team: Option<&Id>,
        user: Option<&Id>,
    ) -> Result<Self, ApiError> {
        let (team, user) = (team.map(Id::text), user.map(Id::text));
        let own = match caller {
            Caller::Service => {
                return Ok(Self {
                    team_id: team,
                    user_id: user,
                });
            }
            Caller::Team(id) => Self {
                team_id: Some(id.clone()),
                user_id: None,
            },
            Caller::User(id) => Self {
                team_id: None,
                user_id: Some(id.clone()),
            },
            Caller::Viewer(_) => {
                return Err(ApiError::Forbidden(
                    "A view token opens one job and enqueues none.".to_owned(),
                ));
            }
        };
        let names_another =
            |named: &Option<String>, own: &Option<String>| named.is_some() && named != own;
        if names_another(&team, &own.team_id) || names_another(&user, &own.user_id) {
            return Err(ApiError::Forbidden(
                "Only a service key may name whose job it is.".to_owned(),
            ));
        }
        Ok(own)
    }

    pub(in crate::api) fn tenant(&self) -> Tenant {
        Tenant::of(self.team_id.as_deref(), self.user_id.as_deref())
    }
}

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
              (status = 409, body = ErrorBody, description = "The key was used for another request: `idempotency_key_reused`"),
              (status = 501, body = ErrorBody, description = "This version does not work that type: `type_unavailable`"),
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
    let tenant = jobs::tenant_of(api.db(), &job).await?;
    make_room(&api, &tenant, &job, 1).await?;
    uploads::claim(&api, &tenant, &job.pictures).await?;
    let enqueued = jobs::enqueue(api.db(), &job).await?;
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

/// The job when it has ended or the time is over. It is committed: whatever goes wrong here changes
/// nothing about that.
async fn ended(api: &Api, enqueued: Enqueued, wait: Duration) -> Option<JobView> {
    let seen = api
        .hub()
        .read(JobRef::Id(enqueued.id))
        .await
        .ok()
        .flatten()?;
    let seen = api
        .hub()
        .wait(seen, wait, |seen| seen.job().status.is_final())
        .await;
    Some(JobView::of(api, &seen, Moment::now()))
}

impl Accepted {
    pub(in crate::api) fn of(api: &Api, job: &NewJob, enqueued: Enqueued) -> Self {
        let images = job.images.unwrap_or(DEFAULT_IMAGES);
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
            job: JobInShort::fresh(id, status, images.into(), created_at),
            message: match how {
                Insertion::Inserted => "Generation queued",
                Insertion::WasThere => "Generation was queued before, with this Idempotency-Key",
            },
            generation: None,
        }
    }
}

impl EnqueueBody {
    /// The same as one of a batch, whose owner is the owner of all.
    pub(in crate::api) fn of_batch(mut self, owner: &Owner) -> Result<Self, ApiError> {
        if self.team_id.is_some() || self.user_id.is_some() || self.batch_id.is_some() {
            return Err(ApiError::Invalid(
                "\"teamId\", \"userId\" and \"batchId\" belong to the batch, not to its jobs."
                    .to_owned(),
            ));
        }
        self.team_id = owner.team_id.clone().map(Id::Text);
        self.user_id = owner.user_id.clone().map(Id::Text);
        Ok(self)
    }

    /// The job that is wanted, once a worker could work it.
    pub(in crate::api) async fn wanted(
        self,
        api: &Api,
        caller: &Caller,
    ) -> Result<NewJob, ApiError> {
        self.check()?;
        let owner = Owner::of(caller, self.team_id.as_ref(), self.user_id.as_ref())?;
        if let Some(batch) = self.batch_id {
            batches::must_be_of(api, caller, &owner, batch).await?;
        }
        let job = self.new_job(owner)?;
        let model = settings::default_model(api.db(), Provider::Gemini).await?;
        match Request::parse(&job.as_claimed(&model)) {
            Ok(_) => Ok(job),
            Err(error) => Err(ApiError::Invalid(in_our_words(&error.to_string()))),
        }
    }

    /// What no row could tell.
    fn check(&self) -> Result<(), ApiError> {
        let invalid = |text: &str| Err(ApiError::Invalid(text.to_owned()));
        match self.kind.as_deref().unwrap_or(TYPES[0]) {
            "photo_generation" => {}
            kind if TYPES.contains(&kind) => {
                return Err(ApiError::NotBuilt(
                    "type_unavailable",
                    format!("This version does not work jobs of type \"{kind}\" yet."),
                ));
            }
            kind => return Err(unknown_type(kind)),
        }
        if self.webhook_url.is_some() {
            return Err(ApiError::Refused(
                "webhooks_unavailable",
                "This version calls no webhooks yet: poll, or follow the events.".to_owned(),
            ));
        }
        if self.prompts.is_some() || self.edit_prompt.is_some() || self.source_image_url.is_some() {
            return invalid(
                "\"prompts\", \"editPrompt\" and \"sourceImageUrl\" are not for jobs of type photo_generation: use \"prompt\" and \"images\".",
            );
        }
        if self
            .prompt
            .as_deref()
            .is_none_or(|prompt| prompt.trim().is_empty())
        {
            return invalid("\"prompt\" is missing: say what the photos are to show.");
        }
        if self
            .num_images
            .is_some_and(|images| !(1..=MAX_IMAGES).contains(&images))
        {
            return Err(ApiError::Invalid(format!(
                "\"numImages\" must be 1 to {MAX_IMAGES}."
            )));
        }
        if self
            .max_attempts
            .is_some_and(|tries| !(1..=MOST_ATTEMPTS).contains(&tries))
        {
            return Err(ApiError::Invalid(format!(
                "\"maxAttempts\" must be 1 to {MOST_ATTEMPTS}."
            )));
        }
        if self
            .expires_in_seconds
            .is_some_and(|s| !(1..=LONGEST_EXPIRY).contains(&s))
        {
            return Err(ApiError::Invalid(format!(
                "\"expiresInSeconds\" must be 1 to {LONGEST_EXPIRY}."
            )));
        }
        let mut images = self.images.iter().flatten();
        match images.find(|image| !is_picture(image)) {
            Some(_) => invalid(
                "\"images\" must hold URLs that begin with http:// or https://, or names of uploads.",
            ),
            None => Ok(()),
        }
    }

    fn new_job(self, owner: Owner) -> Result<NewJob, ApiError> {
        let payload = self.payload();
        let of_settings = |name: &str| {
            let settings = self.settings.as_ref();
            settings.and_then(|settings| settings.get(name)?.as_str().map(str::to_owned))
        };
        let metadata = self
            .metadata
            .as_ref()
            .map(|metadata| metadata.get().parse::<Document>());
        Ok(NewJob {
            images: self.num_images,
            aspect_ratio: self
                .aspect_ratio
                .clone()
                .or_else(|| of_settings("aspectRatio")),
            provider: self.provider,
            model: self.model,
            priority: self.priority.map(|priority| priority.as_str().to_owned()),
            team_id: owner.team_id,
            user_id: owner.user_id,
            batch_id: self.batch_id,
            max_attempts: self.max_attempts,
            pictures: self.images.unwrap_or_default(),
            payload,
            metadata: metadata
                .transpose()
                .map_err(|error| ApiError::Invalid(error.to_string()))?,
            expires_in: self.expires_in_seconds.map(Duration::from_secs),
            kind: self.kind,
            prompt: self.prompt.unwrap_or_default(),
            idempotency_key: None,
            request_hash: None,
            request_id: None,
        })
    }

    /// What has no column of its own.
    fn payload(&self) -> Option<Value> {
        let parts = [
            ("imageSize", json!(self.image_size)),
            ("quality", json!(self.quality)),
            ("outputFormat", json!(self.output_format)),
            ("clientId", json!(self.client_id)),
            ("productIds", json!(self.product_ids)),
            ("settings", json!(self.settings)),
        ];
        let said: serde_json::Map<_, _> = parts
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        (!said.is_empty()).then_some(Value::Object(said))
    }
}

fn is_picture(text: &str) -> bool {
    let starts = ["https://", "http://", "upload:"];
    starts
        .iter()
        .any(|start| text.trim_start().starts_with(start))
}

fn unknown_type(kind: &str) -> ApiError {
    let shown: String = kind.chars().take(40).collect();
    ApiError::Invalid(format!(
        "\"type\" is \"{shown}\"; one of {}.",
        TYPES.join(", ")
    ))
}

/// A worker's sentence names columns; a caller knows the fields of its body.
fn in_our_words(sentence: &str) -> String {
    [
        ("\"numImagesPerExample\"", "\"numImages\""),
        ("\"basePrompt\"", "\"prompt\""),
        ("\"trainingImageUrls\"", "\"images\""),
        (" in \"payload\"", ""),
    ]
    .into_iter()
    .fold(sentence.to_owned(), |text, (column, field)| {
        text.replace(column, field)
    })
}

#[cfg(test)]
mod tests;
