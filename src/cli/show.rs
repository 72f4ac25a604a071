//! `safelight show`: all there is to know about one job, what happened to it, and what to do next.

mod next;
mod story;
mod timeline;
mod turn;

use clap::Args;
use serde::Serialize;

use super::words::count;
use super::{CommandError, output};
use crate::app;
use crate::config::DatabaseArgs;
use crate::db::Db;
use crate::db::jobs::{self, Call, Hindrance, Holder, Image, Job, JobRef, Standing};
use crate::db::pauses::{self, Pause};
use crate::db::spools::{self, Spooled};
use crate::db::workers::{self, Staff};
use timeline::Event;

/// Show one job: its images, its story, and what to do next
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    safelight show 12\n  \
    safelight show 0b7f3f62-5d0f-4a59-9a3e-6f2d1f6f7c11\n  \
    safelight show 12 --json | jq -r '.images[].storageKey'")]
pub(super) struct ShowCommand {
    /// The job, by uuid or number
    #[arg(value_name = "JOB")]
    job: JobRef,
    /// One JSON object: the job, its images, its calls, its story
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// A job and all that belongs to it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Story {
    #[serde(flatten)]
    job: Job,
    images: Vec<Image>,
    calls: Vec<Call>,
    /// Who works it.
    holder: Option<Holder>,
    /// Accounts that take no calls to its model while it waits.
    waits_for: Vec<Hindrance>,
    /// What operators have paused of it while it waits.
    paused: Vec<Pause>,
    /// Its place in the order of claims, if it is due and not paused.
    standing: Option<Standing>,
    /// Images that are paid for and wait in a spool.
    spooled: Vec<Spooled>,
    /// Whether a worker lives that could work it.
    #[serde(skip)]
    staff: Staff,
}

/// For programs.
#[derive(Debug, Serialize)]
struct WithTimeline {
    #[serde(flatten)]
    story: Story,
    #[serde(rename = "story")]
    timeline: Vec<Event>,
}

impl ShowCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let db = app::connect_checked(&self.database).await?;
        let Some(job) = jobs::find(&db, self.job).await? else {
            return Err(missing(&db, self.job).await?);
        };
        let paused = pauses::of_job(&db, job.id).await?;
        let standing = if paused.is_empty() {
            jobs::standing(&db, job.id).await?
        } else {
            None
        };
        let story = Story {
            images: jobs::images(&db, job.id).await?,
            calls: jobs::calls(&db, job.id).await?,
            holder: jobs::holder(&db, job.id).await?,
            waits_for: jobs::hindrances(&db, job.id).await?,
            paused,
            standing,
            spooled: spools::of_job(&db, job.id).await?,
            staff: workers::staff_for(&db, job.id).await?,
            job,
        };
        if self.json {
            return output::json(&WithTimeline {
                timeline: timeline::of(&story),
                story,
            });
        }
        for line in story.lines() {
            output::line(line)?;
        }
        Ok(())
    }
}

/// There is no such row; there may have been one.
async fn missing(db: &Db, job: JobRef) -> Result<CommandError, CommandError> {
    let calls = match job {
        JobRef::Id(id) => jobs::calls(db, id).await?.len(),
        JobRef::Uuid(_) => 0,
    };
    Ok(CommandError::Failed(if calls > 0 {
        format!(
            "job {job} was deleted; {} of it in the ledger: psql \"$DATABASE_URL\" -v job={job} -f sql/ops/job.sql",
            count(calls, "call")
        )
    } else {
        format!("there is no job {job}")
    }))
}

#[cfg(test)]
mod tests;
