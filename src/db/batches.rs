//! Batches as callers ask for them: made at once with all their jobs, and looked at.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::jobs::{EnqueueError, Enqueued, NewJob, document, enqueue_within};
use super::json::Json;
use super::{Db, DbError};
use crate::domain::Tenant;

/// A batch to be made.
#[derive(Debug, Clone)]
pub struct NewBatch {
    pub team_id: Option<String>,
    pub user_id: Option<String>,
    /// The app's own.
    pub metadata: Option<Json>,
}

/// A batch as it stands.
#[derive(Debug, Clone)]
pub struct Batch {
    pub id: i64,
    pub team_id: Option<String>,
    pub user_id: Option<String>,
    /// `generating | completed | failed`
    pub status: String,
    pub metadata: Option<Json>,
    pub created_at: Option<DateTime<Utc>>,
    pub completed_at: Option<DateTime<Utc>>,
    pub jobs: i64,
    pub jobs_ended: i64,
    pub images_total: i64,
    pub images_completed: i64,
}

impl Batch {
    pub fn tenant(&self) -> Tenant {
        Tenant::of(self.team_id.as_deref(), self.user_id.as_deref())
    }
}

/// A stored image of a batch.
#[derive(Debug, Clone)]
pub struct BatchImage {
    /// Of its job among all of the batch, from 1.
    pub job: i64,
    pub team_id: Option<String>,
    pub user_id: Option<String>,
    pub index: i32,
    pub storage_key: String,
    pub mime_type: String,
    pub bytes: i64,
    /// Lower-case hex.
    pub sha256: String,
}

impl BatchImage {
    pub fn tenant(&self) -> Tenant {
        Tenant::of(self.team_id.as_deref(), self.user_id.as_deref())
    }
}

/// What making a batch led to.
#[derive(Debug, Clone)]
pub enum Made {
    New {
        id: i64,
        jobs: Vec<Enqueued>,
    },
    /// The first of the jobs has a key that is taken: the batch was made before, or is another's.
    KeyTaken,
}

/// Makes a batch and all its jobs, or nothing.
pub async fn make(db: &Db, batch: &NewBatch, jobs: &[NewJob]) -> Result<Made, EnqueueError> {
    let row = document(&BTreeMap::from([
        ("teamId", batch.team_id.as_ref().map(document).transpose()?),
        ("userId", batch.user_id.as_ref().map(document).transpose()?),
        ("metadata", batch.metadata.clone()),
    ]))?;
    let mut transaction = db.pool.begin().await.map_err(DbError::from)?;
    let id = sqlx::query_scalar!(
        r#"INSERT INTO photo_generation_batches ("teamId", "userId", metadata)
           SELECT "teamId", "userId", metadata
           FROM jsonb_populate_record(NULL::public.photo_generation_batches, $1::text::jsonb)
           RETURNING id::bigint AS "id!""#,
        row.as_str()
    )
    .fetch_one(&mut transaction)
    .await
    .map_err(|error| misfit(error.into()))?;
    let mut made = Vec::with_capacity(jobs.len());
    for job in jobs {
        let job = NewJob {
            batch_id: Some(id),
            ..job.clone()
        };
        match enqueue_within(db, &mut transaction, &job).await? {
            Some(enqueued) => made.push(enqueued),
            // Dropped, and with it all that was made.
            None => return Ok(Made::KeyTaken),
        }
    }
    transaction.commit().await.map_err(DbError::from)?;
    Ok(Made::New { id, jobs: made })
}

/// Only the metadata may be anything: ids are those of the jobs, which were asked about before.
fn misfit(error: DbError) -> EnqueueError {
    if error.is_bad_value() {
        EnqueueError::DoesNotFit {
            column: "metadata",
            kind: "jsonb".to_owned(),
        }
    } else {
        error.into()
    }
}

/// Whose a batch is; `None`: there is none.
pub async fn owner(db: &Db, id: i64) -> Result<Option<Tenant>, DbError> {
    let owner = sqlx::query!(
        r#"SELECT "teamId"::text AS team, "userId"::text AS person
           FROM photo_generation_batches WHERE id = $1"#,
        id
    )
    .fetch_optional(&db.pool)
    .await?;
    Ok(owner.map(|row| Tenant::of(row.team.as_deref(), row.person.as_deref())))
}

/// The batch and how far its jobs are.
pub async fn find(db: &Db, id: i64) -> Result<Option<Batch>, DbError> {
    Ok(sqlx::query_as!(
        Batch,
        r#"SELECT batch.id::bigint AS "id!", batch."teamId"::text AS team_id,
                  batch."userId"::text AS user_id, batch.status::text AS "status!",
                  batch.metadata::text AS "metadata: Json",
                  CASE WHEN batch."createdAt" BETWEEN '0001-01-01' AND '9999-12-31'
                       THEN batch."createdAt" END::timestamptz AS created_at,
                  CASE WHEN batch."completedAt" BETWEEN '0001-01-01' AND '9999-12-31'
                       THEN batch."completedAt" END::timestamptz AS completed_at,
                  of_it.jobs AS "jobs!", of_it.ended AS "jobs_ended!",
                  of_it.total AS "images_total!", of_it.completed AS "images_completed!"
           FROM photo_generation_batches AS batch
           CROSS JOIN LATERAL (
               SELECT count(*) AS jobs,
                      count(*) FILTER (WHERE status::text IN ('completed', 'failed', 'canceled')) AS ended,
                      coalesce(sum(coalesce("imagesTotal", "numImagesPerExample", 4)), 0)::bigint AS total,
                      coalesce(sum("imagesCompleted"), 0)::bigint AS completed
               FROM photo_generation_queue WHERE "batchId" = batch.id
           ) AS of_it
           WHERE batch.id = $1"#,
        id
    )
    .fetch_optional(&db.pool)
    .await?)
}

/// The stored images of all its jobs, in order.
pub async fn stored(db: &Db, batch: i64) -> Result<Vec<BatchImage>, DbError> {
    Ok(sqlx::query_as!(
        BatchImage,
        r#"SELECT job.position AS "job!", job.team AS team_id, job.person AS user_id, image.index,
                  image."storageKey" AS "storage_key!", image."mimeType" AS "mime_type!",
                  image.bytes AS "bytes!", image.sha256 AS "sha256!"
           FROM (SELECT id, row_number() OVER (ORDER BY id) AS position, "teamId"::text AS team,
                        "userId"::text AS person
                 FROM photo_generation_queue WHERE "batchId" = $1::bigint) AS job
           JOIN photo_generation_images AS image ON image."jobId" = job.id
           WHERE image.state = 'stored'
           ORDER BY job.position, image.index"#,
        batch
    )
    .fetch_all(&db.pool)
    .await?)
}
