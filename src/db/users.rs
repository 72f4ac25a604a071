//! The app's own users, by the query that its operator wrote (`TENANT_SQL`).
//!
//! It runs as a subquery in a read-only transaction with the limits of every session of ours, so it can
//! be slow, wrong or sly and still change nothing.

use sqlx::AssertSqlSafe;

use super::{Db, DbError};

/// The ids that the query gives for a subject, two at most: more than one is as bad as any number.
pub async fn ids(db: &Db, query: &str, subject: &str) -> Result<Vec<Option<String>>, DbError> {
    let query = query.trim().trim_end_matches(';');
    // The line break ends a comment that the query may end with.
    let sql = format!("SELECT found.id::text FROM (\n{query}\n) AS found (id) LIMIT 2");
    let mut transaction = db.pool.begin().await?;
    sqlx::query("SET TRANSACTION READ ONLY")
        .execute(&mut transaction)
        .await?;
    let ids = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(subject)
        .fetch_all(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(ids)
}
