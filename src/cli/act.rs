//! What `cancel` and `retry` have in common: jobs named one by one, or searched for and confirmed.
//!
//! A search is shown as a count before anything happens, and what is then done is done to the jobs
//! that were counted, not to those that match a moment later.

mod report;

use clap::Args;

pub(super) use report::Action;
use report::Report;

use super::time::Length;
use super::words::{count, tally};
use super::{CommandError, ask, output};
use crate::app;
use crate::config::DatabaseArgs;
use crate::db::jobs::{self, JobRef, Selected, Selection};
use crate::db::{Db, DbError};
use crate::domain::Status;

/// The arguments of both commands.
#[derive(Debug, Args)]
pub(super) struct ActArgs {
    #[command(flatten)]
    choice: Choice,
    /// Do not ask before acting on what was searched for
    #[arg(long, short)]
    yes: bool,
    /// A JSON array with what became of each job
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Which jobs: named, or searched for.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Choice {
    /// Jobs, by uuid or number
    #[arg(value_name = "JOB", conflicts_with_all = ["status", "code", "since", "batch"])]
    jobs: Vec<JobRef>,
    /// All jobs in these states
    #[arg(long, value_name = "STATUS,...", value_delimiter = ',')]
    status: Vec<Status>,
    /// All jobs that ended with this error code
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// All jobs created within this time: 90s, 30m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    since: Option<Length>,
    /// All jobs of this batch
    #[arg(long, value_name = "ID")]
    batch: Option<i64>,
}

impl ActArgs {
    pub(super) async fn run(self, action: Action) -> Result<(), CommandError> {
        if let Some(status) = self
            .choice
            .status
            .iter()
            .find(|status| !action.can_be_done_to(**status))
        {
            let refusal = action.refusal("such a job", *status);
            return Err(CommandError::Usage(format!("--status {status}: {refusal}")));
        }
        let db = app::connect_checked(&self.database).await?;
        if self.choice.jobs.is_empty() {
            self.search(&db, action).await
        } else {
            self.named(&db, action).await
        }
    }

    async fn named(&self, db: &Db, action: Action) -> Result<(), CommandError> {
        let mut reports = Vec::new();
        for job in &self.choice.jobs {
            let report = one(db, action, *job).await?;
            match &report.error {
                _ if self.json => {}
                None => output::line(report.sentence(action))?,
                // A single one is told by how the command ends.
                Some(error) if self.choice.jobs.len() > 1 => eprintln!("safelight: {error}"),
                Some(_) => {}
            }
            reports.push(report);
        }
        if self.json {
            output::json(&reports)?;
        }
        let errors: Vec<&String> = reports.iter().filter_map(|r| r.error.as_ref()).collect();
        match errors.as_slice() {
            [] => Ok(()),
            [error] if reports.len() == 1 => Err(CommandError::Failed((*error).clone())),
            errors => Err(CommandError::Failed(format!(
                "{} of {} were not {}",
                errors.len(),
                count(reports.len(), "job"),
                action.done()
            ))),
        }
    }

    async fn search(&self, db: &Db, action: Action) -> Result<(), CommandError> {
        let selection = self.choice.selection(action);
        let jobs = jobs::select(db, &selection).await?;
        if !jobs.is_empty() {
            self.confirm(action, &jobs)?;
        }
        let done = action.run(db, &jobs).await?;
        if self.json {
            return output::json(&done.reports(&jobs));
        }
        if jobs.is_empty() {
            return output::line("No job matches.");
        }
        let plural = if done.len() == 1 { "is" } else { "are" };
        let mut sentence = format!("{} {plural} {}.", count(done.len(), "job"), action.done());
        if done.len() < jobs.len() {
            let others = jobs.len() - done.len();
            sentence = format!("{sentence} {others} had changed meanwhile and were left alone.");
        }
        output::line(sentence)
    }

    /// Shows the count, and asks a person who sits at the terminal.
    fn confirm(&self, action: Action, jobs: &[Selected]) -> Result<(), CommandError> {
        let found = format!(
            "{} to be {}: {}",
            count(jobs.len(), "job"),
            action.done(),
            tally(jobs.iter().map(|job| job.status))
        );
        ask::confirm(&found, self.yes.into())
    }
}

impl Choice {
    fn selection(&self, action: Action) -> Selection {
        Selection {
            statuses: if self.status.is_empty() {
                action.usual()
            } else {
                self.status.clone()
            },
            error_code: self.code.clone(),
            batch_id: self.batch,
            since: self.since.map(|since| since.0),
            not_retried_yet: action == Action::Retry,
        }
    }
}

/// Acts on one job that a person named.
async fn one(db: &Db, action: Action, named: JobRef) -> Result<Report, DbError> {
    let Some(job) = find(db, named).await? else {
        return Ok(Report::unknown(named));
    };
    if action.can_be_done_to(job.status) {
        let done = action.run(db, &[job]).await?;
        if let Some(report) = done.reports(&[job]).pop()
            && report.error.is_none()
        {
            return Ok(report);
        }
    }
    // Read again: it may have ended between the look and the act.
    let Some(job) = find(db, named).await? else {
        return Ok(Report::unknown(named));
    };
    let is_as_wished = action == Action::Cancel && job.status == Status::Canceled;
    Ok(if is_as_wished {
        Report::of(job, job.status)
    } else {
        Report::refused(job, action)
    })
}

async fn find(db: &Db, named: JobRef) -> Result<Option<Selected>, DbError> {
    let job = jobs::find(db, named).await?;
    Ok(job.map(|job| Selected {
        id: job.id,
        job_id: job.job_id,
        status: job.status,
    }))
}

#[cfg(test)]
mod tests;
