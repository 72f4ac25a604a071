//! Inserting a job, as an app would.
//!
//! Only columns that were asked for are written, all others keep their defaults. The row goes to
//! Postgres as JSON, so that it converts each value to whatever type the column has: on a table that
//! an app made, `"userId"` may be a number or a uuid. An idempotency key needs no transaction: the
//! unique index decides, and the one who comes second looks at what the first one made.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgExecutor};
use uuid::Uuid;

use super::wishes::{Columns, DEFAULT_IMAGES, NewJob, document};
use crate::db::connections::Transaction;
use crate::db::credits::Lack;
use crate::db::json::Json;
use crate::db::{Db, DbError, seconds};
use crate::domain::{JobId, JobType, Status, Tenant};

/// The columns that say what is wanted: two inserts with one key must agree in them.
const WISHES: [&str; 17] = [
    "basePrompt",
    "exampleImagePrompt",
    "exampleImageUrl",
    "trainingImageUrls",
    "numImagesPerExample",
    "aspectRatio",
    "type",
    "provider",
    "model",
    "priority",
    "teamId",
    "userId",
    "batchId",
    "maxAttempts",
    "payload",
    "metadata",
    "webhookUrl",
];

/// The conflict with `safelight_idempotency_key`, in its words.
const KEY_CONFLICT: &str = r#"
    ON CONFLICT ((coalesce('team:' || nullif("teamId"::text, ''),
                           'user:' || nullif("userId"::text, ''), 'none')), "idempotencyKey")
        WHERE "idempotencyKey" IS NOT NULL DO NOTHING"#;

/// So often is a key looked for that is not free. One that was deleted in between is free the next time.
const KEY_TRIES: usize = 3;

/// The job that an enqueue led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enqueued {
    pub id: JobId,
    pub job_id: Uuid,
    pub status: Status,
    pub created_at: Option<DateTime<Utc>>,
    pub how: Insertion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insertion {
    Inserted,
    /// An earlier enqueue with the same idempotency key and the same wishes made it.
    WasThere,
}

/// Why a job cannot be enqueued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    #[error(transparent)]
    Database(#[from] DbError),
    /// A column of this table does not take what was asked for.
    #[error("\"{column}\" is of type {kind} in this database")]
    DoesNotFit { column: &'static str, kind: String },
    /// A column names a row of another table that is not there.
    #[error("\"{column}\" names a row of {table} that is not there")]
    NoSuchRow { column: String, table: String },
    /// Its tenant has not the credits for it.
    #[error("{}", .0.sentence())]
    NoCredit(Lack),
    #[error("the idempotency key is that of job {0}, which asks for something else")]
    KeyTaken(JobId),
    /// A trigger or a policy of the app's table writes another tenant into the row, or hides the job.
    #[error("the idempotency key is taken by a job that is not found under the tenant asked for")]
    KeyHidden,
}

/// Whose the job would be, as the table writes it. Asked before anything is stored: also tells when a
/// column does not take what it is to hold.
pub async fn tenant_of(db: &Db, job: &NewJob) -> Result<Tenant, EnqueueError> {
    let columns = job.columns()?;
    let row = document(&columns)?;
    let asked = sqlx::query!(
        r#"SELECT "teamId"::text AS team, "userId"::text AS person
           FROM jsonb_populate_record(NULL::public.photo_generation_queue, $1::text::jsonb)"#,
        row.as_str()
    )
    .fetch_one(&db.pool)
    .await;
    match asked.map_err(DbError::from) {
        Ok(row) => Ok(Tenant::of(row.team.as_deref(), row.person.as_deref())),
        Err(error) if error.is_bad_value() => Err(misfit(db, &columns, error).await),
        Err(error) => Err(error.into()),
    }
}

/// The job that was inserted with this one's key before, if it has a key.
pub async fn enqueued_before(db: &Db, job: &NewJob) -> Result<Option<Enqueued>, EnqueueError> {
    if job.idempotency_key.is_none() {
        return Ok(None);
    }
    let row = document(&job.columns()?)?;
    match keyed(db, job, &row).await? {
        None => Ok(None),
        Some((there, true)) => Ok(Some(there)),
        Some((there, false)) => Err(EnqueueError::KeyTaken(there.id)),
    }
}

/// Inserts the job, or finds the one that was inserted with its key before.
pub async fn enqueue(db: &Db, job: &NewJob) -> Result<Enqueued, EnqueueError> {
    let columns = job.columns()?;
    let row = document(&columns)?;
    for _ in 0..KEY_TRIES {
        let inserted = insert(&db.pool, job, &columns, &row).await;
        if let Some(inserted) = told(db, &columns, inserted).await? {
            return Ok(inserted);
        }
        if let Some((there, same)) = keyed(db, job, &row).await? {
            return if same {
                Ok(there)
            } else {
                Err(EnqueueError::KeyTaken(there.id))
            };
        }
    }
    Err(EnqueueError::KeyHidden)
}

/// Inserts the job within a transaction; `None`: its key is taken.
pub(in crate::db) async fn enqueue_within(
    db: &Db,
    transaction: &mut Transaction,
    job: &NewJob,
) -> Result<Option<Enqueued>, EnqueueError> {
    let columns = job.columns()?;
    let row = document(&columns)?;
    let inserted = insert(transaction, job, &columns, &row).await;
    told(db, &columns, inserted).await
}

/// `None`: the key is taken.
async fn insert(
    connection: impl PgExecutor<'_>,
    job: &NewJob,
    columns: &Columns,
    row: &Json,
) -> Result<Option<Enqueued>, DbError> {
    let mut names: Vec<_> = columns.keys().map(|name| format!("\"{name}\"")).collect();
    if job.expires_in.is_some() {
        names.push("\"expiresAt\"".to_owned());
    }
    let on_conflict = if job.idempotency_key.is_some() {
        KEY_CONFLICT
    } else {
        ""
    };
    // The names are ours, see `columns`.
    let statement = format!(
        r#"INSERT INTO public.photo_generation_queue ({names})
           SELECT {names} FROM jsonb_populate_record(
               NULL::public.photo_generation_queue,
               $1::jsonb || jsonb_build_object('expiresAt', now() + make_interval(secs => $2)))
           {on_conflict}
           RETURNING id::bigint, "jobId", status::text,
               CASE WHEN "createdAt" BETWEEN '0001-01-01' AND '9999-12-31' THEN "createdAt" END::timestamptz"#,
        names = names.join(", ")
    );
    let inserted =
        sqlx::query_as::<_, (JobId, Uuid, Status, Option<DateTime<Utc>>)>(AssertSqlSafe(statement))
            .bind(row.as_str())
            .bind(job.expires_in.map(seconds))
            .fetch_optional(connection)
            .await?;
    Ok(inserted.map(|(id, job_id, status, created_at)| Enqueued {
        id,
        job_id,
        status,
        created_at,
        how: Insertion::Inserted,
    }))
}

impl EnqueueError {
    fn of(error: DbError) -> Self {
        match error.lack_of_credits() {
            Some(lack) => Self::NoCredit(lack),
            None => Self::Database(error),
        }
    }
}

/// What became of an insert, told by the column that was the reason.
async fn told<T>(
    db: &Db,
    columns: &Columns,
    inserted: Result<T, DbError>,
) -> Result<T, EnqueueError> {
    match inserted {
        Ok(inserted) => Ok(inserted),
        Err(error) if error.is_missing_reference() => Err(missing(db, error).await),
        Err(error) if error.is_bad_value() => Err(misfit(db, columns, error).await),
        Err(error) => Err(EnqueueError::of(error)),
    }
}

/// The job that has the key, and whether it asks for the same.
async fn keyed(db: &Db, job: &NewJob, row: &Json) -> Result<Option<(Enqueued, bool)>, DbError> {
    let defaults = json!({
        "numImagesPerExample": DEFAULT_IMAGES,
        "maxAttempts": 5,
        "trainingImageUrls": [],
        "priority": "normal",
        "type": JobType::default().as_str(),
    });
    let found = sqlx::query_file!(
        "sql/queue/keyed.sql",
        row.as_str(),
        &WISHES.map(str::to_owned),
        defaults.to_string(),
        job.expires_in.map(seconds)
    )
    .fetch_optional(&db.pool)
    .await?;
    Ok(found.map(|row| {
        let there = Enqueued {
            id: row.id,
            job_id: row.job_id,
            status: row.status,
            created_at: row.created_at,
            how: Insertion::WasThere,
        };
        (there, row.same)
    }))
}

/// Which column it was that did not take its value; Postgres does not say.
async fn misfit(db: &Db, columns: &Columns, error: DbError) -> EnqueueError {
    for (column, value) in columns {
        let alone = sqlx::query!(
            r#"SELECT FROM jsonb_populate_record(NULL::public.photo_generation_queue,
                   jsonb_build_object($1::text, $2::text::jsonb))"#,
            column,
            value.as_str()
        );
        let taken = alone.execute(&db.pool).await.map_err(DbError::from);
        if taken.is_err_and(|error| error.is_bad_value()) {
            let kind = sqlx::query_scalar!(
                r#"SELECT format_type(atttypid, atttypmod) FROM pg_attribute
                   WHERE attrelid = 'public.photo_generation_queue'::regclass AND attname = $1"#,
                column
            );
            let kind = kind.fetch_optional(&db.pool).await.ok().flatten().flatten();
            return EnqueueError::DoesNotFit {
                column,
                kind: kind.unwrap_or_default(),
            };
        }
    }
    error.into()
}

/// Which column names a row that is not there, and of which table.
async fn missing(db: &Db, error: DbError) -> EnqueueError {
    let found = sqlx::query!(
        r#"SELECT attname::text AS "column!", confrelid::regclass::text AS "table!"
           FROM pg_constraint
           JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
           WHERE conrelid = 'public.photo_generation_queue'::regclass AND conname = $1"#,
        error.constraint()
    );
    match found.fetch_optional(&db.pool).await {
        Ok(Some(row)) => EnqueueError::NoSuchRow {
            column: row.column,
            table: row.table,
        },
        Ok(None) | Err(_) => error.into(),
    }
}

/// About how many jobs of a tenant wait, counted no further than `most`, before one of this kind comes.
pub async fn waiting(db: &Db, tenant: &Tenant, coming: &NewJob, most: i64) -> Result<i64, DbError> {
    let waiting = sqlx::query_file_scalar!(
        "sql/queue/waiting_of.sql",
        tenant.as_str(),
        coming.model,
        coming.kind.map(JobType::as_str),
        most
    )
    .fetch_one(&db.pool)
    .await?;
    Ok(waiting)
}
