//! The jobs that requests with these idempotency keys made before.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::db::{Db, DbError};
use crate::domain::{JobId, Status, Tenant};

/// A job that has a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyed {
    pub id: JobId,
    pub job_id: Uuid,
    pub status: Status,
    pub created_at: Option<DateTime<Utc>>,
    pub batch_id: Option<i64>,
    pub retry_of: Option<Uuid>,
    /// Of the request that brought the key; `None`: an app inserted it.
    pub request_hash: Option<String>,
}

/// A tenant's jobs that have these keys, in the order of the keys.
pub async fn with_keys(db: &Db, tenant: &Tenant, keys: &[String]) -> Result<Vec<Keyed>, DbError> {
    Ok(sqlx::query_as!(
        Keyed,
        r#"SELECT job.id::bigint AS "id!", job."jobId" AS "job_id!",
                  job.status::text AS "status!: Status",
                  CASE WHEN job."createdAt" BETWEEN '0001-01-01' AND '9999-12-31'
                       THEN job."createdAt" END::timestamptz AS created_at,
                  job."batchId"::bigint AS batch_id, job."retryOf" AS retry_of,
                  job."requestHash" AS request_hash
           FROM unnest($2::text[]) WITH ORDINALITY AS asked (key, place)
           JOIN photo_generation_queue AS job ON job."idempotencyKey" = asked.key
            AND coalesce('team:' || nullif(job."teamId"::text, ''), 'user:' || nullif(job."userId"::text, ''), 'none') = $1
           ORDER BY asked.place"#,
        tenant.as_str(),
        keys
    )
    .fetch_all(&db.pool)
    .await?)
}
