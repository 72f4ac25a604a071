//! All SQL.
//!
//! The statements that are the product stand in `sql/queue/`, each with its reasons; this folder
//! gives them Rust types. No transaction here is ever open across a call to a provider, a storage
//! or a user's URL: functions take a pool, do their statement or short transaction, and return.
//!
//! A lost connection says nothing about whether a statement was committed, so what must be written
//! is written through [`persist`], and every such statement may be sent twice.

pub mod batches;
mod connections;
pub mod credits;
pub mod demo;
pub mod doctor;
pub mod jobs;
pub mod json;
pub mod keys;
pub mod lease;
pub mod ledger;
pub mod limits;
pub mod listener;
pub mod pauses;
pub mod pool;
pub mod prune;
pub mod schema;
pub mod secrets;
pub mod settings;
pub mod spools;
pub mod steps;
pub mod sweep;
pub mod tenants;
pub mod uploads;
pub mod users;
pub mod vitals;
pub mod webhooks;
mod words;
pub mod workers;

use std::time::Duration;

pub use lease::Lease;
pub use pool::Db;

/// Every file of `sql/queue`. sqlx compiles them in, but of those without a result it does not tell
/// Cargo, which then keeps the statement of yesterday after a change.
const _: [&str; 54] = [
    include_str!("../../sql/queue/budget.sql"),
    include_str!("../../sql/queue/calling.sql"),
    include_str!("../../sql/queue/cancel.sql"),
    include_str!("../../sql/queue/claim.sql"),
    include_str!("../../sql/queue/depth.sql"),
    include_str!("../../sql/queue/drawn.sql"),
    include_str!("../../sql/queue/ended.sql"),
    include_str!("../../sql/queue/expire.sql"),
    include_str!("../../sql/queue/expired.sql"),
    include_str!("../../sql/queue/finish.sql"),
    include_str!("../../sql/queue/finish_batch.sql"),
    include_str!("../../sql/queue/give_back.sql"),
    include_str!("../../sql/queue/images.sql"),
    include_str!("../../sql/queue/in_spool.sql"),
    include_str!("../../sql/queue/jobs.sql"),
    include_str!("../../sql/queue/keyed.sql"),
    include_str!("../../sql/queue/left_by_dead.sql"),
    include_str!("../../sql/queue/limited.sql"),
    include_str!("../../sql/queue/next_due.sql"),
    include_str!("../../sql/queue/orphaned_calls.sql"),
    include_str!("../../sql/queue/owned.sql"),
    include_str!("../../sql/queue/pauses.sql"),
    include_str!("../../sql/queue/plan.sql"),
    include_str!("../../sql/queue/plan_steps.sql"),
    include_str!("../../sql/queue/position.sql"),
    include_str!("../../sql/queue/probe_again.sql"),
    include_str!("../../sql/queue/progress.sql"),
    include_str!("../../sql/queue/prune_batches.sql"),
    include_str!("../../sql/queue/prune_delete.sql"),
    include_str!("../../sql/queue/prune_due.sql"),
    include_str!("../../sql/queue/prune_ended.sql"),
    include_str!("../../sql/queue/prune_referrers.sql"),
    include_str!("../../sql/queue/reclaim.sql"),
    include_str!("../../sql/queue/recovered.sql"),
    include_str!("../../sql/queue/renew.sql"),
    include_str!("../../sql/queue/reopen_batch.sql"),
    include_str!("../../sql/queue/retry.sql"),
    include_str!("../../sql/queue/select.sql"),
    include_str!("../../sql/queue/set_limits.sql"),
    include_str!("../../sql/queue/settle_orphan.sql"),
    include_str!("../../sql/queue/spooled.sql"),
    include_str!("../../sql/queue/step_stored.sql"),
    include_str!("../../sql/queue/steps.sql"),
    include_str!("../../sql/queue/stored.sql"),
    include_str!("../../sql/queue/sweep_look.sql"),
    include_str!("../../sql/queue/touch.sql"),
    include_str!("../../sql/queue/versions.sql"),
    include_str!("../../sql/queue/waiting_of.sql"),
    include_str!("../../sql/queue/webhooks_end.sql"),
    include_str!("../../sql/queue/webhooks_forget.sql"),
    include_str!("../../sql/queue/webhooks_ready.sql"),
    include_str!("../../sql/queue/webhooks_take.sql"),
    include_str!("../../sql/queue/writers.sql"),
    include_str!("../../sql/queue/writers_left.sql"),
];

/// What a caller can do something about.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The job is no longer ours: stop, start nothing, write nothing.
    #[error("the lease of this job is lost")]
    LeaseLost,
    /// Postgres cannot be reached right now. Trying again is right.
    #[error("the database cannot be reached: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// Postgres refused a statement. Trying again is not right.
    #[error("the database refused a statement: {0}")]
    Refused(#[source] sqlx::Error),
    /// A row holds what it never should.
    #[error("a row of the database makes no sense: {0}")]
    Corrupt(String),
}

impl DbError {
    /// This role may not do that: insufficient privilege.
    pub fn is_forbidden(&self) -> bool {
        match self {
            Self::Refused(sqlx::Error::Database(error)) => error.code().as_deref() == Some("42501"),
            Self::LeaseLost | Self::Unavailable(_) | Self::Refused(_) | Self::Corrupt(_) => false,
        }
    }

    /// A statement named a row of another table that is not there.
    pub fn is_missing_reference(&self) -> bool {
        self.answer()
            .is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation)
    }

    /// A value is none of its column's type (class 22, data exception), or beyond what Postgres takes,
    /// such as JSON that is nested too deep (class 54, program limit exceeded).
    fn is_bad_value(&self) -> bool {
        let code = self.answer().and_then(sqlx::error::DatabaseError::code);
        code.is_some_and(|code| ["22", "54"].iter().any(|class| code.starts_with(class)))
    }

    /// A tenant has not the credits for it.
    pub fn lack_of_credits(&self) -> Option<credits::Lack> {
        credits::Lack::told_by(self.answer()?)
    }

    /// The constraint that was violated.
    fn constraint(&self) -> Option<&str> {
        self.answer()?.constraint()
    }

    /// What Postgres answered to a statement that it refused.
    fn answer(&self) -> Option<&dyn sqlx::error::DatabaseError> {
        match self {
            Self::Refused(sqlx::Error::Database(error)) => Some(error.as_ref()),
            Self::LeaseLost | Self::Unavailable(_) | Self::Refused(_) | Self::Corrupt(_) => None,
        }
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        if is_passing(&error) {
            Self::Unavailable(error)
        } else {
            Self::Refused(error)
        }
    }
}

/// Whether the same statement may succeed a moment later: the connection failed, the server is
/// going down or starting, or it chose us to resolve a deadlock.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed => true,
        // Class 08 connection, 53 resources, 57P server going, 40 rollback: deadlock.
        // 55P03 and 57014: a lock or a statement took too long, see `pool`. 25006: a standby, for now.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "53", "57P", "40", "55P03", "57014", "25006"]
                .iter()
                .any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

/// A statement that has no answer by then is on a dead connection; the server ends it sooner.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(25);
/// First wait between two tries to write.
const PERSIST_FIRST_WAIT: Duration = Duration::from_millis(50);
/// Longest wait between two tries: an outage ends for us at most this much later.
const PERSIST_LONGEST_WAIT: Duration = Duration::from_secs(2);
/// After this long another worker has certainly taken the job over; holding on only leaks.
const PERSIST_GIVE_UP: Duration = Duration::from_mins(10);

/// Sends a statement again until Postgres has answered. The statement must bear being sent twice.
pub async fn persist<T, Statement>(statement: impl Fn() -> Statement) -> Result<T, DbError>
where
    Statement: Future<Output = Result<T, DbError>>,
{
    let started = tokio::time::Instant::now();
    let mut wait = PERSIST_FIRST_WAIT;
    loop {
        let answer = tokio::time::timeout(STATEMENT_TIMEOUT, statement()).await;
        match answer.unwrap_or(Err(DbError::Unavailable(sqlx::Error::PoolTimedOut))) {
            Err(DbError::Unavailable(error)) if started.elapsed() < PERSIST_GIVE_UP => {
                tracing::debug!(%error, "the database is away, trying again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(PERSIST_LONGEST_WAIT);
            }
            done => return done,
        }
    }
}

/// A duration as the number of seconds that the statements take.
fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
