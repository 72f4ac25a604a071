//! The schema: creating it, and refusing to work on one we do not understand.
//!
//! Not sqlx's migrator: taking over an app's own table needs steps that it cannot express
//! (CONCURRENTLY, batches, a plan shown first). A migration here is a file of SQL that runs in one
//! transaction; which ones ran is the `version` in `photo_generation_settings`.

use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

use super::{Db, DbError};

/// In order; the number is the version the schema has afterwards.
const MIGRATIONS: [(i32, &str); 1] = [(1, include_str!("../../migrations/0001_queue.sql"))];
/// The schema that this program needs, and the version that workers of this program have.
const VERSION: i32 = 1;
/// Any number, the same in every safelight: two migrators must not run at once.
const MIGRATION_LOCK: i64 = 0x005A_FE11_6874;
/// A blocking wait for the lock would deadlock with CREATE INDEX CONCURRENTLY of the other one.
const LOCK_RETRY: Duration = Duration::from_millis(200);

/// Why the schema cannot be used as it is.
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
    #[error(
        "the table photo_generation_queue exists and is not safelight's; this version of safelight cannot take over an existing table yet, use an empty database"
    )]
    ForeignTable,
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

/// What a migration run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// 0: there was no schema.
    pub from: i32,
    pub to: i32,
}

/// Brings the schema to the version that this program needs. Safe to run twice, and by two at once.
pub async fn migrate(db: &Db) -> Result<Migrated, SchemaError> {
    // The lock belongs to a session, and a transaction-mode pooler has none to give.
    let direct = db.listen.as_ref().ok_or(SchemaError::Pooled)?;
    let mut connection = direct.connect().await?;
    lock(&mut connection).await?;
    // Ends with the connection, whatever happens.
    migrate_locked(db, &mut connection).await
}

async fn lock(connection: &mut PgConnection) -> Result<(), SchemaError> {
    while !sqlx::query_scalar::<_, bool>("SELECT pg_try_advisory_lock($1)")
        .bind(MIGRATION_LOCK)
        .fetch_one(&mut *connection)
        .await?
    {
        tokio::time::sleep(LOCK_RETRY).await;
    }
    Ok(())
}

async fn migrate_locked(db: &Db, connection: &mut PgConnection) -> Result<Migrated, SchemaError> {
    let from = match version(db).await {
        Ok(version) => version,
        Err(SchemaError::Missing) => 0,
        Err(error) => return Err(error),
    };
    if from == 0 && exists(db, "photo_generation_queue").await? {
        return Err(SchemaError::ForeignTable);
    }
    for (version, sql) in MIGRATIONS
        .into_iter()
        .filter(|(version, _)| *version > from)
    {
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(sql).execute(&mut *transaction).await?;
        sqlx::query(
            "INSERT INTO photo_generation_settings (key, value) VALUES ('version', $1)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, \"updatedAt\" = now()",
        )
        .bind(version.to_string())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
    }
    Ok(Migrated {
        from,
        to: from.max(VERSION),
    })
}

/// Refuses a schema that is older than we need, or that needs newer workers than we are.
pub async fn check(db: &Db) -> Result<(), SchemaError> {
    let version = version(db).await?;
    if version < VERSION {
        return Err(SchemaError::TooOld(version));
    }
    let oldest = number(db, "oldestWorker").await?.unwrap_or(0);
    if VERSION < oldest {
        return Err(SchemaError::WorkerTooOld(oldest));
    }
    Ok(())
}

async fn version(db: &Db) -> Result<i32, SchemaError> {
    if !exists(db, "photo_generation_settings").await? {
        return Err(SchemaError::Missing);
    }
    number(db, "version").await?.ok_or(SchemaError::Missing)
}

async fn exists(db: &Db, table: &str) -> Result<bool, SchemaError> {
    Ok(sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(format!("public.{table}"))
        .fetch_one(&db.pool)
        .await?)
}

async fn number(db: &Db, key: &str) -> Result<Option<i32>, SchemaError> {
    let value: Option<String> =
        sqlx::query_scalar("SELECT value FROM photo_generation_settings WHERE key = $1")
            .bind(key)
            .fetch_optional(&db.pool)
            .await?;
    value
        .map(|value| value.parse())
        .transpose()
        .map_err(|_| DbError::Corrupt(format!("setting {key} is not a number")).into())
}

/// Records a fleet-wide setting. A starting worker writes only what is absent.
pub async fn record_setting(db: &Db, key: &str, value: &str) -> Result<String, DbError> {
    sqlx::query!(
        "INSERT INTO photo_generation_settings (key, value) VALUES ($1, $2)
         ON CONFLICT (key) DO NOTHING",
        key,
        value
    )
    .execute(&db.pool)
    .await?;
    let kept = sqlx::query_scalar!(
        "SELECT value FROM photo_generation_settings WHERE key = $1",
        key
    )
    .fetch_one(&db.pool)
    .await?;
    Ok(kept)
}

/// Writes a fleet-wide setting, as `migrate` does with those set in its environment.
pub async fn set_setting(db: &Db, key: &str, value: &str) -> Result<(), DbError> {
    sqlx::query!(
        r#"INSERT INTO photo_generation_settings (key, value) VALUES ($1, $2)
           ON CONFLICT (key) DO UPDATE SET value = excluded.value, "updatedAt" = now()"#,
        key,
        value
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// A fleet-wide setting, if it is recorded.
pub async fn setting(db: &Db, key: &str) -> Result<Option<String>, DbError> {
    let value = sqlx::query_scalar!(
        "SELECT value FROM photo_generation_settings WHERE key = $1",
        key
    )
    .fetch_optional(&db.pool)
    .await?;
    Ok(value)
}
