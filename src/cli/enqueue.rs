//! `safelight enqueue`: insert a job, with pictures of this machine if need be.
//!
//! What a worker would refuse is refused here, in the same words, before anything is stored or
//! inserted.

mod pictures;

use clap::{Args, ValueEnum};
use serde_json::json;
use uuid::Uuid;

use super::watch::{self, View};
use super::words::{count, excerpt};
use super::{CommandError, output};
use crate::app::{self, default_model_key};
use crate::config::{DatabaseArgs, StorageArgs};
use crate::db::jobs::{self, NewJob, Watched};
use crate::db::{Db, schema};
use crate::domain::model::DEFAULT_MODEL;
use crate::domain::request::MAX_IMAGES;
use crate::domain::{ClaimedJob, JobId, Provider, Request, Status, Tenant};
use pictures::Input;

/// What a row asks for that says nothing; the columns' own defaults.
const DEFAULT_IMAGES: i32 = 4;
/// Cells of the prompt in the answer.
const PROMPT_CELLS: usize = 48;

/// Enqueue a job
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    safelight enqueue \"a red bicycle\" --watch\n  \
    safelight enqueue \"a red bicycle at dawn\" --images 1 --aspect-ratio 16:9 --priority urgent\n  \
    safelight enqueue \"a portrait in a studio\" --image ./me.jpg --image https://example.com/pose.jpg\n  \
    safelight enqueue \"a logo\" --model gemini-3-pro-image --image-size 2K --team 7 --json\n\n\
    A local picture is put into the storage, where the workers must be able to read it: use the same\n\
    STORAGE as they do.")]
pub(super) struct EnqueueCommand {
    /// What the photos are to show
    prompt: String,
    /// How many photos [default: 4]
    #[arg(long, value_name = "N",
          value_parser = clap::value_parser!(i32).range(1..=i64::from(MAX_IMAGES)))]
    images: Option<i32>,
    /// For instance 1:1, 3:4, 16:9
    #[arg(long, value_name = "R")]
    aspect_ratio: Option<String>,
    /// For instance 2K, where the model has sizes
    #[arg(long, value_name = "SIZE")]
    image_size: Option<String>,
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

#[derive(Clone, Copy, Debug, ValueEnum)]
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

impl EnqueueCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let mut inputs = Vec::new();
        for image in &self.image {
            inputs.push(Input::open(image).await?);
        }
        let job = self.new_job(&inputs);
        let db = app::connect_checked(&self.database).await?;
        check(&job, &model_of(&db, &job).await?)?;
        self.store(inputs, &tenant_of(&job)).await?;
        let (id, uuid) = insert(&db, &job).await?;
        self.tell(&job, id, uuid)?;
        if self.watch {
            let watched = Watched {
                jobs: vec![id],
                batch_id: None,
            };
            return watch::follow(&db, watched, View::fitting(self.json)).await;
        }
        if let Some(advice) = watch::lack_of_workers(&db).await? {
            eprintln!("{advice}");
        }
        Ok(())
    }

    fn new_job(&self, inputs: &[Input]) -> NewJob {
        NewJob {
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
            metadata: None,
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

    fn tell(&self, job: &NewJob, id: JobId, uuid: Uuid) -> Result<(), CommandError> {
        if self.json {
            return output::json(&json!({"id": id, "jobId": uuid, "status": Status::Pending}));
        }
        let images = usize::try_from(job.images.unwrap_or(DEFAULT_IMAGES)).unwrap_or(0);
        output::line(format!(
            "Job {id} is enqueued: {} of \"{}\"",
            count(images, "image"),
            excerpt(&job.prompt, PROMPT_CELLS)
        ))?;
        output::line(format!("  uuid  {uuid}"))?;
        if self.watch {
            return Ok(());
        }
        output::line(format!("  next  safelight watch {id}"))
    }
}

/// The model that a worker would call.
async fn model_of(db: &Db, job: &NewJob) -> Result<String, CommandError> {
    if let Some(model) = job.model.as_deref().filter(|model| !model.is_empty()) {
        return Ok(model.to_owned());
    }
    let recorded = schema::setting(db, &default_model_key(Provider::Gemini)).await?;
    Ok(recorded.unwrap_or_else(|| DEFAULT_MODEL.to_owned()))
}

fn tenant_of(job: &NewJob) -> Tenant {
    Tenant::of(job.team_id.as_deref(), job.user_id.as_deref())
}

/// Reads the job as a worker will.
fn check(job: &NewJob, model: &str) -> Result<(), CommandError> {
    let claimed = ClaimedJob {
        id: 0,
        job_id: Uuid::nil(),
        tenant: tenant_of(job),
        kind: "photo_generation".to_owned(),
        batch_id: job.batch_id,
        base_prompt: Some(job.prompt.clone()),
        example_prompt: None,
        example_url: None,
        training_urls: Some(serde_json::Value::from(job.pictures.clone()).to_string()),
        aspect_ratio: job.aspect_ratio.clone(),
        images: job.images.unwrap_or(DEFAULT_IMAGES).into(),
        provider: None,
        model: model.to_owned(),
        payload: job.payload.as_ref().map(ToString::to_string),
        attempts: 0,
        max_attempts: 1,
        request_id: String::new(),
        expires_in: None,
    };
    match Request::parse(&claimed) {
        Ok(_) => Ok(()),
        Err(error) => Err(CommandError::Usage(error.to_string())),
    }
}

async fn insert(db: &Db, job: &NewJob) -> Result<(JobId, Uuid), CommandError> {
    match (jobs::enqueue(db, job).await, job.batch_id) {
        (Err(error), Some(batch)) if error.is_missing_reference() => {
            Err(CommandError::Failed(format!("there is no batch {batch}")))
        }
        (result, _) => Ok(result?),
    }
}

#[cfg(test)]
mod tests;
