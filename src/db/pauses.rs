//! What operators have paused: all, a type, a model, a tenant.
//!
//! A row is a pause. Claims and calls read it in the database, so one is heeded from its commit on;
//! that a resume wakes idle workers is a trigger's. An account that is paused in its own limits row is
//! listed here and changed in [`super::limits`].

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Db, DbError};
use crate::domain::{JobId, Tenant};

/// What can be paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    Type(String),
    Model(String),
    Tenant(Tenant),
}

impl Scope {
    /// The word in the table.
    pub fn what(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Type(_) => "type",
            Self::Model(_) => "model",
            Self::Tenant(_) => "tenant",
        }
    }

    /// Which one; empty for all.
    pub fn name(&self) -> &str {
        match self {
            Self::All => "",
            Self::Type(name) | Self::Model(name) => name,
            Self::Tenant(tenant) => tenant.as_str(),
        }
    }
}

/// Something that is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// `all`, `type`, `model`, `tenant`; `account` for one that is paused in its limits row.
    pub what: String,
    /// Empty for all; `provider/account/model` for an account.
    pub name: String,
    pub reason: Option<String>,
    /// `None` for an account: nobody noted it.
    pub paused_at: Option<DateTime<Utc>>,
    /// The database's clock when this was read.
    #[serde(skip)]
    pub read_at: DateTime<Utc>,
}

/// What a pause may name: what this fleet has to do with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub models: Vec<String>,
    /// Of jobs that wait.
    pub types: Vec<String>,
}

/// Pauses; a pause that is there stays, with the new reason if one is given.
pub async fn pause(db: &Db, scope: &Scope, reason: Option<&str>) -> Result<Pause, DbError> {
    Ok(sqlx::query_as!(
        Pause,
        r#"INSERT INTO photo_generation_pauses AS pause (what, name, reason)
           VALUES ($1, left($2, 200), $3)
           ON CONFLICT (what, name) DO UPDATE SET reason = coalesce(excluded.reason, pause.reason)
           RETURNING what, name, reason, "pausedAt" AS paused_at, now() AS "read_at!""#,
        scope.what(),
        scope.name(),
        reason,
    )
    .fetch_one(&db.pool)
    .await?)
}

/// Lifts a pause; what was lifted, if there was one.
pub async fn resume(db: &Db, scope: &Scope) -> Result<Option<Pause>, DbError> {
    Ok(sqlx::query_as!(
        Pause,
        r#"DELETE FROM photo_generation_pauses WHERE what = $1 AND name = left($2, 200)
           RETURNING what, name, reason, "pausedAt" AS paused_at, now() AS "read_at!""#,
        scope.what(),
        scope.name(),
    )
    .fetch_optional(&db.pool)
    .await?)
}

/// Forgets what blocks the accounts of a model: bad key, no credit, model gone. After the mend, to go on
/// at once instead of at the next try; what still is wrong blocks again. Which those were, as
/// `provider/account/model`. Nothing else than a model is blocked.
pub async fn unblock(db: &Db, scope: &Scope) -> Result<Vec<String>, DbError> {
    let model = match scope {
        Scope::Model(name) => name,
        Scope::All | Scope::Type(_) | Scope::Tenant(_) => return Ok(Vec::new()),
    };
    let unblocked = sqlx::query_scalar!(
        r#"WITH unblocked AS (
               UPDATE photo_generation_limits
               SET "blockedUntil" = NULL, reason = NULL, "updatedAt" = now()
               WHERE "blockedUntil" IS NOT NULL AND model = $1
               RETURNING concat_ws('/', provider, account, model) AS key
           )
           SELECT key AS "key!" FROM unblocked ORDER BY key"#,
        model,
    )
    .fetch_all(&db.pool)
    .await?;
    Ok(unblocked)
}

/// All that is paused, the widest first.
pub async fn list(db: &Db) -> Result<Vec<Pause>, DbError> {
    Ok(sqlx::query_file_as!(Pause, "sql/queue/pauses.sql")
        .fetch_all(&db.pool)
        .await?)
}

/// What of it keeps a job that waits from being begun.
pub async fn of_job(db: &Db, job: JobId) -> Result<Vec<Pause>, DbError> {
    Ok(sqlx::query_as!(
        Pause,
        r#"SELECT pause.what AS "what!", pause.name AS "name!", pause.reason,
                  pause."pausedAt" AS paused_at, now() AS "read_at!"
           FROM photo_generation_queue AS job
           CROSS JOIN LATERAL photo_generation_pauses_of(
               photo_generation_type(job.type::text),
               coalesce(nullif(photo_generation_model(job.model::text), ''),
                        photo_generation_default_model()),
               photo_generation_tenant(job."teamId"::text, job."userId"::text)) AS pause
           WHERE job.id = $1 AND job.status IN ('pending', 'rate_limited')
           ORDER BY pause.what"#,
        job
    )
    .fetch_all(&db.pool)
    .await?)
}

/// The models that have limits or waiting jobs, and the types of waiting jobs.
pub async fn known(db: &Db) -> Result<Known, DbError> {
    let rows = sqlx::query!(
        r#"SELECT DISTINCT what AS "what!", name AS "name!" FROM (
               SELECT 'model', model FROM photo_generation_limits
               UNION ALL SELECT 'model', model FROM photo_generation_kinds()
               UNION ALL SELECT 'model', photo_generation_default_model()
               UNION ALL SELECT 'type', type FROM photo_generation_kinds()
           ) AS known (what, name)
           WHERE name <> '' ORDER BY 1, 2"#
    )
    .fetch_all(&db.pool)
    .await?;
    let (models, types): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.what == "model");
    Ok(Known {
        models: models.into_iter().map(|row| row.name).collect(),
        types: types.into_iter().map(|row| row.name).collect(),
    })
}
