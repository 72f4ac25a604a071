//! Cancel and retry as actions on jobs that were found, and what became of each.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use uuid::Uuid;

use crate::db::jobs::{self, JobRef, Retried, Selected};
use crate::db::{Db, DbError};
use crate::domain::{JobId, Status};

/// What is to be done to jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Action {
    Cancel,
    Retry,
}

/// What became of one job.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// As it was named.
    job: String,
    id: Option<JobId>,
    job_id: Option<Uuid>,
    /// As it is now.
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retried_as: Option<NewJob>,
    /// Why nothing was done.
    pub(super) error: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewJob {
    id: JobId,
    job_id: Uuid,
}

impl From<Retried> for NewJob {
    fn from(retried: Retried) -> Self {
        Self {
            id: retried.id,
            job_id: retried.job_id,
        }
    }
}

impl Action {
    pub(super) fn can_be_done_to(self, status: Status) -> bool {
        match self {
            Self::Cancel => !status.is_final(),
            Self::Retry => status.can_be_retried(),
        }
    }

    /// What a search is about that names no state. Somebody who canceled a job did not want it.
    pub(super) fn usual(self) -> Vec<Status> {
        match self {
            Self::Cancel => Status::ALL
                .into_iter()
                .filter(|status| self.can_be_done_to(*status))
                .collect(),
            Self::Retry => vec![Status::Failed],
        }
    }

    pub(super) fn done(self) -> &'static str {
        match self {
            Self::Cancel => "canceled",
            Self::Retry => "retried",
        }
    }

    /// Why it cannot be done to a job in this state.
    pub(super) fn refusal(self, job: &str, status: Status) -> String {
        match self {
            Self::Cancel => format!("{job} has ended already ({status})"),
            Self::Retry => {
                format!("{job} is {status}; only failed and canceled jobs can be retried")
            }
        }
    }

    /// Does it, to those that are still in a state for it.
    pub(super) async fn run(self, db: &Db, jobs: &[Selected]) -> Result<Done, DbError> {
        let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
        match self {
            Self::Cancel => Ok(Done::Canceled(
                jobs::cancel(db, &ids).await?.into_iter().collect(),
            )),
            Self::Retry => Ok(Done::Retried(jobs::retry(db, &ids).await?)),
        }
    }
}

/// What was done, of what was asked for.
pub(super) enum Done {
    Canceled(HashSet<JobId>),
    Retried(Vec<Retried>),
}

impl Done {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Canceled(jobs) => jobs.len(),
            Self::Retried(jobs) => jobs.len(),
        }
    }

    pub(super) fn reports(&self, jobs: &[Selected]) -> Vec<Report> {
        match self {
            Self::Canceled(done) => {
                let report = |job: &Selected| {
                    if done.contains(&job.id) {
                        Report::of(*job, Status::Canceled)
                    } else {
                        Report::changed(*job)
                    }
                };
                jobs.iter().map(report).collect()
            }
            Self::Retried(done) => {
                let news: HashMap<Option<Uuid>, NewJob> = done
                    .iter()
                    .map(|retried| (retried.original, (*retried).into()))
                    .collect();
                let report = |job: &Selected| match news.get(&job.job_id) {
                    Some(new) => Report {
                        retried_as: Some(*new),
                        ..Report::of(*job, job.status)
                    },
                    None => Report::changed(*job),
                };
                jobs.iter().map(report).collect()
            }
        }
    }
}

impl Report {
    pub(super) fn of(job: Selected, status: Status) -> Self {
        Self {
            job: job.id.to_string(),
            id: Some(job.id),
            job_id: job.job_id,
            status: Some(status),
            retried_as: None,
            error: None,
        }
    }

    pub(super) fn refused(job: Selected, action: Action) -> Self {
        Self {
            error: Some(action.refusal(&format!("job {}", job.id), job.status)),
            ..Self::of(job, job.status)
        }
    }

    /// Somebody else was faster.
    pub(super) fn changed(job: Selected) -> Self {
        Self {
            status: None,
            error: Some(format!("job {} has changed since it was counted", job.id)),
            ..Self::of(job, job.status)
        }
    }

    pub(super) fn unknown(job: JobRef) -> Self {
        Self {
            job: job.to_string(),
            id: None,
            job_id: None,
            status: None,
            retried_as: None,
            error: Some(format!("there is no job {job}")),
        }
    }

    /// The sentence for people, if it was done.
    pub(super) fn sentence(&self, action: Action) -> String {
        match (action, self.retried_as) {
            (Action::Retry, Some(new)) => format!(
                "Job {} runs again as job {new}.\n  next  safelight watch {new}",
                self.job,
                new = new.id
            ),
            (Action::Cancel | Action::Retry, _) => {
                format!("Job {} is {}.", self.job, action.done())
            }
        }
    }
}
