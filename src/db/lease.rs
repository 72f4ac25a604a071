//! Leases: the right to work on one job, until somebody else has it.
//!
//! A [`Lease`] is made only by [`claim`] and used up by whatever ends the attempt. It carries the
//! token that a trigger bumps whenever the job enters or leaves `processing`; every statement of
//! ours that writes names the token, and one that matches nothing means that the job is no longer
//! ours. It is not a lock with an end: a worker that stops renewing loses its jobs to `reclaim`.

use std::time::Duration;

use uuid::Uuid;

use super::connections::Transaction;
use super::{Db, DbError, seconds};
use crate::domain::outcome::Resume;
use crate::domain::{ClaimedJob, Failure, JobId, Status, Tenant};

/// What a row means that says nothing (the column's default; apps may write null).
const DEFAULT_MAX_ATTEMPTS: i64 = 5;

/// The right to write to one job. Not `Clone`: whoever ends the attempt gives it up.
#[derive(Debug)]
pub struct Lease {
    job: JobId,
    token: i64,
    batch: Option<i64>,
    reopens_batch: bool,
}

impl Lease {
    pub fn job(&self) -> JobId {
        self.job
    }

    pub fn token(&self) -> i64 {
        self.token
    }

    pub fn batch(&self) -> Option<i64> {
        self.batch
    }
}

/// Who claims, and what.
#[derive(Debug, Clone)]
pub struct Claimer {
    /// This process, for the database.
    pub run: Uuid,
    /// This worker, for people.
    pub label: String,
    /// `provider:account` of every key this process has.
    pub accounts: Vec<String>,
    /// Job types to take; `None` takes all.
    pub types: Option<Vec<String>>,
}

/// How far a claim looks past rows that others hold locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// What hands may hold for a moment; claims of other workers come one after the other.
    Usual,
    /// For when jobs are due and the usual window held none that was free: somebody has a
    /// transaction open on many rows at the head of the queue.
    Wide,
}

impl Window {
    /// Of each tenant.
    fn rows(self) -> i64 {
        match self {
            Self::Usual => 4,
            Self::Wide => 500,
        }
    }
}

/// Whether an attempt is counted in `attempts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    Yes,
    No,
}

impl Counted {
    fn as_number(self) -> i32 {
        match self {
            Self::Yes => 1,
            Self::No => 0,
        }
    }
}

/// Claims up to `limit` due jobs whose model can be served and is not `crowded`: for its calls enough
/// wait here already. The claim is committed on return.
pub async fn claim(
    db: &Db,
    claimer: &Claimer,
    limit: usize,
    window: Window,
    crowded: &[String],
) -> Result<Vec<(Lease, ClaimedJob)>, DbError> {
    let rows = sqlx::query_file!(
        "sql/queue/claim.sql",
        claimer.run,
        claimer.label,
        i64::try_from(limit).unwrap_or(i64::MAX),
        &claimer.accounts,
        claimer.types.as_deref(),
        window.rows(),
        crowded,
    )
    .fetch_all(&db.pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let lease = Lease {
                job: row.id,
                token: row.lease,
                batch: row.batch_id,
                reopens_batch: row.reopens_batch,
            };
            let job = ClaimedJob {
                id: row.id,
                job_id: row.job_id,
                tenant: Tenant::of(row.team_id.as_deref(), row.user_id.as_deref()),
                kind: row.kind.unwrap_or_else(|| "photo_generation".to_owned()),
                batch_id: row.batch_id,
                base_prompt: row.base_prompt,
                example_prompt: row.example_prompt,
                example_url: row.example_url,
                training_urls: row.training_urls,
                aspect_ratio: row.aspect_ratio,
                images: row.images,
                provider: row.provider,
                model: row.model,
                payload: row.payload,
                attempts: count(row.attempts.unwrap_or(0)),
                max_attempts: count(row.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS)).max(1),
                request_id: row.request_id,
                expires_in: row.expires_in_seconds.map(from_seconds),
            };
            (lease, job)
        })
        .collect())
}

/// Says that the job's batch is generating again, if it had ended: an attempt begins with it.
pub async fn reopen_batch(db: &Db, lease: &Lease) -> Result<(), DbError> {
    let Some(batch) = lease.batch.filter(|_| lease.reopens_batch) else {
        return Ok(());
    };
    sqlx::query_file!("sql/queue/reopen_batch.sql", lease.job, lease.token, batch)
        .execute(&db.pool)
        .await?;
    Ok(())
}

/// A counter as a hand may have left it. What lies beyond the bounds of the ledger's own column is as
/// good as at them.
fn count(number: i64) -> u32 {
    const MOST: i64 = i32::MAX as i64;

    u32::try_from(number.clamp(0, MOST)).unwrap_or(0)
}

/// A moment further off than a duration reaches is no different from one at its end.
fn from_seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// How long until the next job may be claimed; `None` when nothing waits for a known moment.
pub async fn next_due(
    db: &Db,
    claimer: &Claimer,
    crowded: &[String],
) -> Result<Option<Duration>, DbError> {
    let seconds = sqlx::query_file_scalar!(
        "sql/queue/next_due.sql",
        &claimer.accounts,
        claimer.types.as_deref(),
        crowded,
    )
    .fetch_one(&db.pool)
    .await?;
    Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
}

/// How a job ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Finished {
    pub status: Status,
    /// Images that are stored.
    pub stored: i32,
    /// Why it failed.
    pub code: Option<String>,
    pub error: Option<String>,
    /// The state of its batch, when that ended with it.
    pub batch: Option<String>,
}

/// Ends the job: `completed` if any image is stored, else `failed`. Ends its batch with it when it
/// was the last one.
pub async fn finish(
    db: &Db,
    lease: &Lease,
    counted: Counted,
    failure: Option<&Failure>,
) -> Result<Finished, DbError> {
    let mut transaction = db.pool.begin().await?;
    if let Some(batch) = lease.batch {
        lock_batch(&mut transaction, batch).await?;
    }
    if failure.is_some() {
        // A job that ends before its time may have a picture in a spool, which is recorded under no
        // lease: in a statement of its own, or the count would be older than the lock.
        sqlx::query!(
            "SELECT id::bigint FROM photo_generation_queue WHERE id = $1 FOR NO KEY UPDATE",
            lease.job
        )
        .fetch_optional(&mut transaction)
        .await?;
    }
    let finished = sqlx::query_file!(
        "sql/queue/finish.sql",
        lease.job,
        lease.token,
        counted.as_number(),
        failure.map(|failure| failure.code),
        failure.map(|failure| failure.message.as_str()),
    )
    .fetch_optional(&mut transaction)
    .await?
    .ok_or(DbError::LeaseLost)?;
    let batch = match lease.batch {
        Some(batch) => judge_batch(&mut transaction, batch).await?,
        None => None,
    };
    transaction.commit().await?;
    Ok(Finished {
        status: finished.status,
        stored: finished.stored,
        code: finished.code,
        error: finished.error,
        batch,
    })
}

/// Ends a batch if its last job has ended; the state it then has. Several in one transaction go in
/// order of their ids.
pub(super) async fn end_batch(
    transaction: &mut Transaction,
    batch: i64,
) -> Result<Option<String>, DbError> {
    lock_batch(transaction, batch).await?;
    judge_batch(transaction, batch).await
}

async fn judge_batch(transaction: &mut Transaction, batch: i64) -> Result<Option<String>, DbError> {
    Ok(
        sqlx::query_file_scalar!("sql/queue/finish_batch.sql", batch)
            .fetch_optional(transaction)
            .await?,
    )
}

/// In a statement of its own, before the count; not FOR UPDATE, which would wait for any app that
/// has a row of this batch in an open insert.
async fn lock_batch(transaction: &mut Transaction, batch: i64) -> Result<(), DbError> {
    sqlx::query!(
        "SELECT id::bigint FROM photo_generation_batches WHERE id = $1 FOR NO KEY UPDATE",
        batch
    )
    .fetch_optional(transaction)
    .await?;
    Ok(())
}

/// Why a job goes back to the queue.
#[derive(Clone, Copy, Debug)]
pub enum GiveBack<'a> {
    /// A retryable error; the attempt counts.
    Retry(&'a Failure, Duration),
    /// The provider refused this job's own call; not counted.
    RateLimited(&'a Failure, Resume),
    /// It never got its turn; not counted.
    Released(Resume),
}

/// Ends the attempt, not the job.
pub async fn give_back(db: &Db, lease: &Lease, why: GiveBack<'_>) -> Result<(), DbError> {
    let (status, counted, resume, failure) = match why {
        GiveBack::Retry(failure, wait) => (
            Status::Pending,
            Counted::Yes,
            Resume::After(wait),
            Some(failure),
        ),
        GiveBack::RateLimited(failure, resume) => {
            (Status::RateLimited, Counted::No, resume, Some(failure))
        }
        GiveBack::Released(resume) => (Status::Pending, Counted::No, resume, None),
    };
    let (wait, next_quota_day) = match resume {
        Resume::Now => (None, false),
        Resume::After(wait) => (Some(seconds(wait)), false),
        Resume::NextQuotaDay => (Some(0.0), true),
    };
    let done = sqlx::query_file!(
        "sql/queue/give_back.sql",
        lease.job,
        lease.token,
        status.as_str(),
        counted.as_number(),
        wait,
        next_quota_day,
        failure.map(|failure| failure.code),
        failure.map(|failure| failure.message.as_str()),
    )
    .execute(&db.pool)
    .await?;
    must_be_one(done.rows_affected())
}

/// Where a job is whose lease was lost, for the log; `None`: its row is gone.
pub async fn status_of_lost(db: &Db, lease: &Lease) -> Result<Option<Status>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT status::text AS "status!: Status" FROM photo_generation_queue WHERE id = $1"#,
        lease.job
    )
    .fetch_optional(&db.pool)
    .await?)
}

/// Gives back, uncounted, a job that this run owns and does not know: the answer to its claim was
/// lost, or its task died. Not due at once, so that a job that kills its task does not spin. Returns
/// whether it was so: mostly the attempt ended just after we asked.
pub async fn give_back_unknown(db: &Db, job: JobId, token: i64) -> Result<bool, DbError> {
    let given_back = sqlx::query!(
        r#"UPDATE photo_generation_queue
           SET status = 'pending', "retryAt" = now() + interval '5 seconds'
           WHERE id = $1 AND lease = $2 AND status = 'processing'"#,
        job,
        token
    )
    .execute(&db.pool)
    .await?;
    Ok(given_back.rows_affected() == 1)
}

/// Zero rows: somebody else has the job.
pub(super) fn must_be_one(rows: u64) -> Result<(), DbError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(DbError::LeaseLost)
    }
}
