//! What somebody wants to be enqueued, as columns of the queue.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::db::DbError;
use crate::db::json::Json;
use crate::domain::{ClaimedJob, JobType, Tenant};

/// Images of a `photo_generation` that says nothing; the column's own default.
pub(super) const DEFAULT_IMAGES: i32 = 4;

/// Values by column; only what is asked for.
pub(super) type Columns = BTreeMap<&'static str, Json>;

/// What to enqueue. `None`, and no pictures, leave the column's default.
#[derive(Debug, Default, Clone)]
pub struct NewJob {
    pub kind: Option<JobType>,
    /// Empty where each image has its own.
    pub prompt: String,
    /// One for each image, of a type that has them.
    pub prompts: Vec<String>,
    pub images: Option<i32>,
    pub aspect_ratio: Option<String>,
    pub provider: Option<String>,
    pub model: Option<String>,
    pub priority: Option<String>,
    pub team_id: Option<String>,
    pub user_id: Option<String>,
    pub batch_id: Option<i64>,
    pub max_attempts: Option<i32>,
    /// Input pictures: URLs or `upload:` names.
    pub pictures: Vec<String>,
    /// For `imageSize` and its kin.
    pub payload: Option<Value>,
    /// The app's own.
    pub metadata: Option<Json>,
    /// One job per tenant and key.
    pub idempotency_key: Option<String>,
    /// Of the whole request that brings the key: the same again asks for the same.
    pub request_hash: Option<String>,
    /// What follows the job through the logs; `None`: one is made.
    pub request_id: Option<String>,
    /// Who is told when it has ended.
    pub webhook_url: Option<String>,
    /// From the insertion on.
    pub expires_in: Option<Duration>,
}

impl NewJob {
    /// The job as a worker would claim it, to learn now what it would say then.
    pub fn as_claimed(&self, default_model: &str) -> ClaimedJob {
        let named = self.model.as_deref().filter(|model| !model.is_empty());
        ClaimedJob {
            id: 0,
            job_id: Uuid::nil(),
            tenant: Tenant::of(self.team_id.as_deref(), self.user_id.as_deref()),
            kind: self.kind.unwrap_or_default().to_string(),
            batch_id: self.batch_id,
            base_prompt: Some(self.prompt.clone()),
            example_prompt: None,
            example_url: None,
            training_urls: Some(Value::from(self.pictures.clone()).to_string()),
            aspect_ratio: self.aspect_ratio.clone(),
            images: self.wanted(),
            provider: self.provider.clone(),
            model: named.unwrap_or(default_model).to_owned(),
            payload: self.whole_payload().as_ref().map(ToString::to_string),
            attempts: 0,
            max_attempts: 1,
            request_id: String::new(),
            expires_in: None,
        }
    }

    /// How many images it asks for: what `photo_generation_wanted` of the database makes of the row.
    pub fn wanted(&self) -> i64 {
        match self.kind.unwrap_or_default() {
            JobType::PhotoGeneration => self.images.unwrap_or(DEFAULT_IMAGES).into(),
            JobType::ImageGeneration | JobType::ImageEdit if !self.prompts.is_empty() => {
                i64::try_from(self.prompts.len()).unwrap_or(i64::MAX)
            }
            JobType::ImageGeneration | JobType::ImageEdit => self.images.unwrap_or(1).into(),
            JobType::TryOn => 1,
        }
    }

    /// Whether the row says in its payload how many images it asks for, and of what.
    fn counts_in_payload(&self) -> bool {
        match self.kind.unwrap_or_default() {
            JobType::PhotoGeneration | JobType::TryOn => false,
            JobType::ImageGeneration | JobType::ImageEdit => true,
        }
    }

    fn whole_payload(&self) -> Option<Value> {
        let mut payload = self.payload.clone();
        if !self.counts_in_payload() {
            return payload;
        }
        let mut say = |name: &str, value: Value| {
            let payload = payload.get_or_insert_with(|| json!({}));
            if let Some(fields) = payload.as_object_mut() {
                fields.insert(name.to_owned(), value);
            }
        };
        if !self.prompts.is_empty() {
            say("prompts", json!(self.prompts));
        }
        if let Some(images) = self.images {
            say("numImages", json!(images));
        }
        payload
    }

    /// What was asked for, by column.
    pub(super) fn columns(&self) -> Result<Columns, DbError> {
        let mut columns = Wishes::default();
        let prompt = (!self.prompt.is_empty()).then_some(&self.prompt);
        columns.put("basePrompt", prompt)?;
        let images = self.images.filter(|_| !self.counts_in_payload());
        columns.put("numImagesPerExample", images.as_ref())?;
        columns.put("aspectRatio", self.aspect_ratio.as_ref())?;
        columns.put("type", self.kind.map(JobType::as_str).as_ref())?;
        columns.put("provider", self.provider.as_ref())?;
        columns.put("model", self.model.as_ref())?;
        columns.put("priority", self.priority.as_ref())?;
        columns.put("teamId", self.team_id.as_ref())?;
        columns.put("userId", self.user_id.as_ref())?;
        columns.put("batchId", self.batch_id.as_ref())?;
        columns.put("maxAttempts", self.max_attempts.as_ref())?;
        let pictures = (!self.pictures.is_empty()).then_some(&self.pictures);
        columns.put("trainingImageUrls", pictures)?;
        columns.put("payload", self.whole_payload().as_ref())?;
        columns.put("metadata", self.metadata.as_ref())?;
        columns.put("webhookUrl", self.webhook_url.as_ref())?;
        columns.put("idempotencyKey", self.idempotency_key.as_ref())?;
        columns.put("requestHash", self.request_hash.as_ref())?;
        columns.put("requestId", self.request_id.as_ref())?;
        Ok(columns.0)
    }
}

#[derive(Default)]
struct Wishes(Columns);

impl Wishes {
    fn put(&mut self, column: &'static str, value: Option<&impl Serialize>) -> Result<(), DbError> {
        if let Some(value) = value {
            self.0.insert(column, document(value)?);
        }
        Ok(())
    }
}

pub(in crate::db) fn document(value: &impl Serialize) -> Result<Json, DbError> {
    Json::of(value).map_err(|error| DbError::Corrupt(error.to_string()))
}
