//! `safelight prune`: retention now, by hand; and looking for objects that no row knows.

mod jobs;
mod orphans;

use clap::Args;

use super::CommandError;
use crate::config::{DatabaseArgs, StorageArgs};
use crate::db::prune::{From, LONGEST_DAYS, Retention};

/// Remove ended jobs that are old enough, or objects that no row knows; shows what, and asks
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    safelight prune --dry-run                                what the retention settings would remove now\n  \
    safelight prune --completed-days 30 --failed-days 7      for this once; shows how many, and asks\n  \
    safelight prune --completed-days 30 --objects --yes      their photos go, too\n  \
    safelight prune --orphans                                objects in the storage that no row knows\n  \
    RETENTION_COMPLETED_DAYS=30 RETENTION_FAILED_DAYS=7 safelight migrate    from now on, by the workers\n\n\
    A job goes with its images and calls, and an ended batch with its last job. Jobs stay that rows of\n\
    your own tables refer to, whose batch is not over, that were called today, or that your app's table\n\
    had when it was adopted. It may be broken off at any moment and run again, also while workers live.\n\n\
    --orphans believes this database: in a bucket that a second safelight with a database of its own\n\
    writes to, below the same prefix, all photos of that one are orphans. Objects that are younger than\n\
    a day, or are not named as safelight names them, are left alone.")]
#[expect(clippy::struct_excessive_bools, reason = "flags, as they are typed")]
#[expect(
    clippy::doc_markdown,
    reason = "the doc comments of arguments are what --help prints"
)]
pub(super) struct PruneCommand {
    /// Show what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Completed jobs go after so many days, 0 for never [default: RETENTION_COMPLETED_DAYS]
    #[arg(long, value_name = "DAYS",
          value_parser = clap::value_parser!(i32).range(0..=i64::from(LONGEST_DAYS)))]
    completed_days: Option<i32>,
    /// The same for failed and canceled ones [default: RETENTION_FAILED_DAYS]
    #[arg(long, value_name = "DAYS",
          value_parser = clap::value_parser!(i32).range(0..=i64::from(LONGEST_DAYS)))]
    failed_days: Option<i32>,
    /// Their photos go from the storage, too; the workers remove them within minutes
    #[arg(long)]
    objects: bool,
    /// Also jobs that your app's own table had when it was adopted
    #[arg(long)]
    adopted: bool,
    /// Look for objects in the storage that no row knows, instead
    #[arg(long, conflicts_with_all = ["completed_days", "failed_days", "objects", "adopted"])]
    orphans: bool,
    /// Remove those orphans
    #[arg(long, requires = "orphans", conflicts_with = "dry_run")]
    delete: bool,
    /// Do not ask before anything is removed
    #[arg(long, short)]
    yes: bool,
    /// A JSON object with what was found and removed
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    storage: StorageArgs,
}

impl PruneCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        if self.orphans {
            orphans::run(&self).await
        } else {
            jobs::run(&self).await
        }
    }

    /// For this once, or else as it is recorded.
    fn retention(&self, recorded: Retention) -> Retention {
        Retention {
            completed_days: self.completed_days.unwrap_or(recorded.completed_days),
            failed_days: self.failed_days.unwrap_or(recorded.failed_days),
            objects: self.objects || recorded.objects,
        }
    }

    fn from(&self) -> From {
        if self.adopted {
            From::Start
        } else {
            From::Adoption
        }
    }
}

#[cfg(test)]
mod tests;
