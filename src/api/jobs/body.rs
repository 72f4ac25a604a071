//! What a body asks for: read strictly, checked as a worker will, and made a row.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{Object, ObjectBuilder};

use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::owner::{Id, Owner};
use crate::api::{Api, batches};
use crate::db::jobs::NewJob;
use crate::db::json::Json as Document;
use crate::db::settings;
use crate::domain::request::{MAX_IMAGES, TYPES};
use crate::domain::{Priority, Request};

/// Most tries of a job: what ends badly a hundred times ends badly.
const MOST_ATTEMPTS: i32 = 100;
/// Bytes of JSON that a job may carry along: it is read with every poll.
const LARGEST_JSON: usize = 64 * 1024;
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
    /// Of OpenAI's models: low, medium (if left out), high or auto.
    #[schema(example = "medium")]
    quality: Option<String>,
    /// Of OpenAI's models: png (if left out), jpeg or webp.
    #[schema(example = "png")]
    output_format: Option<String>,
    /// Of gpt-image-1 and gpt-image-1.5, with images: low or high.
    #[schema(example = "high")]
    input_fidelity: Option<String>,
    /// Pictures to work from, in order: URLs, or what `POST /api/uploads` answered.
    images: Option<Vec<String>>,
    #[schema(schema_with = priorities)]
    priority: Option<Priority>,
    /// Left out: the default of the provider.
    #[schema(example = "gpt-image-1.5")]
    model: Option<String>,
    /// gemini or openai; left out: that of the model, else the default.
    #[schema(example = "openai")]
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
    metadata: Option<Box<RawValue>>,
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
    word_or_null(&TYPES[..1])
}

fn priorities() -> Object {
    word_or_null(&Priority::ALL.map(Priority::as_str))
}

fn word_or_null(words: &[&str]) -> Object {
    let words = words.iter().copied().map(Some);
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some(words.chain([None])))
        .build()
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
        let model = settings::default_model(api.db(), job.provider.as_deref()).await?;
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
        let metadata = document(self.metadata.as_deref(), "metadata")?;
        small(
            payload.as_ref().map(Value::to_string).as_deref(),
            "settings",
        )?;
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
            metadata,
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
            ("inputFidelity", json!(self.input_fidelity)),
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

/// The app's own JSON, letter by letter.
pub(in crate::api) fn document(
    text: Option<&RawValue>,
    field: &str,
) -> Result<Option<Document>, ApiError> {
    small(text.map(RawValue::get), field)?;
    let document = text.map(|text| text.get().parse::<Document>());
    document
        .transpose()
        .map_err(|error| ApiError::Invalid(error.to_string()))
}

fn small(text: Option<&str>, field: &str) -> Result<(), ApiError> {
    if text.is_some_and(|text| text.len() > LARGEST_JSON) {
        return Err(ApiError::Invalid(format!(
            "\"{field}\" is larger than {} kB.",
            LARGEST_JSON / 1024
        )));
    }
    Ok(())
}

pub(in crate::api) fn is_picture(text: &str) -> bool {
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
pub(in crate::api) fn in_our_words(sentence: &str) -> String {
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
