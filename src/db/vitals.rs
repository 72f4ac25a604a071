//! What is asked of the database about the whole: is it there, and what goes on in the fleet.
//!
//! For health checks and scrapes, which come every few seconds for ever: nothing here reads a finished
//! job, and what grows with the queue is said where it stands.

use super::schema::{self, SchemaError};
use super::{Db, DbError};

/// How the database stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// With a schema that this program understands.
    Good,
    /// It answers, but has no schema, or one that this program does not understand.
    Foreign,
    Away,
}

/// A connection that died while nobody used it is found out by a statement: each once.
const TRIES: u32 = super::pool::FEW + 1;

/// Whether the database answers, and is ours.
pub async fn reach(db: &Db) -> Reach {
    for _ in 1..TRIES {
        match schema::check(db).await {
            Err(SchemaError::Database(DbError::Unavailable(_))) => {}
            checked => return of(&checked),
        }
    }
    of(&schema::check(db).await)
}

fn of(checked: &Result<(), SchemaError>) -> Reach {
    match checked {
        Ok(()) => Reach::Good,
        Err(SchemaError::Database(DbError::Unavailable(_))) => Reach::Away,
        Err(_) => Reach::Foreign,
    }
}

/// The queue at this moment, finished jobs aside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Depth {
    /// Waiting to be claimed, with or without a moment before which they are not.
    pub waiting: i64,
    pub processing: i64,
    pub calls_running: i64,
    /// Photos that are paid for and wait in spools until the storage takes them.
    pub spool_photos: i64,
    pub spool_bytes: i64,
    /// Spools that take no more: their workers claim nothing.
    pub spools_full: i64,
    pub workers: i64,
    pub tenants_waiting: i64,
    /// Of the jobs that are due.
    pub oldest_seconds: f64,
}

/// Reads one entry of a partial index per waiting job and one job per waiting tenant.
pub async fn depth(db: &Db) -> Result<Depth, DbError> {
    let depth = sqlx::query_file_as!(Depth, "sql/queue/depth.sql")
        .fetch_one(&db.pool)
        .await?;
    Ok(depth)
}

/// How one account stands with one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    pub provider: String,
    pub account: String,
    pub model: String,
    pub paused: bool,
    /// Nothing passes but a probe now and then, until somebody mends the account.
    pub blocked: bool,
    /// The provider asked to wait, or its daily quota is used up.
    pub cooling: bool,
    pub calls_today: i64,
    pub cost_today: f64,
}

pub async fn accounts(db: &Db) -> Result<Vec<Account>, DbError> {
    let accounts = sqlx::query_as!(
        Account,
        r#"SELECT l.provider, l.account, l.model, l.paused,
                  l."blockedUntil" IS NOT NULL AS "blocked!",
                  coalesce(l."cooldownUntil" > now(), false) AS "cooling!",
                  today.calls AS "calls_today!", today.cost::float8 AS "cost_today!"
           FROM photo_generation_limits AS l
           CROSS JOIN LATERAL photo_generation_today(l.provider, l.account, l.model) AS today
           ORDER BY l.provider, l.account, l.model"#
    )
    .fetch_all(&db.pool)
    .await?;
    Ok(accounts)
}
