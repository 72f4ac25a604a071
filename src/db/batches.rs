//! Batches as their owners see them. What ends them is in `lease` and `sweep`.

use chrono::{DateTime, Utc};

use super::{Db, DbError};
use crate::domain::Tenant;

/// A batch as it stands.
#[derive(Debug, Clone)]
pub struct Batch {
    pub id: i64,
    /// Some job of it has not ended.
    pub is_generating: bool,
    /// As text: an app's own table may have numbers.
    pub team_id: Option<String>,
    pub user_id: Option<String>,
    pub completed_at: Option<DateTime<Utc>>,
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
}

impl BatchImage {
    pub fn tenant(&self) -> Tenant {
        Tenant::of(self.team_id.as_deref(), self.user_id.as_deref())
    }
}

/// One batch, or `None`.
pub async fn find(db: &Db, id: i64) -> Result<Option<Batch>, DbError> {
    Ok(sqlx::query_as!(
        Batch,
        r#"SELECT id::bigint AS "id!", coalesce(status::text = 'generating', false) AS "is_generating!",
                  "teamId"::text AS team_id, "userId"::text AS user_id,
                  CASE WHEN "completedAt" BETWEEN '0001-01-01' AND '9999-12-31'
                       THEN "completedAt" END::timestamptz AS completed_at
           FROM photo_generation_batches WHERE id = $1::bigint"#,
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
                  image.bytes AS "bytes!"
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
