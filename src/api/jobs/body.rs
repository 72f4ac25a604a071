//! What a body asks for: read strictly, checked as a worker will, and made a row.

mod checks;

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
use crate::domain::request::MAX_IMAGES;
use crate::domain::{JobType, Priority, Request};
use crate::net;

/// Most tries of a job: what ends badly a hundred times ends badly.
const MOST_ATTEMPTS: i32 = 100;
/// Bytes of JSON that a job may carry along: it is read with every poll.
const LARGEST_JSON: usize = 64 * 1024;
/// A job that is to be given up later than this need not say so.
const LONGEST_EXPIRY: u64 = 30 * 24 * 60 * 60;

/// What is wanted. Only a prompt must be there, and a picture where one is to be edited; unknown fields are
/// refused, since a misspelled one would cost money.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::api) struct EnqueueBody {
    #[serde(rename = "type")]
    #[schema(schema_with = types)]
    kind: Option<String>,
    /// Needed, unless `prompts` or `editPrompt` says it.
    #[schema(pattern = r"\S", example = "a red bicycle")]
    prompt: Option<String>,
    /// Of `image_generation` and `image_edit`: one for each image, in their order.
    #[schema(min_items = 1, max_items = 100)]
    prompts: Option<Vec<String>>,
    /// Left out: 4 of `photo_generation`, else as many as there are `prompts`, else 1.
    #[schema(minimum = 1, maximum = 100)]
    num_images: Option<i32>,
    /// Left out: the model's choice; of `image_edit` that of the source.
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
    /// Who is told when the job has ended: an https URL of yours. Signed as Standard Webhooks has it.
    #[schema(max_length = 8192, example = "https://example.com/webhooks/photos")]
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
    /// Of `image_edit`: the picture to be changed; left out: the first of `images`.
    source_image_url: Option<String>,
    /// Of `image_edit`: another name for `prompt`.
    #[schema(pattern = r"\S", example = "make the sky red")]
    edit_prompt: Option<String>,
}

/// Those that are enqueued here: a try-on has a route of its own.
fn types() -> Object {
    word_or_null(&JobType::PROMPTED.map(JobType::as_str))
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
        check_webhook(self.webhook_url.as_deref(), api.sends_webhooks())?;
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
        self.check_fields(self.job_type()?)?;
        self.check_prompts()?;
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
        let images = self.images.iter().flatten();
        let mut pictures = images.chain(&self.source_image_url);
        match pictures.find(|picture| !is_picture(picture)) {
            Some(_) => checks::invalid(
                "\"images\" and \"sourceImageUrl\" must be URLs that begin with http:// or https://, or names of uploads.",
            ),
            None => Ok(()),
        }
    }

    fn new_job(self, owner: Owner) -> Result<NewJob, ApiError> {
        let payload = self.payload();
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
                .or_else(|| self.of_settings("aspectRatio")),
            provider: self.provider,
            model: self.model,
            priority: self.priority.map(|priority| priority.as_str().to_owned()),
            team_id: owner.team_id,
            user_id: owner.user_id,
            batch_id: self.batch_id,
            max_attempts: self.max_attempts,
            // The picture to be edited is the first one.
            pictures: self
                .source_image_url
                .into_iter()
                .chain(self.images.unwrap_or_default())
                .collect(),
            payload,
            metadata,
            webhook_url: self.webhook_url,
            expires_in: self.expires_in_seconds.map(Duration::from_secs),
            kind: self.kind.as_deref().and_then(JobType::named),
            prompt: self.prompt.or(self.edit_prompt).unwrap_or_default(),
            prompts: self.prompts.unwrap_or_default(),
            idempotency_key: None,
            request_hash: None,
            request_id: None,
        })
    }

    /// A wish that is not said beside them, where seed 001's callers have it.
    fn of_settings(&self, name: &str) -> Option<String> {
        let settings = self.settings.as_ref()?;
        settings.get(name)?.as_str().map(str::to_owned)
    }

    /// What has no column of its own.
    fn payload(&self) -> Option<Value> {
        let wish = |name: &str, said: &Option<String>| {
            json!(said.clone().or_else(|| self.of_settings(name)))
        };
        let parts = [
            ("imageSize", wish("imageSize", &self.image_size)),
            ("quality", wish("quality", &self.quality)),
            ("outputFormat", wish("outputFormat", &self.output_format)),
            ("inputFidelity", wish("inputFidelity", &self.input_fidelity)),
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

/// That it can be read; whether it leads to a public host is found out when it is sent to.
pub(in crate::api) fn check_webhook(
    url: Option<&str>,
    sends_webhooks: bool,
) -> Result<(), ApiError> {
    let Some(url) = url else {
        return Ok(());
    };
    if !sends_webhooks {
        return Err(ApiError::Refused(
            "webhooks_unavailable",
            "This server sends no webhooks, since WEBHOOK_SECRET is not set: poll, or follow the events."
                .to_owned(),
        ));
    }
    net::readable(url)
        .map(drop)
        .map_err(|error| ApiError::Invalid(format!("\"webhookUrl\" cannot be used. {error}")))
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
