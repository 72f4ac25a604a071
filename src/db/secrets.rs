//! What signs view tokens and URLs: one secret for the whole fleet.

use super::{Db, DbError};

/// The recorded secret of this name, in hex; a first server records the one it brings.
pub async fn record(db: &Db, name: &str, fresh: &str) -> Result<String, DbError> {
    sqlx::query!(
        "INSERT INTO photo_generation_secrets (name, value) VALUES ($1, $2)
         ON CONFLICT (name) DO NOTHING",
        name,
        fresh
    )
    .execute(&db.pool)
    .await?;
    let kept = sqlx::query_scalar!(
        "SELECT value FROM photo_generation_secrets WHERE name = $1",
        name
    )
    .fetch_one(&db.pool)
    .await?;
    Ok(kept)
}
