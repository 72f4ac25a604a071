//! Which objects of the storage no row knows. Asked for many at a time.
//!
//! In doubt an object is known: of a job that has not ended, of a call that is open, in the list of those
//! that are to be removed anyway, or named by a job past us.

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use crate::db::uploads::Upload;
use crate::db::{Db, DbError};
use crate::domain::Tenant;

/// Jobs of a tenant that are looked through in one statement.
const JOBS_AT_ONCE: i64 = 1000;

/// A generated object, by what its name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Photo {
    pub key: String,
    pub job_id: Uuid,
    pub call_id: Uuid,
}

/// Those that no row knows.
pub async fn unknown_photos(db: &Db, photos: &[Photo]) -> Result<HashSet<String>, DbError> {
    let keys: Vec<String> = photos.iter().map(|photo| photo.key.clone()).collect();
    let jobs: Vec<Uuid> = photos.iter().map(|photo| photo.job_id).collect();
    let calls: Vec<Uuid> = photos.iter().map(|photo| photo.call_id).collect();
    let unknown = sqlx::query_scalar!(
        r#"SELECT object.key AS "key!"
           FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS object (key, job, call)
           WHERE NOT EXISTS (
                   SELECT FROM photo_generation_queue AS job
                   WHERE job."jobId" = object.job
                     AND (job.status::text IN ('pending', 'processing', 'rate_limited')
                          OR EXISTS (SELECT FROM photo_generation_images AS image
                                     WHERE image."jobId" = job.id AND image."storageKey" = object.key)))
             -- By the ledger as well, if somebody has given the job another uuid.
             AND NOT EXISTS (
                   SELECT FROM photo_generation_calls AS call
                   WHERE call.id = object.call
                     AND (call.state = 'calling'
                          OR EXISTS (SELECT FROM photo_generation_images AS image
                                     WHERE image."jobId" = call."jobId"
                                       AND image."storageKey" = object.key)))
             AND NOT EXISTS (SELECT FROM photo_generation_removals AS removal
                             WHERE removal."storageKey" = object.key)"#,
        &keys,
        &jobs,
        &calls
    )
    .fetch_all(&db.pool)
    .await?;
    Ok(unknown.into_iter().collect())
}

/// The garments, by their keys and calls, that no row knows.
pub async fn unknown_garments(
    db: &Db,
    keys: &[String],
    calls: &[Uuid],
) -> Result<HashSet<String>, DbError> {
    let unknown = sqlx::query_scalar!(
        r#"SELECT object.key AS "key!"
           FROM unnest($1::text[], $2::uuid[]) AS object (key, call)
           WHERE NOT EXISTS (SELECT FROM photo_generation_garments AS garment
                             WHERE garment."storageKey" = object.key)
             AND NOT EXISTS (SELECT FROM photo_generation_calls AS call
                             WHERE call.id = object.call AND call.state = 'calling')"#,
        keys,
        calls
    )
    .fetch_all(&db.pool)
    .await?;
    Ok(unknown.into_iter().collect())
}

/// Those that have no row and that no job names.
pub async fn unknown_uploads(db: &Db, uploads: &[Upload]) -> Result<HashSet<Upload>, DbError> {
    let tenants: Vec<String> = uploads
        .iter()
        .map(|upload| upload.tenant.to_string())
        .collect();
    let names: Vec<String> = uploads.iter().map(|upload| upload.name.clone()).collect();
    let rows = sqlx::query!(
        r#"SELECT object.tenant AS "tenant!", object.name AS "name!"
           FROM unnest($1::text[], $2::text[]) AS object (tenant, name)
           WHERE NOT EXISTS (SELECT FROM photo_generation_uploads AS upload
                             WHERE upload.tenant = object.tenant AND upload.name = object.name)"#,
        &tenants,
        &names
    )
    .fetch_all(&db.pool)
    .await?;
    let mut of_tenants: BTreeMap<String, HashSet<String>> = BTreeMap::new();
    for row in rows {
        of_tenants.entry(row.tenant).or_default().insert(row.name);
    }
    let mut unknown = HashSet::new();
    for (tenant, mut names) in of_tenants {
        leave_unnamed(db, &tenant, &mut names).await?;
        let tenant = Tenant::from_stored(&tenant);
        unknown.extend(names.into_iter().map(|name| Upload {
            tenant: tenant.clone(),
            name,
        }));
    }
    Ok(unknown)
}

/// Takes out those that a job of the tenant names.
async fn leave_unnamed(db: &Db, tenant: &str, names: &mut HashSet<String>) -> Result<(), DbError> {
    let mut before = Some(i64::MAX);
    while let Some(reached) = before
        && !names.is_empty()
    {
        let step = sqlx::query!(
            r#"SELECT min(job.id) AS reached,
                      coalesce(array_agg(found[1]) FILTER (WHERE found IS NOT NULL), '{}') AS "named!"
               FROM (SELECT id::bigint AS id,
                            concat_ws(' ', "trainingImageUrls"::text, "exampleImageUrl"::text,
                                      payload::text) AS wishes
                     FROM photo_generation_queue
                     WHERE photo_generation_tenant("teamId"::text, "userId"::text) = left($1, 200)
                       AND id < $2
                     ORDER BY id DESC LIMIT $3) AS job
               LEFT JOIN LATERAL regexp_matches(
                   job.wishes, 'upload:([0-9a-f]{64}\.[a-z]+)', 'g') AS found ON true"#,
            tenant,
            reached,
            JOBS_AT_ONCE
        )
        .fetch_one(&db.pool)
        .await?;
        for name in step.named {
            names.remove(&name);
        }
        before = step.reached;
    }
    Ok(())
}
