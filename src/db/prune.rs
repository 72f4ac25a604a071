//! Retention: ended jobs that are old enough are removed, with their images, calls and empty batches.
//!
//! A [`Walk`] goes over the queue by its primary key and says which jobs may go; a [`Pruner`] removes
//! them in short transactions. Whoever does both may be killed anywhere, and may meet another one who does the
//! same: rows that somebody holds are passed by, and all is looked at again once it is locked.
//!
//! What must not go: jobs that rows of the app's own tables refer to ([`Referrers`]), and those that an
//! app's table had when it was adopted, unless they are asked for.

mod batches;
mod objects;
mod pruner;
mod referrers;
mod removals;

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use batches::remove_empty as remove_empty_batches;
pub use objects::{Photo, unknown_garments, unknown_photos, unknown_uploads};
pub use pruner::Pruner;
pub use referrers::{Referrer, Referrers};
pub use removals::{Removal, removals, removed, still_there};

use super::connections::Transaction;
use super::{Db, DbError, seconds};
use crate::domain::{JobId, Status};

/// Rows that one look goes over.
const ROWS_AT_ONCE: i64 = 5000;
/// The whole queue is walked over so often, by one worker of the fleet.
pub(super) const PASS_EVERY: Duration = Duration::from_hours(1);
/// The row of the settings that says who walks, and when that one was last seen at it.
const PASS: &str = "pruning";
/// Longest age that is reckoned with: Postgres's calendar has an end.
pub const LONGEST_DAYS: i32 = 36_500;

/// What is kept, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// After so many days a completed job goes; 0: never.
    pub completed_days: i32,
    /// The same for failed and canceled ones.
    pub failed_days: i32,
    /// The photos go with their jobs; else they stay in the storage.
    pub objects: bool,
}

impl Retention {
    pub fn keeps_everything(&self) -> bool {
        self.completed_days == 0 && self.failed_days == 0
    }
}

/// What the fleet has been told. A setting that is no number keeps everything.
pub async fn retention(db: &Db) -> Result<Retention, DbError> {
    Ok(sqlx::query_as!(
        Retention,
        // Not least() first: it passes over NULL.
        r#"SELECT least(coalesce(trunc(photo_generation_number('retentionCompletedDays')), 0), $1::integer)
                      ::integer AS "completed_days!",
                  least(coalesce(trunc(photo_generation_number('retentionFailedDays')), 0), $1)
                      ::integer AS "failed_days!",
                  EXISTS (SELECT FROM photo_generation_settings
                          WHERE key = 'retentionDeleteObjects' AND value = 'true') AS "objects!""#,
        LONGEST_DAYS
    )
    .fetch_one(&db.pool)
    .await?)
}

/// Whether this run is to walk over the queue now: an hour after the last one was at it. Who has begun says
/// that it goes on with [`continue_pass`]; one that dies is followed within the hour.
pub async fn begin_pass(db: &Db, run: Uuid) -> Result<bool, DbError> {
    let begun = sqlx::query!(
        r#"INSERT INTO photo_generation_settings AS there (key, value) VALUES ($1, $2)
           ON CONFLICT (key) DO UPDATE SET value = excluded.value, "updatedAt" = now()
           WHERE there."updatedAt" < now() - make_interval(secs => $3)"#,
        PASS,
        run.to_string(),
        seconds(PASS_EVERY)
    )
    .execute(&db.pool)
    .await?;
    Ok(begun.rows_affected() > 0)
}

/// Whether it is still this run that walks.
pub async fn continue_pass(db: &Db, run: Uuid) -> Result<bool, DbError> {
    let renewed = sqlx::query!(
        r#"UPDATE photo_generation_settings SET "updatedAt" = now() WHERE key = $1 AND value = $2"#,
        PASS,
        run.to_string()
    )
    .execute(&db.pool)
    .await?;
    Ok(renewed.rows_affected() > 0)
}

/// Where to begin: after the rows that an app's table had when it was adopted, or at the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Adoption,
    Start,
}

/// A job that may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub id: JobId,
    pub status: Status,
    pub ended_at: DateTime<Utc>,
    /// Stored ones, and how large they are.
    pub photos: i64,
    pub bytes: i64,
}

/// Goes over the queue, some thousand rows a step.
#[derive(Debug)]
pub struct Walk<'a> {
    db: &'a Db,
    retention: Retention,
    reached: i64,
}

impl<'a> Walk<'a> {
    pub async fn begin(db: &'a Db, retention: Retention, from: From) -> Result<Self, DbError> {
        let reached = match from {
            From::Start => i64::MIN,
            From::Adoption => adopted_up_to(db).await?.unwrap_or(i64::MIN),
        };
        Ok(Self {
            db,
            retention,
            reached,
        })
    }

    /// Jobs of the next rows that may go, if nothing refers to them; nothing at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<Due>>, DbError> {
        let step = sqlx::query_file!("sql/queue/prune_ended.sql", self.reached, ROWS_AT_ONCE)
            .fetch_one(&self.db.pool)
            .await?;
        let Some(reached) = step.reached else {
            return Ok(None);
        };
        self.reached = reached;
        if step.ended.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let mut transaction = self.db.pool.begin().await?;
        let due = due(&mut transaction, &step.ended, &self.retention).await?;
        transaction.commit().await?;
        Ok(Some(due))
    }
}

/// The highest id that the app's own table had when it was adopted. Where an older version has adopted it
/// nobody noted that: then it is the highest one there is now, and stays that.
async fn adopted_up_to(db: &Db) -> Result<Option<i64>, DbError> {
    let id = sqlx::query_scalar!(
        r#"WITH noted AS (
               UPDATE photo_generation_adoption
               SET definition = (SELECT coalesce(max(id), 0)::text FROM photo_generation_queue)
               WHERE "table" = 'photo_generation_queue' AND kind = 'table' AND definition = ''
               RETURNING definition)
           SELECT definition AS "definition!" FROM noted
           UNION ALL
           SELECT definition FROM photo_generation_adoption
           WHERE "table" = 'photo_generation_queue' AND kind = 'table' AND definition <> ''"#
    )
    .fetch_optional(&db.pool)
    .await?;
    id.map(|id| {
        id.parse()
            .map_err(|_| DbError::Corrupt(format!("photo_generation_adoption, definition {id}")))
    })
    .transpose()
}

async fn due(
    transaction: &mut Transaction,
    jobs: &[JobId],
    retention: &Retention,
) -> Result<Vec<Due>, DbError> {
    Ok(sqlx::query_file_as!(
        Due,
        "sql/queue/prune_due.sql",
        jobs,
        retention.completed_days,
        retention.failed_days
    )
    .fetch_all(transaction)
    .await?)
}

/// Removes these jobs in one transaction, but for those that have changed, that somebody holds or that the
/// app refers to; how many.
async fn remove(
    db: &Db,
    jobs: &[JobId],
    retention: &Retention,
    referrers: &Referrers,
) -> Result<usize, DbError> {
    let mut transaction = db.pool.begin().await?;
    match remove_in(&mut transaction, jobs, retention, referrers).await {
        Ok(removed) => {
            transaction.commit().await?;
            Ok(removed)
        }
        Err(error) => {
            // Else the next try might find them still locked, and pass them by.
            transaction.rollback().await?;
            Err(error)
        }
    }
}

async fn remove_in(
    transaction: &mut Transaction,
    jobs: &[JobId],
    retention: &Retention,
    referrers: &Referrers,
) -> Result<usize, DbError> {
    wait_for_nobody(transaction).await?;
    let locked: Vec<JobId> = sqlx::query_scalar!(
        r#"SELECT id::bigint AS "id!" FROM photo_generation_queue
           WHERE id = ANY ($1) ORDER BY id FOR UPDATE SKIP LOCKED"#,
        jobs
    )
    .fetch_all(&mut *transaction)
    .await?;
    let due = due(transaction, &locked, retention).await?;
    let due: Vec<JobId> = due.into_iter().map(|job| job.id).collect();
    let free = referrers.without_referred(transaction, due).await?;
    let jobs = sqlx::query_file_scalar!("sql/queue/prune_delete.sql", &free, retention.objects)
        .fetch_one(transaction)
        .await?;
    Ok(usize::try_from(jobs).unwrap_or_default())
}

/// What somebody holds is left to a later time: who waits holds up whoever waits for it.
async fn wait_for_nobody(transaction: &mut Transaction) -> Result<(), DbError> {
    sqlx::query!("SET LOCAL lock_timeout = '50ms'")
        .execute(transaction)
        .await?;
    Ok(())
}
