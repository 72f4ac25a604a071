//! How the fleet stands: clocks, what the providers allow, who works and what waits.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::db::{Db, DbError, seconds};

/// A worker that has not renewed for this long counts as dead, as in `sql/ops/workers.sql`.
const SILENT: Duration = Duration::from_secs(30);
/// When rows that another program locked are taken back.
const FOREIGN_STALE: Duration = Duration::from_mins(5);
/// Beyond this a number of waiting jobs says nothing more, and counting goes on for long.
const COUNTED_AT_MOST: i64 = 10_000;

/// What the database's clock says.
pub async fn clock(db: &Db) -> Result<DateTime<Utc>, DbError> {
    let now = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#)
        .fetch_one(&db.pool)
        .await?;
    Ok(now)
}

/// Columns of the queue and of the batches that hold a time without its zone, as adopted tables
/// may; they are read as UTC.
pub async fn untimed_columns(db: &Db) -> Result<Vec<String>, DbError> {
    let columns = sqlx::query_scalar!(
        r#"SELECT format('%I.%I', relname, attname) AS "name!"
           FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
           WHERE relnamespace = 'public'::regnamespace
             AND relname IN ('photo_generation_queue', 'photo_generation_batches')
             AND atttypid = 'timestamp'::regtype AND attnum > 0 AND NOT attisdropped
           ORDER BY relname, attname"#
    )
    .fetch_all(&db.pool)
    .await?;
    Ok(columns)
}

/// A time zone other than UTC in which sessions write such columns.
#[derive(Debug)]
pub struct Zone {
    /// `timezone=Europe/Berlin`.
    pub setting: String,
    pub sql: String,
}

/// Zones that are set for this database or for a role.
pub async fn zones(db: &Db) -> Result<Vec<Zone>, DbError> {
    Ok(sqlx::query_as!(
        Zone,
        r#"SELECT setting AS "setting!",
                  format('ALTER %s SET timezone = ''UTC'';', CASE
                      WHEN setrole = 0 THEN format('DATABASE %I', datname)
                      WHEN setdatabase = 0 THEN format('ROLE %I', rolname)
                      ELSE format('ROLE %I IN DATABASE %I', rolname, datname) END) AS "sql!"
           FROM pg_db_role_setting
           CROSS JOIN LATERAL unnest(setconfig) AS setting
           LEFT JOIN pg_database ON pg_database.oid = setdatabase
           LEFT JOIN pg_roles ON pg_roles.oid = setrole
           WHERE coalesce(datname = current_database(), true)
             AND setting ILIKE 'timezone=%'
             AND upper(split_part(setting, '=', 2)) NOT IN ('UTC', 'GMT', 'ETC/UTC', 'ETC/GMT', 'Z')
           ORDER BY setting"#
    )
    .fetch_all(&db.pool)
    .await?)
}

/// The zone of our own session, when it is not UTC although we ask for it: some poolers drop that.
pub async fn session_zone(db: &Db) -> Result<Option<Zone>, DbError> {
    Ok(sqlx::query_as!(
        Zone,
        r#"SELECT 'timezone=' || current_setting('TimeZone') AS "setting!",
                  format('ALTER ROLE %I IN DATABASE %I SET timezone = ''UTC'';',
                         current_user, current_database()) AS "sql!"
           WHERE upper(current_setting('TimeZone')) NOT IN ('UTC', 'GMT', 'ETC/UTC', 'ETC/GMT')"#
    )
    .fetch_optional(&db.pool)
    .await?)
}

/// An account and model that takes no calls now.
#[derive(Debug)]
pub struct Limited {
    pub provider: String,
    pub account: String,
    pub model: String,
    pub paused: bool,
    pub blocked: bool,
    /// Until the next call, or the next try of a blocked one.
    pub seconds: f64,
    pub reason: Option<String>,
    /// Ends it at once.
    pub sql: String,
}

/// The rows of `sql/ops/limits.sql`, and what ends each.
pub async fn limited(db: &Db) -> Result<Vec<Limited>, DbError> {
    Ok(sqlx::query_as!(
        Limited,
        r#"SELECT provider, account, model, paused, "blockedUntil" IS NOT NULL AS "blocked!",
                  -- A hand may have written infinity, from which nothing can be subtracted.
                  extract(epoch FROM least(greatest("blockedUntil", "cooldownUntil", now()),
                                           now() + interval '100 years') - now())::float8 AS "seconds!",
                  reason,
                  format('UPDATE photo_generation_limits SET %s, "updatedAt" = now() WHERE provider = %L AND account = %L AND model = %L;',
                         CASE WHEN paused THEN 'paused = false'
                              ELSE '"blockedUntil" = NULL, "cooldownUntil" = NULL, "limitedInARow" = 0, reason = NULL' END,
                         provider, account, model) AS "sql!"
           FROM photo_generation_limits
           WHERE paused OR "blockedUntil" IS NOT NULL OR "cooldownUntil" > now()
           ORDER BY provider, account, model"#
    )
    .fetch_all(&db.pool)
    .await?)
}

/// Who works.
#[derive(Debug)]
pub struct Workers {
    pub alive: i64,
    /// Their labels and hosts.
    pub names: Option<String>,
}

pub async fn workers(db: &Db) -> Result<Workers, DbError> {
    Ok(sqlx::query_as!(
        Workers,
        r#"SELECT count(*) AS "alive!",
                  string_agg(concat_ws(' on ', label, host), ', ' ORDER BY label, host) AS names
           FROM photo_generation_workers
           WHERE "renewedAt" > now() - make_interval(secs => $1)"#,
        seconds(SILENT)
    )
    .fetch_one(&db.pool)
    .await?)
}

/// Jobs that are locked, and nobody says that he works on them.
#[derive(Debug)]
pub struct Held {
    /// By workers of ours that are dead.
    pub by_dead: i64,
    /// By other programs, and not renewed for five minutes.
    pub by_others: i64,
}

pub async fn held_by_nobody(db: &Db) -> Result<Held, DbError> {
    Ok(sqlx::query_as!(
        Held,
        r#"SELECT count(*) FILTER (WHERE job.run IS NOT NULL) AS "by_dead!",
                  count(*) FILTER (WHERE job.run IS NULL
                      AND coalesce(job."lockedAt", job."updatedAt", job."createdAt", '-infinity')
                          < now() - make_interval(secs => $2)) AS "by_others!"
           FROM photo_generation_queue AS job
           WHERE status = 'processing'
             AND NOT EXISTS (SELECT FROM photo_generation_workers AS worker
                             WHERE worker.run = job.run
                               AND worker."renewedAt" > now() - make_interval(secs => $1))"#,
        seconds(SILENT),
        seconds(FOREIGN_STALE)
    )
    .fetch_one(&db.pool)
    .await?)
}

/// How many jobs could run now, as far as their time has come; not counted beyond ten thousand.
pub async fn due(db: &Db) -> Result<i64, DbError> {
    let due = sqlx::query_scalar!(
        r#"SELECT count(*) AS "due!" FROM (
               SELECT FROM photo_generation_queue
               WHERE status IN ('pending', 'rate_limited') AND coalesce("retryAt", now()) <= now()
               LIMIT $1) AS due"#,
        COUNTED_AT_MOST
    )
    .fetch_one(&db.pool)
    .await?;
    Ok(due)
}
