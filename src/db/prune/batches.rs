//! Batches whose jobs are all gone. Only those of a table of ours: an app's own batches are its affair.

use super::{Referrers, Retention, wait_for_nobody};
use crate::db::{Db, DbError};

/// Batches that one look goes over.
const BATCHES_AT_ONCE: i64 = 5000;

/// Removes ended batches without a job that are as old as their jobs had to be, but for those that the app
/// refers to; how many.
pub async fn remove_empty(
    db: &Db,
    retention: &Retention,
    referrers: &Referrers,
) -> Result<u64, DbError> {
    let adopted = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM photo_generation_adoption
                          WHERE "table" = 'photo_generation_batches' AND kind = 'table') AS "adopted!""#
    )
    .fetch_one(&db.pool)
    .await?;
    let mut removed = 0;
    let mut reached = (!adopted).then_some(i64::MIN);
    while let Some(after) = reached {
        let step = sqlx::query_file!(
            "sql/queue/prune_batches.sql",
            after,
            BATCHES_AT_ONCE,
            retention.completed_days,
            retention.failed_days
        )
        .fetch_one(&db.pool)
        .await?;
        if !step.empty.is_empty() {
            removed += remove(db, &step.empty, referrers).await?;
        }
        reached = step.reached;
    }
    Ok(removed)
}

/// Locked first: then nobody can put a job into them, and whoever has is seen.
async fn remove(db: &Db, batches: &[i64], referrers: &Referrers) -> Result<u64, DbError> {
    let mut transaction = db.pool.begin().await?;
    wait_for_nobody(&mut transaction).await?;
    let locked: Vec<i64> = sqlx::query_scalar!(
        r#"SELECT id::bigint AS "id!" FROM photo_generation_batches
           WHERE id = ANY ($1) ORDER BY id FOR UPDATE SKIP LOCKED"#,
        batches
    )
    .fetch_all(&mut transaction)
    .await?;
    let free = referrers
        .without_referred_batches(&mut transaction, locked)
        .await?;
    let removed = sqlx::query!(
        r#"DELETE FROM photo_generation_batches AS batch
           WHERE id = ANY ($1) AND status::text IN ('completed', 'failed')
             AND NOT EXISTS (SELECT FROM photo_generation_queue AS job WHERE job."batchId" = batch.id)"#,
        &free
    )
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(removed.rows_affected())
}
