//! `safelight show`: all there is to know about one job, and what to do next.

mod story;

use clap::Args;
use serde::Serialize;

use super::{CommandError, output};
use crate::app;
use crate::config::DatabaseArgs;
use crate::db::jobs::{self, Call, Image, Job, JobRef};
use crate::db::workers;

/// Show one job: its images, its calls, and what to do next
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    safelight show 12\n  \
    safelight show 0b7f3f62-5d0f-4a59-9a3e-6f2d1f6f7c11\n  \
    safelight show 12 --json | jq -r '.images[].storageKey'")]
pub(super) struct ShowCommand {
    /// The job, by uuid or number
    #[arg(value_name = "JOB")]
    job: JobRef,
    /// One JSON object: the job, its images, its calls
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// A job and all that belongs to it.
#[derive(Debug, Serialize)]
struct Story {
    #[serde(flatten)]
    job: Job,
    images: Vec<Image>,
    calls: Vec<Call>,
    /// Whether any worker lives that could work it.
    #[serde(skip)]
    worker_alive: bool,
}

impl ShowCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let db = app::connect_checked(&self.database).await?;
        let job = jobs::find(&db, self.job)
            .await?
            .ok_or_else(|| CommandError::Failed(format!("there is no job {}", self.job)))?;
        let story = Story {
            images: jobs::images(&db, job.id).await?,
            calls: jobs::calls(&db, job.id).await?,
            worker_alive: workers::any_alive(&db).await?,
            job,
        };
        if self.json {
            return output::json(&story);
        }
        for line in story.lines() {
            output::line(line)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
