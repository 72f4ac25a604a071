//! Ended jobs that are old enough: counted, confirmed, removed.
//!
//! What is removed are the jobs that were counted, each looked at once more when it is locked.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::PruneCommand;
use crate::app;
use crate::cli::progress::Progress;
use crate::cli::words::{count, size};
use crate::cli::{CommandError, ask, output};
use crate::db::prune::{self, Due, Pruner, Referrers, Walk};
use crate::db::{Db, DbError};
use crate::domain::{JobId, Status};

const NO_RETENTION: &str = "Nothing is pruned: no retention is set.\n  \
    for this once           safelight prune --completed-days 30 --failed-days 7\n  \
    for the whole fleet     RETENTION_COMPLETED_DAYS=30 RETENTION_FAILED_DAYS=7 safelight migrate";

pub(super) async fn run(command: &PruneCommand) -> Result<(), CommandError> {
    let db = app::connect_checked(&command.database).await?;
    let retention = command.retention(prune::retention(&db).await?);
    if retention.keeps_everything() && !command.json {
        return output::line(NO_RETENTION);
    }
    let referrers = Referrers::find(&db).await?;
    if let Some(slow) = referrers.slow() {
        return Err(CommandError::Failed(format!(
            "nothing is pruned: {}",
            slow.complaint()
        )));
    }
    let walk = Walk::begin(&db, retention, command.from()).await?;
    let found = find(&db, walk, &referrers).await?;
    let sentences = found.sentences(retention.objects, &referrers.to_jobs());
    let mut pruner = Pruner::new(retention, referrers);
    let mut batches = 0;
    if !command.dry_run {
        if !found.jobs.is_empty() {
            ask::confirm(&sentences, command.yes.into())?;
            let mut progress = Progress::of(found.jobs.len(), "jobs");
            pruner
                .remove(&db, &found.jobs, |done| progress.add(done))
                .await?;
        }
        batches = prune::remove_empty_batches(&db, &retention, &pruner.referrers).await?;
    }
    if command.json {
        return output::json(&Report {
            dry_run: command.dry_run,
            found: &found.by_status,
            referred_to: found.referred_to,
            removed_jobs: pruner.removed,
            removed_batches: batches,
        });
    }
    if command.dry_run || found.jobs.is_empty() {
        return output::line(sentences);
    }
    output::line(told(&pruner, found.jobs.len(), batches))
}

/// What is old enough.
#[derive(Debug, Default)]
struct Found {
    jobs: Vec<JobId>,
    by_status: BTreeMap<&'static str, Tally>,
    /// Those that the app's own rows refer to, and that stay.
    referred_to: usize,
}

#[derive(Debug, Default, Serialize)]
struct Tally {
    jobs: usize,
    /// When the first of them ended.
    oldest: Option<DateTime<Utc>>,
    photos: i64,
    bytes: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    dry_run: bool,
    found: &'a BTreeMap<&'static str, Tally>,
    referred_to: usize,
    removed_jobs: usize,
    removed_batches: u64,
}

async fn find(db: &Db, mut walk: Walk<'_>, referrers: &Referrers) -> Result<Found, DbError> {
    let mut found = Found::default();
    let mut progress = Progress::without_end("jobs");
    while let Some(due) = walk.next().await? {
        progress.add(due.len());
        let ids: Vec<JobId> = due.iter().map(|job| job.id).collect();
        let free = referrers.free_jobs(db, ids).await?;
        found.referred_to += due.len() - free.len();
        for job in due {
            // Both are in order.
            if free.binary_search(&job.id).is_ok() {
                found.add(job);
            }
        }
    }
    Ok(found)
}

impl Found {
    fn add(&mut self, job: Due) {
        let tally = self.by_status.entry(job.status.as_str()).or_default();
        tally.jobs += 1;
        tally.oldest = Some(
            tally
                .oldest
                .map_or(job.ended_at, |oldest| oldest.min(job.ended_at)),
        );
        tally.photos += job.photos;
        tally.bytes += job.bytes;
        self.jobs.push(job.id);
    }

    fn sentences(&self, objects: bool, referring: &[String]) -> String {
        let mut sentences = Vec::new();
        if self.jobs.is_empty() {
            sentences.push("No job is old enough to be pruned.".to_owned());
        } else {
            sentences.extend(self.what_goes(objects));
        }
        if self.referred_to > 0 {
            let more = count(self.referred_to, "more job");
            let (are, stay, them) = if self.referred_to == 1 {
                ("is", "stays", "it")
            } else {
                ("are", "stay", "them")
            };
            sentences.push(format!(
                "{more} {are} old enough and {stay}, because rows of your app refer to {them}: {}.",
                referring.join(", ")
            ));
        }
        sentences.join(" ")
    }

    fn what_goes(&self, objects: bool) -> Vec<String> {
        let tallies = || self.by_status.values();
        let states = Status::ALL.into_iter().filter_map(|status| {
            let tally = self.by_status.get(status.as_str())?;
            Some(format!("{} {status}", tally.jobs))
        });
        let states: Vec<String> = states.collect();
        let mut sentences = vec![format!(
            "{} to be pruned: {}.",
            count(self.jobs.len(), "job"),
            states.join(", ")
        )];
        if let Some(oldest) = tallies().filter_map(|tally| tally.oldest).min() {
            sentences.push(format!(
                "The oldest ended on {}.",
                oldest.format("%Y-%m-%d")
            ));
        }
        let photos: i64 = tallies().map(|tally| tally.photos).sum();
        let bytes: i64 = tallies().map(|tally| tally.bytes).sum();
        let photos = usize::try_from(photos).unwrap_or(0);
        if photos > 0 {
            let (goes, stays) = if photos == 1 {
                ("goes", "stays")
            } else {
                ("go", "stay")
            };
            let photos = format!("{} ({})", count(photos, "photo"), size(bytes));
            sentences.push(if objects {
                format!("{photos} {goes} from the storage, too.")
            } else {
                format!("{photos} {stays} in the storage; --objects removes them.")
            });
        }
        sentences
    }
}

fn told(pruner: &Pruner, found: usize, batches: u64) -> String {
    let is = |number: usize| if number == 1 { "is" } else { "are" };
    let removed = pruner.removed;
    let mut sentences = vec![format!("{} {} pruned.", count(removed, "job"), is(removed))];
    if batches > 0 {
        let batches = usize::try_from(batches).unwrap_or(0);
        sentences.push(format!(
            "With them {} without jobs.",
            if batches == 1 {
                "1 batch".to_owned()
            } else {
                format!("{batches} batches")
            }
        ));
    }
    if pruner.retention.objects && removed > 0 {
        sentences
            .push("The workers remove their photos from the storage within minutes.".to_owned());
    }
    if let Some(error) = &pruner.why {
        let refused = pruner.refused;
        sentences.push(format!("{refused} {} left: {error}.", is(refused)));
    }
    let others = found.saturating_sub(removed + pruner.refused);
    if others > 0 {
        sentences.push(format!(
            "{others} had changed meanwhile or {} held by somebody, and {} left alone.",
            is(others),
            is(others)
        ));
    }
    sentences.join(" ")
}

#[cfg(test)]
mod tests;
