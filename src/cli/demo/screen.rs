//! How the jobs come along, shown as `safelight watch` shows them.

use std::collections::BTreeSet;

use crate::cli::watch::{Tracker, View};
use crate::cli::{CommandError, output};
use crate::db::Db;
use crate::db::demo::Job;
use crate::db::jobs::{self, Watched};
use crate::domain::JobId;

/// Where progress is shown.
pub(super) struct Screen {
    view: View,
    tracker: Tracker,
    /// Those about which nothing more is to be said.
    ended: BTreeSet<JobId>,
}

impl Screen {
    /// Bars for somebody at a terminal, a line per change otherwise.
    pub(super) fn new() -> Self {
        Self {
            view: View::fitting(false),
            tracker: Tracker::new(&[]),
            ended: BTreeSet::new(),
        }
    }

    /// Lines about whatever comes after these jobs.
    pub(super) fn lines_after(jobs: &[Job]) -> Self {
        let ended = jobs.iter().filter(|job| job.status.is_final());
        Self {
            view: View::Lines,
            tracker: Tracker::new(&[]),
            ended: ended.map(|job| job.id).collect(),
        }
    }

    /// Shows how these jobs are now.
    pub(super) async fn show(
        &mut self,
        db: &Db,
        jobs: impl Iterator<Item = JobId>,
    ) -> Result<(), CommandError> {
        let watched = Watched {
            jobs: jobs.filter(|job| !self.ended.contains(job)).collect(),
            batch_id: None,
        };
        let changes = self.tracker.look(jobs::progress(db, &watched).await?);
        self.view.show(&self.tracker, &changes)?;
        let ended = watched.jobs.into_iter();
        self.ended
            .extend(ended.filter(|job| self.tracker.has_ended(*job)));
        Ok(())
    }

    /// Leaves what is shown where it is.
    pub(super) fn close(self) -> Result<(), CommandError> {
        match self.view {
            // The cursor stands behind the last bar.
            View::Bars(_) => output::line(""),
            View::Lines | View::Json => Ok(()),
        }
    }
}
