//! Removing jobs that a walk has found, some at a time, so that nobody waits long for anything.

use tokio::time::{Instant, sleep};

use super::{Referrers, Retention, remove};
use crate::db::{Db, DbError};
use crate::domain::JobId;

/// Jobs that are removed in one transaction: it holds their rows locked for some hundredths of a second.
const JOBS_AT_ONCE: usize = 200;
/// Transactions in a row that got no answer, or no lock, after which it is given up.
const MISSES: usize = 3;

/// Removes jobs, and knows what became of them.
#[derive(Debug)]
pub struct Pruner {
    pub retention: Retention,
    pub referrers: Referrers,
    pub removed: usize,
    /// Those that the database refused to remove, by a trigger of the app's, say.
    pub refused: usize,
    /// What it said to the last of them.
    pub why: Option<DbError>,
    misses: usize,
}

impl Pruner {
    pub fn new(retention: Retention, referrers: Referrers) -> Self {
        Self {
            retention,
            referrers,
            removed: 0,
            refused: 0,
            why: None,
            misses: 0,
        }
    }

    /// Removes these, and rests after each transaction for as long as it took: claims and apps have half
    /// of the time for themselves at least. `each` is told how many have been dealt with.
    pub async fn remove(
        &mut self,
        db: &Db,
        jobs: &[JobId],
        mut each: impl FnMut(usize),
    ) -> Result<(), DbError> {
        for jobs in jobs.chunks(JOBS_AT_ONCE) {
            let begun = Instant::now();
            match self.remove_some(db, jobs).await {
                Ok(()) => self.misses = 0,
                // Somebody holds something of theirs: they go another time.
                Err(DbError::Unavailable(_)) if self.misses + 1 < MISSES => self.misses += 1,
                Err(error) => return Err(error),
            }
            each(jobs.len());
            sleep(begun.elapsed()).await;
        }
        Ok(())
    }

    /// One that the database will not have removed does not keep the others from it.
    async fn remove_some(&mut self, db: &Db, jobs: &[JobId]) -> Result<(), DbError> {
        match remove(db, jobs, &self.retention, &self.referrers).await {
            Ok(removed) => {
                self.removed += removed;
                return Ok(());
            }
            Err(DbError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        for &job in jobs {
            match remove(db, &[job], &self.retention, &self.referrers).await {
                Ok(removed) => self.removed += removed,
                Err(error @ DbError::Refused(_)) => {
                    self.refused += 1;
                    self.why = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
