//! What has changed since the last look. No IO, no terminal.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::json;

use crate::cli::time::{from_seconds, span};
use crate::cli::words::one_line;
use crate::db::jobs::Progress;
use crate::domain::{JobId, Status};

/// The watched jobs as they were at the last look.
#[derive(Debug)]
pub(in crate::cli) struct Tracker {
    /// `None`: named, but not seen yet.
    jobs: BTreeMap<JobId, Option<Progress>>,
    deleted: BTreeSet<JobId>,
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) enum Change {
    /// A job is new to us, or not as it was.
    Moved(Progress),
    /// Its row is gone: somebody deleted it.
    Deleted(JobId),
}

impl Tracker {
    pub(in crate::cli) fn new(named: &[JobId]) -> Self {
        Self {
            jobs: named.iter().map(|job| (*job, None)).collect(),
            deleted: BTreeSet::new(),
        }
    }

    /// Takes a look's rows in. A job that has ended need not be among them; any other that is not
    /// was deleted.
    pub(in crate::cli) fn look(&mut self, rows: Vec<Progress>) -> Vec<Change> {
        let seen: BTreeSet<JobId> = rows.iter().map(|row| row.id).collect();
        let mut changes = Vec::new();
        for row in rows {
            let before = self.jobs.insert(row.id, Some(row.clone())).flatten();
            if before.is_none_or(|before| differs(&before, &row)) {
                changes.push(Change::Moved(row));
            }
        }
        let gone: Vec<JobId> = self
            .jobs
            .keys()
            .copied()
            .filter(|job| !seen.contains(job) && !self.has_ended(*job))
            .collect();
        for job in gone {
            self.jobs.remove(&job);
            self.deleted.insert(job);
            changes.push(Change::Deleted(job));
        }
        changes
    }

    pub(in crate::cli) fn has_ended(&self, job: JobId) -> bool {
        match self.jobs.get(&job) {
            Some(Some(progress)) => progress.status.is_final(),
            Some(None) => false,
            None => self.deleted.contains(&job),
        }
    }

    pub(super) fn all_ended(&self) -> bool {
        self.jobs.keys().all(|job| self.has_ended(*job))
    }

    /// Those that exist, oldest first.
    pub(super) fn jobs(&self) -> impl Iterator<Item = &Progress> {
        self.jobs.values().flatten()
    }

    pub(super) fn deleted(&self) -> usize {
        self.deleted.len()
    }
}

/// Time passing is no change.
fn differs(before: &Progress, after: &Progress) -> bool {
    let visible = |job: &Progress| {
        (
            job.status,
            job.images_completed,
            job.images_total,
            job.attempts,
            job.retry_at,
        )
    };
    visible(before) != visible(after)
}

impl Change {
    /// One line: `job 12  rate_limited  1/4  12 s  again in 30 s: The provider is busy.`
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Deleted(job) => format!("job {job}  deleted"),
            Self::Moved(job) => {
                let line = format!(
                    "job {}  {:<12}  {}/{}  {}  {}",
                    job.id,
                    job.status,
                    job.images_completed,
                    job.images_total,
                    span(from_seconds(job.elapsed_seconds)),
                    remark(job)
                );
                line.trim_end().to_owned()
            }
        }
    }
}

/// Why a job waits or how it failed; nothing when all is well.
pub(super) fn remark(job: &Progress) -> String {
    let error = one_line(job.error.as_deref().unwrap_or_default());
    let again = job
        .retry_in_seconds
        .filter(|seconds| *seconds > 0.0)
        .map(|seconds| format!("again in {}", span(from_seconds(seconds))));
    match (again, error.is_empty()) {
        (Some(again), true) => again,
        (Some(again), false) => format!("{again}: {error}"),
        // A running job's error is that of an attempt before.
        (None, _) if job.status == Status::Processing => String::new(),
        (None, _) => error,
    }
}

impl Serialize for Change {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Moved(job) => job.serialize(serializer),
            Self::Deleted(job) => json!({"id": job, "deleted": true}).serialize(serializer),
        }
    }
}
