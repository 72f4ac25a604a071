//! The schema: creating it, taking over an app's own table, and refusing what we do not understand.
//!
//! Not sqlx's migrator: a table that is in use is changed in steps that it cannot express
//! (CONCURRENTLY, small batches, a plan that is shown first). `migrations/` says what the tables
//! should be; a migration is whatever the database at hand lacks of it ([`plan()`]), so that creating,
//! adopting and upgrading are one thing, and a run that was killed is simply repeated.

mod apply;
mod columns;
mod found;
mod plan;
mod scripts;
mod undo;

use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection};

pub use apply::{Event, Report};
pub use plan::{How, Obstacle, Plan, Step};

use super::{Db, DbError};

/// The schema that this program needs, and the version that workers of this program have. Goes up
/// with every change in `migrations/`.
const VERSION: i32 = 6;
/// The oldest workers that may run on this schema: those before do not claim by fair shares, and would
/// begin more jobs of a tenant than its cap.
const OLDEST_WORKER: i32 = 6;
/// Any number, the same in every safelight: two migrators must not run at once.
const MIGRATION_LOCK: i64 = 0x005A_FE11_6874;
/// A blocking wait for the lock would deadlock with CREATE INDEX CONCURRENTLY of the other one.
const LOCK_RETRY: Duration = Duration::from_millis(200);
/// What a migration asks of its session: names mean ours, and building an index may take its time.
const SESSION: &str = "SET search_path = public; SET timezone = 'UTC'; SET statement_timeout = 0; \
     SET lock_timeout = 0; SET client_min_messages = warning";

/// Why the schema cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("the database has no safelight schema; create it with: safelight migrate")]
    Missing,
    #[error("the schema is version {0}, this safelight needs {VERSION}; run: safelight migrate")]
    TooOld(i32),
    #[error(
        "the schema takes workers from version {0} on, this safelight is {VERSION}; install a newer safelight"
    )]
    WorkerTooOld(i32),
    #[error("nothing was changed, because:\n{}", listed(.0))]
    Obstacles(Vec<Obstacle>),
    #[error("the tables are in use all the time, by {0}. What is done so far stays; run it again")]
    Locked(String),
    #[error(
        "Postgres refused this step: {change}\n    {why}\nWhat is done so far stays, and hinders nobody. Mend this and run it again, or take all back: safelight migrate --undo"
    )]
    Refused { change: String, why: String },
    #[error("no table was adopted here, so there is nothing to take back")]
    NotAdopted,
    #[error("workers are running ({0}); stop them first, and wait 30 seconds if they were killed")]
    WorkersLive(String),
    #[error(
        "DATABASE_URL is a transaction-mode pooler, over which the schema cannot be changed; set DATABASE_LISTEN_URL to a direct or session-mode address. On Supabase: Dashboard, Connect, Session pooler"
    )]
    Pooled,
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<sqlx::Error> for SchemaError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

fn listed(obstacles: &[Obstacle]) -> String {
    let lines: Vec<String> = obstacles.iter().map(|one| format!("- {one}")).collect();
    lines.join("\n")
}

/// What a migration run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// `None`: there was no schema.
    pub from: Option<i32>,
    pub to: i32,
    pub plan: Plan,
}

/// Brings the schema to the version that this program needs, adopting an app's own tables. Safe to run
/// twice, by two at once, and again after it was killed.
pub async fn migrate(db: &Db, report: Report<'_>) -> Result<Migrated, SchemaError> {
    let mut connection = direct(db).await?;
    lock(&mut connection, report).await?;
    let found = found::look(&mut connection).await?;
    let plan = plan::plan(&found).map_err(SchemaError::Obstacles)?;
    apply::apply(db, &mut connection, &plan.steps, report).await?;
    connection.close().await?;
    Ok(Migrated {
        from: found.version,
        to: found
            .version
            .map_or(VERSION, |version| version.max(VERSION)),
        plan,
    })
}

/// What [`migrate`] would do now. Changes nothing.
pub async fn plan(db: &Db) -> Result<Plan, SchemaError> {
    let mut connection = direct(db).await?;
    let found = found::look(&mut connection).await?;
    plan::plan(&found).map_err(SchemaError::Obstacles)
}

/// Gives adopted tables back to the program that had them. Data stay. Returns in sentences what could
/// not be made as it was.
pub async fn undo(db: &Db, report: Report<'_>) -> Result<Vec<String>, SchemaError> {
    let mut connection = direct(db).await?;
    lock(&mut connection, report).await?;
    undo::undo(&mut connection, report).await
}

/// The lock belongs to a session, and a transaction-mode pooler has none to give.
async fn direct(db: &Db) -> Result<PgConnection, SchemaError> {
    let address = db.listen.as_ref().ok_or(SchemaError::Pooled)?;
    let mut connection = address.connect().await?;
    connection.execute(SESSION).await?;
    Ok(connection)
}

/// Ends with the connection, whatever happens.
async fn lock(connection: &mut PgConnection, report: Report<'_>) -> Result<(), SchemaError> {
    let mut told = false;
    while !sqlx::query_scalar::<_, bool>("SELECT pg_try_advisory_lock($1)")
        .bind(MIGRATION_LOCK)
        .fetch_one(&mut *connection)
        .await?
    {
        if !told {
            report(Event::OtherMigration);
            told = true;
        }
        tokio::time::sleep(LOCK_RETRY).await;
    }
    Ok(())
}

/// Refuses a schema that is older than we need, or that needs newer workers than we are.
pub async fn check(db: &Db) -> Result<(), SchemaError> {
    if !has_settings(db).await? {
        return Err(SchemaError::Missing);
    }
    let version = number(&db.pool, "version")
        .await?
        .ok_or(SchemaError::Missing)?;
    if version < VERSION {
        return Err(SchemaError::TooOld(version));
    }
    let oldest = number(&db.pool, "oldestWorker").await?.unwrap_or(0);
    if VERSION < oldest {
        return Err(SchemaError::WorkerTooOld(oldest));
    }
    Ok(())
}

async fn has_settings(db: &Db) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT to_regclass('public.photo_generation_settings') IS NOT NULL AS "is!""#
    )
    .fetch_one(&db.pool)
    .await?)
}

async fn version(connection: &mut PgConnection) -> Result<Option<i32>, DbError> {
    number(connection, "version").await
}

async fn number<'c>(
    executor: impl sqlx::Executor<'c, Database = sqlx::Postgres>,
    key: &str,
) -> Result<Option<i32>, DbError> {
    let value: Option<String> =
        sqlx::query_scalar("SELECT value FROM photo_generation_settings WHERE key = $1")
            .bind(key)
            .fetch_optional(executor)
            .await?;
    value
        .map(|value| value.parse())
        .transpose()
        .map_err(|_| DbError::Corrupt(format!("setting {key} is not a number")))
}
