//! Objects of pruned jobs that the storage has to remove: `photo_generation_removals`.
//!
//! Who takes some has them for a while, without a transaction or a lock; one that dies leaves them to the
//! next. What is removed twice is removed.

use std::time::Duration;

use crate::db::{Db, DbError, seconds};

/// Whoever has taken objects has removed them by then. Also the first pause after a failure; the next ones
/// are as long as it has been tried already.
const TAKEN_FOR: Duration = Duration::from_mins(10);
/// Longest pause.
const AGAIN_WITHIN: Duration = Duration::from_hours(12);

/// An object that is to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// As it was stored; perhaps no name of an object.
    pub key: String,
    /// It was tried before, in vain.
    pub failed: bool,
}

/// Takes some objects, the longest due first.
pub async fn removals(db: &Db, limit: i64) -> Result<Vec<Removal>, DbError> {
    Ok(sqlx::query_as!(
        Removal,
        r#"UPDATE photo_generation_removals
           SET "tryAt" = now() + make_interval(secs => least(
                   greatest(extract(epoch FROM now() - "createdAt")::double precision, $2), $3))
           WHERE "storageKey" = ANY (ARRAY(
               SELECT "storageKey" FROM photo_generation_removals
               WHERE "tryAt" <= now() ORDER BY "tryAt" LIMIT $1 FOR UPDATE SKIP LOCKED))
           RETURNING "storageKey" AS key, error IS NOT NULL AS "failed!""#,
        limit,
        seconds(TAKEN_FOR),
        seconds(AGAIN_WITHIN)
    )
    .fetch_all(&db.pool)
    .await?)
}

/// These are gone from the storage.
pub async fn removed(db: &Db, keys: &[String]) -> Result<(), DbError> {
    sqlx::query!(
        r#"DELETE FROM photo_generation_removals WHERE "storageKey" = ANY ($1)"#,
        keys
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// These are not: what the storage said.
pub async fn still_there(db: &Db, keys: &[String], error: &str) -> Result<(), DbError> {
    sqlx::query!(
        r#"UPDATE photo_generation_removals SET error = $2 WHERE "storageKey" = ANY ($1)"#,
        keys,
        error
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}
