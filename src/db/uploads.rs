//! Pictures that came over HTTP: which there are, and which of them no job ever named.
//!
//! An upload is used from the moment a job names it. One that is not goes after a day, and goes in steps
//! that bear being broken off: its row is marked (`"usedAt"` is `-infinity`), then the object is removed,
//! then the row. Whoever uploads the same picture again takes the mark away.

use std::time::Duration;

use super::{Db, DbError, seconds};
use crate::domain::Tenant;

/// An upload that no job has named within this time is not wanted.
pub const UNUSED_AFTER: Duration = Duration::from_hours(24);
/// A removal that was begun and has not ended by then is begun anew: its worker died.
const REMOVAL_AGAIN: Duration = Duration::from_mins(10);
/// Jobs of a tenant that are looked through in one statement.
const JOBS_AT_ONCE: i64 = 1000;

/// One upload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upload {
    pub tenant: Tenant,
    /// As jobs name it behind `upload:`.
    pub name: String,
}

/// Notes an upload before it is stored, also one that was there and is not used: its day begins anew.
pub async fn record(db: &Db, tenant: &Tenant, name: &str, bytes: i64) -> Result<(), DbError> {
    sqlx::query!(
        r#"INSERT INTO photo_generation_uploads AS there (tenant, name, bytes) VALUES ($1, $2, $3)
           ON CONFLICT (tenant, name) DO UPDATE SET "uploadedAt" = now(), "usedAt" = NULL
           WHERE there."usedAt" IS NULL OR there."usedAt" = '-infinity'"#,
        tenant.as_str(),
        name,
        bytes
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// Bytes of a tenant's uploads that no job has named yet, without this one.
pub async fn unused_bytes(db: &Db, tenant: &Tenant, but: &str) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT coalesce(sum(bytes), 0)::bigint AS "bytes!" FROM photo_generation_uploads
           WHERE tenant = $1 AND name <> $2 AND "usedAt" IS NULL"#,
        tenant.as_str(),
        but
    )
    .fetch_one(&db.pool)
    .await?)
}

/// From now on these are used, which is noted once an hour. Returns those that cannot be: they are being removed. Nothing is said of a
/// name that has no row: it came by another way, if it is there at all.
pub async fn claim(db: &Db, tenant: &Tenant, names: &[String]) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"WITH there AS MATERIALIZED (
               SELECT name, "usedAt" FROM photo_generation_uploads
               WHERE tenant = $1 AND name = ANY ($2)
               ORDER BY name FOR NO KEY UPDATE),
           used AS (
               UPDATE photo_generation_uploads AS upload SET "usedAt" = now() FROM there
               WHERE upload.tenant = $1 AND upload.name = there.name
                 AND (there."usedAt" IS NULL OR there."usedAt" > '-infinity'
                      AND there."usedAt" < now() - interval '1 hour'))
           SELECT name FROM there WHERE "usedAt" = '-infinity'"#,
        tenant.as_str(),
        names
    )
    .fetch_all(&db.pool)
    .await?)
}

/// Some uploads that no job has claimed for a day, and some whose removal was broken off.
pub async fn unused(db: &Db, limit: i64) -> Result<Vec<Upload>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT tenant, name FROM photo_generation_uploads
           WHERE ("usedAt" IS NULL AND "uploadedAt" < now() - make_interval(secs => $1))
              OR ("usedAt" = '-infinity' AND "uploadedAt" < now() - make_interval(secs => $2))
           ORDER BY "uploadedAt" LIMIT $3"#,
        seconds(UNUSED_AFTER),
        seconds(REMOVAL_AGAIN),
        limit
    )
    .fetch_all(&db.pool)
    .await?;
    let upload = |tenant: &str, name| Upload {
        tenant: Tenant::from_stored(tenant),
        name,
    };
    Ok(rows
        .into_iter()
        .map(|row| upload(&row.tenant, row.name))
        .collect())
}

/// Whether a job names it that was inserted past us, with SQL. Looks at the tenant's jobs since the
/// upload, newest first, some at a time: a tenant may have a million older ones.
pub async fn is_named(db: &Db, upload: &Upload) -> Result<bool, DbError> {
    let mut before = i64::MAX;
    loop {
        let look = sqlx::query!(
            r#"SELECT coalesce(bool_or(recent AND names), false) AS "named!",
                      coalesce(bool_and(recent), false) AS "all_recent!", min(id) AS oldest,
                      count(*) AS "jobs!"
               FROM (SELECT job.id::bigint AS id,
                            coalesce(job."createdAt", 'infinity') >= upload."uploadedAt" AS recent,
                            strpos(concat_ws(' ', job."trainingImageUrls"::text,
                                             job."exampleImageUrl"::text, job.payload::text),
                                   'upload:' || upload.name) > 0 AS names
                     FROM photo_generation_uploads AS upload
                     CROSS JOIN LATERAL (
                         SELECT * FROM photo_generation_queue
                         WHERE photo_generation_tenant("teamId"::text, "userId"::text) = left($1, 200)
                           AND id < $3::bigint
                         ORDER BY id DESC LIMIT $4) AS job
                     WHERE upload.tenant = $1 AND upload.name = $2) AS looked_at"#,
            upload.tenant.as_str(),
            upload.name,
            before,
            JOBS_AT_ONCE
        )
        .fetch_one(&db.pool)
        .await?;
        match look.oldest {
            Some(oldest) if !look.named && look.all_recent && look.jobs == JOBS_AT_ONCE => {
                before = oldest;
            }
            _ => return Ok(look.named),
        }
    }
}

/// It is used after all.
pub async fn keep(db: &Db, upload: &Upload) -> Result<(), DbError> {
    sqlx::query!(
        r#"UPDATE photo_generation_uploads SET "usedAt" = now()
           WHERE tenant = $1 AND name = $2 AND "usedAt" IS NULL"#,
        upload.tenant.as_str(),
        upload.name
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// Begins to remove it, if it is still unused and nobody else does: from now on no job can claim it.
pub async fn begin_removal(db: &Db, upload: &Upload) -> Result<bool, DbError> {
    let marked = sqlx::query!(
        r#"UPDATE photo_generation_uploads SET "usedAt" = '-infinity', "uploadedAt" = now()
           WHERE tenant = $1 AND name = $2
             AND (("usedAt" IS NULL AND "uploadedAt" < now() - make_interval(secs => $3))
                  OR ("usedAt" = '-infinity' AND "uploadedAt" < now() - make_interval(secs => $4)))"#,
        upload.tenant.as_str(),
        upload.name,
        seconds(UNUSED_AFTER),
        seconds(REMOVAL_AGAIN)
    )
    .execute(&db.pool)
    .await?;
    Ok(marked.rows_affected() > 0)
}

/// Its object is gone, and with it the row, unless it was uploaded again meanwhile.
pub async fn end_removal(db: &Db, upload: &Upload) -> Result<(), DbError> {
    sqlx::query!(
        r#"DELETE FROM photo_generation_uploads
           WHERE tenant = $1 AND name = $2 AND "usedAt" = '-infinity'"#,
        upload.tenant.as_str(),
        upload.name
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}
