//! Inserting a job, as an app would.
//!
//! Only columns that were asked for are written, all others keep their defaults. The row goes to
//! Postgres as JSON, so that it converts each value to whatever type the column has: on a table that
//! an app made, `"userId"` may be a number or a uuid. An idempotency key needs no transaction: the
//! unique index decides, and the one who comes second looks at what the first one made.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::db::json::Json;
use crate::db::{Db, DbError, seconds};
use crate::domain::{JobId, Status, Tenant};

/// The columns that say what is wanted: two inserts with one key must agree in them.
const WISHES: [&str; 16] = [
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
];

/// The conflict with `safelight_idempotency_key`, in its words.
const KEY_CONFLICT: &str = r#"
    ON CONFLICT ((coalesce('team:' || nullif("teamId"::text, ''),
                           'user:' || nullif("userId"::text, ''), 'none')), "idempotencyKey")
        WHERE "idempotencyKey" IS NOT NULL DO NOTHING"#;

/// So often is a key looked for that is not free. One that was deleted in between is free the next time.
const KEY_TRIES: usize = 3;

/// What to enqueue. `None`, and no pictures, leave the column's default.
#[derive(Debug, Default, Clone)]
pub struct NewJob {
    pub prompt: String,
    pub images: Option<i32>,
    pub aspect_ratio: Option<String>,
    pub model: Option<String>,
    pub priority: Option<String>,
    pub team_id: Option<String>,
    pub user_id: Option<String>,
    pub batch_id: Option<i64>,
    pub max_attempts: Option<i32>,
    /// Input pictures: URLs or `upload:` names.
    pub pictures: Vec<String>,
    /// For `imageSize` and its kin.
    pub payload: Option<serde_json::Value>,
    /// The app's own.
    pub metadata: Option<Json>,
    /// One job per tenant and key.
    pub idempotency_key: Option<String>,
    /// From the insertion on.
    pub expires_in: Option<Duration>,
}

/// The job that an enqueue led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enqueued {
    pub id: JobId,
    pub job_id: Uuid,
    pub status: Status,
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
    #[error("the idempotency key is that of job {0}, which asks for something else")]
    KeyTaken(JobId),
    /// A trigger or a policy of the app's table writes another tenant into the row, or hides the job.
    #[error("the idempotency key is taken by a job that is not found under the tenant asked for")]
    KeyHidden,
}

impl NewJob {
    /// What was asked for, by column.
    fn columns(&self) -> Result<BTreeMap<&'static str, Json>, DbError> {
        let mut columns = Columns::default();
        columns.put("basePrompt", Some(&self.prompt))?;
        columns.put("numImagesPerExample", self.images.as_ref())?;
        columns.put("aspectRatio", self.aspect_ratio.as_ref())?;
        columns.put("model", self.model.as_ref())?;
        columns.put("priority", self.priority.as_ref())?;
        columns.put("teamId", self.team_id.as_ref())?;
        columns.put("userId", self.user_id.as_ref())?;
        columns.put("batchId", self.batch_id.as_ref())?;
        columns.put("maxAttempts", self.max_attempts.as_ref())?;
        let pictures = (!self.pictures.is_empty()).then_some(&self.pictures);
        columns.put("trainingImageUrls", pictures)?;
        columns.put("payload", self.payload.as_ref())?;
        columns.put("metadata", self.metadata.as_ref())?;
        columns.put("idempotencyKey", self.idempotency_key.as_ref())?;
        Ok(columns.0)
    }
}

#[derive(Default)]
struct Columns(BTreeMap<&'static str, Json>);

impl Columns {
    fn put(&mut self, column: &'static str, value: Option<&impl Serialize>) -> Result<(), DbError> {
        if let Some(value) = value {
            self.0.insert(column, document(value)?);
        }
        Ok(())
    }
}

fn document(value: &impl Serialize) -> Result<Json, DbError> {
    Json::of(value).map_err(|error| DbError::Corrupt(error.to_string()))
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

/// Inserts the job, or finds the one that was inserted with its key before.
pub async fn enqueue(db: &Db, job: &NewJob) -> Result<Enqueued, EnqueueError> {
    let columns = job.columns()?;
    let row = document(&columns)?;
    for _ in 0..KEY_TRIES {
        if let Some(inserted) = insert(db, job, &columns, &row).await? {
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

/// `None`: the key is taken.
async fn insert(
    db: &Db,
    job: &NewJob,
    columns: &BTreeMap<&'static str, Json>,
    row: &Json,
) -> Result<Option<Enqueued>, EnqueueError> {
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
           RETURNING id::bigint, "jobId", status::text"#,
        names = names.join(", ")
    );
    let inserted = sqlx::query_as::<_, (JobId, Uuid, Status)>(AssertSqlSafe(statement))
        .bind(row.as_str())
        .bind(job.expires_in.map(seconds))
        .fetch_optional(&db.pool)
        .await;
    match inserted.map_err(DbError::from) {
        Ok(inserted) => Ok(inserted.map(|(id, job_id, status)| Enqueued {
            id,
            job_id,
            status,
            how: Insertion::Inserted,
        })),
        Err(error) if error.is_missing_reference() => Err(missing(db, error).await),
        Err(error) if error.is_bad_value() => Err(misfit(db, columns, error).await),
        Err(error) => Err(error.into()),
    }
}

/// The job that has the key, and whether it asks for the same.
async fn keyed(db: &Db, job: &NewJob, row: &Json) -> Result<Option<(Enqueued, bool)>, DbError> {
    let defaults = json!({
        "numImagesPerExample": 4,
        "maxAttempts": 5,
        "trainingImageUrls": [],
        "priority": "normal",
        "type": "photo_generation",
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
            how: Insertion::WasThere,
        };
        (there, row.same)
    }))
}

/// Which column it was that did not take its value; Postgres does not say.
async fn misfit(db: &Db, columns: &BTreeMap<&'static str, Json>, error: DbError) -> EnqueueError {
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
