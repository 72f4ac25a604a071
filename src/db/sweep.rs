//! What the dead left behind: jobs, calls, batches, failed hooks, worker rows; and what waited for too
//! long.
//!
//! Who is dead is not decided here but by the worker that watched, see `worker::sweep`. Each
//! function is one guarded statement or short transaction that two workers may run at once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::connections::Transaction;
use super::{Db, DbError, credits, lease, prune, seconds, spools, webhooks};
use crate::domain::{Failure, JobId};

/// Expired jobs that are ended in one transaction: a claim skips them for as long as it takes.
const EXPIRED_AT_ONCE: usize = 500;
/// Batches that are ended in one transaction: finishes of theirs wait for it.
const BATCHES_AT_ONCE: i64 = 100;

/// Tenants that are forgotten under one lock: claims wait for it.
const SHARES_AT_ONCE: i64 = 500;

/// A worker's row, as one look found it.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub run: Uuid,
    /// The database's clock; only compared with itself.
    pub renewed_at: DateTime<Utc>,
    pub holds_jobs: bool,
    pub has_calls: bool,
}

/// What there is to sweep besides what dead workers hold.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "as many questions, as many answers"
)]
pub struct Litter {
    /// Held by no worker that has a row, or by another program for too long.
    pub unowned_jobs: bool,
    /// In flight past their deadline, or of a worker that has no row, or kept in a spool that is gone.
    pub overdue_calls: bool,
    /// Still waiting, past their `"expiresAt"`.
    pub expired_jobs: bool,
    pub batches: bool,
    pub hooks: bool,
    /// Tenants that have had no job for a while.
    pub empty_shares: bool,
    /// So many calls began since they were last counted that counting them takes time.
    pub totals: bool,
    /// A retention is set, and it is time to look for jobs that are older.
    pub ended_jobs: bool,
    /// Of pruned jobs, to be removed from the storage.
    pub objects: bool,
    /// To apps, ready to be sent.
    pub messages: bool,
    /// To apps, due and to be made ready.
    pub due_messages: bool,
    /// To apps, old enough to be forgotten.
    pub old_messages: bool,
    /// Credits are reserved, and it is time to look whether for jobs that have ended.
    pub reservations: bool,
    /// That the app is to be told of, again.
    pub refunds: bool,
}

/// One cheap look at everything.
pub async fn look(db: &Db, stale: Duration) -> Result<(Vec<Seen>, Litter), DbError> {
    let rows = sqlx::query_file!(
        "sql/queue/sweep_look.sql",
        seconds(stale),
        seconds(spools::GONE_AFTER),
        seconds(prune::PASS_EVERY),
        seconds(webhooks::FORGET_AFTER),
        seconds(credits::SETTLE_EVERY)
    )
    .fetch_all(&db.pool)
    .await?;
    let litter = rows.first().map_or_else(Litter::default, |row| Litter {
        unowned_jobs: row.unowned_jobs,
        overdue_calls: row.overdue_calls,
        expired_jobs: row.expired_jobs,
        batches: row.batches,
        hooks: row.hooks,
        empty_shares: row.empty_shares,
        totals: row.totals,
        ended_jobs: row.ended_jobs,
        objects: row.objects,
        messages: row.messages,
        due_messages: row.due_messages,
        old_messages: row.old_messages,
        reservations: row.reservations,
        refunds: row.refunds,
    });
    let seen = rows.into_iter().filter_map(|row| {
        Some(Seen {
            run: row.run?,
            renewed_at: row.renewed_at?,
            holds_jobs: row.holds_jobs,
            has_calls: row.has_calls,
        })
    });
    Ok((seen.collect(), litter))
}

/// A job that was taken back.
#[derive(Debug, PartialEq, Eq)]
pub struct Reclaimed {
    pub id: JobId,
    pub job_id: Option<Uuid>,
    /// The one that was lost.
    pub lease: i64,
    /// Label of whoever held it.
    pub holder: Option<String>,
    pub request_id: Option<String>,
    /// Counted by now.
    pub attempts: i32,
}

/// Takes back the jobs of `dead` runs and of nobody; the attempt counts. Returns them.
pub async fn reclaim(db: &Db, dead: &[Uuid], stale: Duration) -> Result<Vec<Reclaimed>, DbError> {
    Ok(
        sqlx::query_file_as!(Reclaimed, "sql/queue/reclaim.sql", dead, seconds(stale))
            .fetch_all(&db.pool)
            .await?,
    )
}

/// Whether a sweep of something has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swept {
    All,
    /// As many as one transaction may take.
    Some,
}

/// A job that was ended because it had expired.
#[derive(Debug, PartialEq, Eq)]
pub struct Expired {
    pub id: JobId,
    pub job_id: Option<Uuid>,
    pub request_id: Option<String>,
    /// Stored ones; with any it is completed, else failed.
    pub images: i64,
}

/// Ends waiting jobs that have expired: `completed` if any image is stored, else `failed`. Their
/// batches are noted by a trigger, for [`close_batches`].
pub async fn expire(db: &Db) -> Result<(Vec<Expired>, Swept), DbError> {
    let mut transaction = db.pool.begin().await?;
    let limit = i64::try_from(EXPIRED_AT_ONCE).unwrap_or(i64::MAX);
    let jobs: Vec<JobId> = sqlx::query_file_scalar!("sql/queue/expired.sql", limit)
        .fetch_all(&mut transaction)
        .await?;
    let ended = match end_expired(&mut transaction, &jobs).await {
        Err(DbError::Refused(_)) => end_each_expired(&mut transaction, &jobs).await?,
        result => result?,
    };
    transaction.commit().await?;
    // Where the database refuses all of these, the next round would find them again.
    let swept = if jobs.len() < EXPIRED_AT_ONCE || ended.is_empty() {
        Swept::All
    } else {
        Swept::Some
    };
    Ok((ended, swept))
}

/// Ends these, which are locked; nothing has happened if the database refuses it.
async fn end_expired(
    transaction: &mut Transaction,
    jobs: &[JobId],
) -> Result<Vec<Expired>, DbError> {
    let expired = Failure::expired();
    let (mark, undo) = (
        sqlx::query!("SAVEPOINT before"),
        sqlx::query!("ROLLBACK TO before"),
    );
    mark.execute(&mut *transaction).await?;
    let ended = sqlx::query_file_as!(
        Expired,
        "sql/queue/expire.sql",
        jobs,
        expired.code,
        expired.message
    )
    .fetch_all(&mut *transaction)
    .await;
    if ended.is_err() {
        undo.execute(transaction).await?;
    }
    Ok(ended?)
}

/// One that the database will not have ended (by a trigger of the app's, say) must not keep the
/// others from it.
async fn end_each_expired(
    transaction: &mut Transaction,
    jobs: &[JobId],
) -> Result<Vec<Expired>, DbError> {
    let mut ended = Vec::new();
    for &job in jobs {
        match end_expired(transaction, &[job]).await {
            Ok(one) => ended.extend(one),
            Err(error @ DbError::Refused(_)) => {
                tracing::warn!(job, %error, "the database refused to end an expired job");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(ended)
}

/// Ends the batches whose last job has ended by other hands than a finish of ours; which, and how.
/// Some of them: until there is nothing left to look at.
pub async fn close_batches(db: &Db) -> Result<(Vec<(i64, String)>, Swept), DbError> {
    let mut transaction = db.pool.begin().await?;
    let mut batches: Vec<i64> = sqlx::query_scalar!(
        r#"DELETE FROM photo_generation_batch_checks
           WHERE ctid = ANY (ARRAY(SELECT ctid FROM photo_generation_batch_checks
                                   LIMIT $1 FOR UPDATE SKIP LOCKED))
           RETURNING "batchId""#,
        BATCHES_AT_ONCE
    )
    .fetch_all(&mut transaction)
    .await?;
    let swept = if i64::try_from(batches.len()).is_ok_and(|found| found < BATCHES_AT_ONCE) {
        Swept::All
    } else {
        Swept::Some
    };
    batches.sort_unstable();
    batches.dedup();
    let mut ended = Vec::new();
    for batch in batches {
        if let Some(status) = lease::end_batch(&mut transaction, batch).await? {
            ended.push((batch, status));
        }
    }
    transaction.commit().await?;
    Ok((ended, swept))
}

/// Calls the app's hook again for images where it raised an error; waits double up to an hour.
pub async fn retry_hooks(db: &Db) -> Result<(), DbError> {
    sqlx::query!(
        r#"WITH failed AS MATERIALIZED (
               SELECT "jobId", index FROM photo_generation_images
               WHERE "hookError" IS NOT NULL AND "hookTryAt" <= now()
               ORDER BY "hookTryAt" LIMIT 100 FOR NO KEY UPDATE SKIP LOCKED)
           UPDATE photo_generation_images AS image
           SET "hookError" = photo_generation_call_hook(image), "hookTries" = "hookTries" + 1,
               "hookTryAt" = now() + least(interval '5 seconds' * power(2, least("hookTries", 10)),
                                           interval '1 hour')
           FROM failed WHERE image."jobId" = failed."jobId" AND image.index = failed.index"#
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// Forgets tenants that have had no job for a while. Some of them: until none is left.
pub async fn forget_shares(db: &Db) -> Result<Swept, DbError> {
    let forgotten = sqlx::query_scalar!(
        r#"SELECT photo_generation_forget_shares($1) AS "forgotten!""#,
        SHARES_AT_ONCE
    )
    .fetch_one(&db.pool)
    .await?;
    Ok(if forgotten < SHARES_AT_ONCE {
        Swept::All
    } else {
        Swept::Some
    })
}

/// Notes tenants with waiting jobs that no claim would find; how many.
pub async fn find_arrivals(db: &Db) -> Result<i64, DbError> {
    Ok(
        sqlx::query_scalar!(r#"SELECT photo_generation_find_arrivals() AS "found!""#)
            .fetch_one(&db.pool)
            .await?,
    )
}

/// Counts what accounts have called of late into the totals of the day, so that no look at a limit has
/// to: each account and model in a transaction of its own, as it holds back calls for a moment.
pub async fn roll_totals(db: &Db) -> Result<(), DbError> {
    let due = sqlx::query!(
        r#"SELECT provider AS "provider!", account AS "account!", model AS "model!"
           FROM photo_generation_totals_due()"#
    )
    .fetch_all(&db.pool)
    .await?;
    for one in due {
        sqlx::query!(
            r#"SELECT FROM photo_generation_roll_total($1, $2, $3)"#,
            one.provider,
            one.account,
            one.model
        )
        .execute(&db.pool)
        .await?;
    }
    Ok(())
}

/// Removes the rows of dead runs that no job names any more.
pub async fn forget(db: &Db, dead: &[Uuid]) -> Result<(), DbError> {
    sqlx::query!(
        "DELETE FROM photo_generation_workers AS worker
         WHERE run = ANY ($1)
           AND NOT EXISTS (SELECT FROM photo_generation_queue AS job
                           WHERE job.status = 'processing' AND job.run = worker.run)",
        dead
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}
