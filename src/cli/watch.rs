//! `safelight watch`: how jobs come along, until they have ended.
//!
//! One statement every half second for all watched jobs. People see bars, pipes get a line per
//! change, programs get JSON; all three are told by the same [`Tracker`].

mod bars;
mod tracker;

use std::time::Duration;

use clap::Args;
use tokio::time::MissedTickBehavior;

use super::words::{count, lack_of, tally};
use super::{CommandError, output};
use crate::app::{self, StartError};
use crate::config::DatabaseArgs;
use crate::db::jobs::{self, Filter, JobRef, Progress, Selection, Watched};
use crate::db::{Db, DbError, workers};
use crate::domain::{JobId, Status};
use bars::Bars;
use tracker::Change;
pub(super) use tracker::Tracker;

/// Soon enough to feel live, and still nothing for a database.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Watch jobs until they have ended
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    safelight watch 12\n  \
    safelight watch --batch 7          also jobs that come into it meanwhile\n  \
    safelight watch --all              every job that has not ended\n  \
    safelight watch 12 --json | jq -c '{id, status, imagesCompleted}'\n\n\
    Exits 0 if all jobs are completed, 1 if any failed, was canceled or deleted. Ctrl-C stops the\n\
    watching only; the jobs go on.")]
pub(super) struct WatchCommand {
    #[command(flatten)]
    choice: Choice,
    /// One JSON object per change
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// What to watch.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Choice {
    /// Jobs, by uuid or number
    #[arg(value_name = "JOB")]
    jobs: Vec<JobRef>,
    /// All jobs of this batch
    #[arg(long, value_name = "ID")]
    batch: Option<i64>,
    /// All jobs that have not ended
    #[arg(long)]
    all: bool,
}

impl WatchCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let db = app::connect_checked(&self.database).await?;
        let watched = self.choice.find(&db).await?;
        if self.choice.all && watched.jobs.is_empty() {
            if !self.json {
                output::line("Every job has ended.")?;
            }
            return Ok(());
        }
        follow(&db, watched, View::fitting(self.json)).await
    }
}

impl Choice {
    async fn find(&self, db: &Db) -> Result<Watched, CommandError> {
        let mut ids = Vec::new();
        for job in &self.jobs {
            let found = jobs::find(db, *job).await?;
            ids.push(found.ok_or_else(|| unknown(*job))?.id);
        }
        if let Some(batch) = self.batch {
            let first = Filter {
                batch_id: Some(batch),
                limit: Some(1),
                ..Filter::default()
            };
            if jobs::list(db, &first).await?.is_empty() {
                let empty = format!("there is no job in batch {batch}");
                return Err(CommandError::Failed(empty));
            }
        }
        if self.all {
            ids = unfinished(db).await?;
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(Watched {
            jobs: ids,
            batch_id: self.batch,
        })
    }
}

async fn unfinished(db: &Db) -> Result<Vec<JobId>, DbError> {
    let selection = Selection {
        statuses: Status::ALL
            .into_iter()
            .filter(|status| !status.is_final())
            .collect(),
        ..Selection::default()
    };
    let jobs = jobs::select(db, &selection).await?;
    Ok(jobs.into_iter().map(|job| job.id).collect())
}

fn unknown(job: JobRef) -> CommandError {
    CommandError::Failed(format!("there is no job {job}"))
}

/// How the watching is shown.
pub(super) enum View {
    Bars(Bars),
    Lines,
    Json,
}

impl View {
    pub(super) fn fitting(json: bool) -> Self {
        if json {
            Self::Json
        } else if output::is_watched_by_a_person() {
            Self::Bars(Bars::default())
        } else {
            Self::Lines
        }
    }

    pub(super) fn show(
        &mut self,
        tracker: &Tracker,
        changes: &[Change],
    ) -> Result<(), CommandError> {
        match self {
            Self::Bars(bars) => bars.show(tracker, changes),
            Self::Lines => {
                for change in changes {
                    output::line(change.sentence())?;
                }
            }
            Self::Json => {
                for change in changes {
                    output::json(change)?;
                }
            }
        }
        Ok(())
    }

    /// Something beside the jobs, for people.
    fn note(&self, text: &str) {
        match self {
            Self::Bars(bars) => bars.note(text),
            Self::Lines | Self::Json => eprintln!("{text}"),
        }
    }

    fn end(&self, tracker: &Tracker) -> Result<(), CommandError> {
        match self {
            Self::Bars(_) | Self::Lines => output::line(summary(tracker)),
            Self::Json => Ok(()),
        }
    }
}

/// Shows the jobs until they have ended. An error unless all are completed.
pub(super) async fn follow(db: &Db, watched: Watched, mut view: View) -> Result<(), CommandError> {
    let mut tracker = Tracker::new(&watched.jobs);
    let interrupted = tokio::signal::ctrl_c();
    tokio::select! {
        ended = until_ended(db, watched, &mut tracker, &mut view) => ended?,
        stopped = interrupted => {
            stopped.map_err(StartError::Signals)?;
            return Err(CommandError::Failed("no longer watching; the jobs go on".to_owned()));
        }
    }
    view.end(&tracker)?;
    verdict(&tracker)
}

async fn until_ended(
    db: &Db,
    mut watched: Watched,
    tracker: &mut Tracker,
    view: &mut View,
) -> Result<(), CommandError> {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_first = true;
    let mut was_away = false;
    loop {
        ticks.tick().await;
        let jobs = match jobs::progress(db, &watched).await {
            Ok(jobs) => jobs,
            // It comes back, and the jobs are still there then.
            Err(DbError::Unavailable(error)) => {
                if !was_away {
                    view.note(&format!(
                        "The database cannot be reached ({error}); trying again."
                    ));
                }
                was_away = true;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        was_away = false;
        let changes = tracker.look(jobs);
        view.show(tracker, &changes)?;
        if tracker.all_ended() {
            return Ok(());
        }
        watched.jobs.retain(|job| !tracker.has_ended(*job));
        if std::mem::take(&mut is_first)
            && let Some(&job) = watched.jobs.first()
            && let Some(advice) = lack_of(&workers::staff_for(db, job).await?)
        {
            view.note(&advice);
        }
    }
}

/// `4 jobs: 3 completed, 1 failed; 13 of 16 images`.
fn summary(tracker: &Tracker) -> String {
    let jobs: Vec<&Progress> = tracker.jobs().collect();
    // Wide enough for whatever rows an app has made.
    let sum = |images: fn(&Progress) -> i64| -> i128 {
        jobs.iter().map(|job| i128::from(images(job))).sum()
    };
    let (done, asked) = (sum(|job| job.images_completed), sum(|job| job.images_total));
    let mut ends = tally(jobs.iter().map(|job| job.status));
    if tracker.deleted() > 0 {
        let comma = if ends.is_empty() { "" } else { ", " };
        ends = format!("{ends}{comma}{} deleted", tracker.deleted());
    }
    format!(
        "{}: {ends}; {done} of {asked} images",
        count(jobs.len() + tracker.deleted(), "job")
    )
}

fn verdict(tracker: &Tracker) -> Result<(), CommandError> {
    let bad: Vec<&Progress> = tracker
        .jobs()
        .filter(|job| job.status != Status::Completed)
        .collect();
    match (bad.as_slice(), tracker.deleted()) {
        ([], 0) => Ok(()),
        ([job], 0) => Err(CommandError::Failed(format!(
            "job {id} ended as {status}; safelight show {id} says more",
            id = job.id,
            status = job.status
        ))),
        (bad, deleted) => Err(CommandError::Failed(format!(
            "{} did not complete; safelight list --status failed,canceled says more",
            count(bad.len() + deleted, "job")
        ))),
    }
}

#[cfg(test)]
mod tests;
