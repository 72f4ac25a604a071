//! `safelight enqueue`: insert a job, with pictures of this machine if need be.
//!
//! What a worker would refuse is refused here, in the same words, before anything is stored or
//! inserted.

mod pictures;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::time::Length;
use super::watch::{self, View};
use super::words::{count, excerpt, lack_of};
use super::{CommandError, output};
use crate::app;
use crate::config::{DatabaseArgs, StorageArgs};
use crate::db::jobs::{self, EnqueueError, Enqueued, Insertion, NewJob, Watched};
use crate::db::json::Json;
use crate::db::{settings, workers};
use crate::domain::request::MAX_IMAGES;
use crate::domain::{JobType, Priority, Provider, Request, Tenant};
use crate::net;
use pictures::Input;

/// Bytes of an idempotency key; an index takes no more than some 2700.
const LONGEST_KEY: usize = 255;
/// Cells of the prompt in the answer.
const PROMPT_CELLS: usize = 48;

const TYPE_HELP: &str = "image_edit changes the first --image and keeps its shape; image_generation makes one \
    picture unless told otherwise [default: photo_generation]";

/// Enqueue a job
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    safelight enqueue \"a red bicycle\" --watch\n  \
    safelight enqueue \"a red bicycle at dawn\" --images 1 --aspect-ratio 16:9 --priority urgent\n  \
    safelight enqueue \"a portrait in a studio\" --image ./me.jpg --image https://example.com/pose.jpg\n  \
    safelight enqueue \"make the sky red\" --type image_edit --image ./me.jpg\n  \
    safelight enqueue \"a logo\" --model gemini-3-pro-image --image-size 2K --team 7 --json\n  \
    safelight enqueue \"a poster\" --user 7 --idempotency-key order-81 --expires-in 30m\n\n\
    A local picture is put into the storage, where the workers must be able to read it: use the same\n\
    STORAGE as they do.")]
pub(super) struct EnqueueCommand {
    /// What the photos are to show, or what is to be changed
    prompt: String,
    #[arg(long = "type", value_name = "TYPE", help = TYPE_HELP)]
    kind: Option<JobType>,
    #[arg(long, value_name = "N", help = "How many photos [default: 4 of photo_generation, else 1]",
          value_parser = clap::value_parser!(i32).range(1..=i64::from(MAX_IMAGES)))]
    images: Option<i32>,
    /// For instance 1:1, 3:4, 16:9
    #[arg(long, value_name = "R")]
    aspect_ratio: Option<String>,
    /// For instance 2K, where the model has sizes
    #[arg(long, value_name = "SIZE")]
    image_size: Option<String>,
    /// Whose default model, where --model names none [default: the fleet's]
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<Provider>,
    /// Another model than the database's default
    #[arg(long)]
    model: Option<String>,
    /// urgent: ten minutes ahead of its time; batch: half an hour behind
    #[arg(long, value_name = "PRIORITY")]
    priority: Option<Priority>,
    /// Team that the job belongs to
    #[arg(long, value_name = "ID")]
    team: Option<String>,
    /// User that the job belongs to
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Batch that the job belongs to
    #[arg(long, value_name = "ID")]
    batch: Option<i64>,
    /// Input picture, JPEG, PNG or WebP; may be given several times
    #[arg(long, value_name = "FILE_OR_URL")]
    image: Vec<String>,
    /// Tries that may end badly before the job fails [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=100))]
    max_attempts: Option<i32>,
    /// Give it up when it has not been made within this time: 90s, 30m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    expires_in: Option<Length>,
    /// Your own JSON, returned unchanged by list and show
    #[arg(long, value_name = "JSON")]
    metadata: Option<Json>,
    /// Who is told when it has ended: an https URL of yours
    #[arg(long, value_name = "URL", value_parser = parse_webhook)]
    webhook_url: Option<String>,
    /// At most one job per team or user has this key: the same again prints the job that is there
    #[arg(long, value_name = "KEY", value_parser = parse_key)]
    idempotency_key: Option<String>,
    /// Then watch it, as safelight watch does
    #[arg(long)]
    watch: bool,
    /// JSON; with --watch one object per change
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    storage: StorageArgs,
}

impl ValueEnum for JobType {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::PROMPTED
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

impl ValueEnum for Provider {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

impl ValueEnum for Priority {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

impl EnqueueCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let mut inputs = Vec::new();
        for image in &self.image {
            inputs.push(Input::open(image).await?);
        }
        let job = self.new_job(&inputs);
        let db = app::connect_checked(&self.database).await?;
        let told = |error| self.told(&job, error);
        let tenant = jobs::tenant_of(&db, &job).await.map_err(told)?;
        check(
            &job,
            &settings::default_model(&db, job.provider.as_deref()).await?,
        )?;
        self.store(inputs, &tenant).await?;
        let enqueued = jobs::enqueue(&db, &job).await.map_err(told)?;
        self.tell(&job, enqueued)?;
        if self.watch {
            let watched = Watched {
                jobs: vec![enqueued.id],
                batch_id: None,
            };
            return watch::follow(&db, watched, View::fitting(self.json)).await;
        }
        if enqueued.status.is_final() {
            return Ok(());
        }
        if let Some(advice) = lack_of(&workers::staff_for(&db, enqueued.id).await?) {
            eprintln!("{advice}");
        }
        Ok(())
    }

    fn new_job(&self, inputs: &[Input]) -> NewJob {
        NewJob {
            kind: self.kind,
            prompts: Vec::new(),
            provider: self.provider.map(|provider| provider.as_str().to_owned()),
            request_hash: None,
            request_id: None,
            prompt: self.prompt.clone(),
            images: self.images,
            aspect_ratio: self.aspect_ratio.clone(),
            model: self.model.clone(),
            priority: self.priority.map(|priority| priority.as_str().to_owned()),
            team_id: self.team.clone(),
            user_id: self.user.clone(),
            batch_id: self.batch,
            max_attempts: self.max_attempts,
            pictures: inputs.iter().map(Input::name).collect(),
            payload: self
                .image_size
                .as_ref()
                .map(|size| json!({ "imageSize": size })),
            metadata: self.metadata.clone(),
            webhook_url: self.webhook_url.clone(),
            idempotency_key: self.idempotency_key.clone(),
            expires_in: self.expires_in.map(|length| length.0),
        }
    }

    /// Files only: with nothing but URLs no storage is needed.
    async fn store(&self, inputs: Vec<Input>, tenant: &Tenant) -> Result<(), CommandError> {
        if !inputs.iter().any(Input::is_file) {
            return Ok(());
        }
        let storage = app::open_storage(&self.storage).await?;
        for input in inputs {
            input.store(&storage, tenant).await?;
        }
        Ok(())
    }

    fn tell(&self, job: &NewJob, enqueued: Enqueued) -> Result<(), CommandError> {
        let Enqueued {
            id,
            job_id,
            status,
            how,
            created_at: _,
        } = enqueued;
        if self.json {
            return output::json(&json!({"id": id, "jobId": job_id, "status": status}));
        }
        let images = usize::try_from(job.wanted()).unwrap_or(0);
        let wishes = format!(
            "{} of \"{}\"",
            count(images, "image"),
            excerpt(&job.prompt, PROMPT_CELLS)
        );
        output::line(match how {
            Insertion::Inserted => format!("Job {id} is enqueued: {wishes}"),
            Insertion::WasThere => {
                format!("Job {id} was there already, with this key; it is {status}: {wishes}")
            }
        })?;
        output::line(format!("  uuid  {job_id}"))?;
        if self.watch {
            return Ok(());
        }
        let next = if status.is_final() { "show" } else { "watch" };
        output::line(format!("  next  safelight {next} {id}"))
    }

    /// What was typed, in the words of this command.
    fn told(&self, job: &NewJob, error: EnqueueError) -> CommandError {
        match error {
            EnqueueError::Database(error) => error.into(),
            EnqueueError::NoCredit(lack) => CommandError::no_credit(lack),
            EnqueueError::DoesNotFit { column, kind } => CommandError::Usage(format!(
                "{} does not fit into this database, where \"{column}\" is of type {kind}",
                option_of(column)
            )),
            EnqueueError::NoSuchRow { column, table } => {
                CommandError::Failed(match (column.as_str(), job.batch_id) {
                    ("batchId", Some(batch)) => format!("there is no batch {batch}"),
                    _ => format!(
                        "{} names a row of {table} that is not there",
                        option_of(&column)
                    ),
                })
            }
            EnqueueError::KeyTaken(id) => CommandError::Failed(format!(
                "--idempotency-key {} is that of job {id}, which asks for something else; \
                 safelight show {id} says more",
                self.idempotency_key.as_deref().unwrap_or_default()
            )),
            EnqueueError::KeyHidden => CommandError::Failed(format!(
                "--idempotency-key {} is that of a job which is not found: a trigger or a policy of \
                 this table changes whose a job is, or hides it",
                self.idempotency_key.as_deref().unwrap_or_default()
            )),
        }
    }
}

/// What fits into an index, and into a line of a log.
fn parse_key(text: &str) -> Result<String, String> {
    if (1..=LONGEST_KEY).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(format!("a key has 1 to {LONGEST_KEY} bytes"))
    }
}

/// What a worker could open.
fn parse_webhook(text: &str) -> Result<String, String> {
    match net::readable(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// How this command calls a column.
fn option_of(column: &str) -> &str {
    match column {
        "basePrompt" => "PROMPT",
        "type" => "--type",
        "numImagesPerExample" => "--images",
        "aspectRatio" => "--aspect-ratio",
        "model" => "--model",
        "priority" => "--priority",
        "teamId" => "--team",
        "userId" => "--user",
        "batchId" => "--batch",
        "maxAttempts" => "--max-attempts",
        "trainingImageUrls" => "--image",
        "payload" => "--image-size",
        "metadata" => "--metadata",
        "webhookUrl" => "--webhook-url",
        "idempotencyKey" => "--idempotency-key",
        column => column,
    }
}

/// Reads the job as a worker will.
fn check(job: &NewJob, default_model: &str) -> Result<(), CommandError> {
    if job.kind == Some(JobType::ImageEdit) && job.pictures.is_empty() {
        return Err(CommandError::Usage(
            "there is no picture to edit: say which one with --image".to_owned(),
        ));
    }
    match Request::parse(&job.as_claimed(default_model)) {
        Ok(_) => Ok(()),
        Err(error) => Err(CommandError::Usage(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
