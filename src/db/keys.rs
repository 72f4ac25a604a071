//! API keys of the HTTP surface: hashes, whose they are, and which were revoked.
//!
//! A revoked key keeps its row: it says that somebody wanted keys here, so a server never takes the lack
//! of live ones for permission to do without.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Db, DbError};
use crate::domain::{ApiKey, KeyDigest, KeyOwner};

/// What the table says.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Those that open.
    pub live: Vec<ApiKey>,
    /// Whether there ever was one.
    pub any: bool,
}

/// A key as people see it; of the key itself nothing.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRow {
    pub id: i64,
    /// `None`: a service key.
    pub team: Option<String>,
    pub label: Option<String>,
    pub created_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// When the database answered: moments are compared by its clock.
    #[serde(skip)]
    pub read_at: DateTime<Utc>,
}

/// All that open, for a server; a database that does not answer within this time is away.
pub async fn load(db: &Db, within: Duration) -> Result<Keys, DbError> {
    let rows = sqlx::query!(
        r#"SELECT sha256, "teamId" AS team, "revokedAt" IS NULL AS "live!" FROM photo_generation_keys"#
    )
    .fetch_all(&db.pool);
    let rows = tokio::time::timeout(within, rows)
        .await
        .map_err(|_| DbError::Unavailable(sqlx::Error::PoolTimedOut))??;
    let any = !rows.is_empty();
    let live = rows.into_iter().filter(|row| row.live).map(|row| {
        let digest = KeyDigest::from_hex(&row.sha256)
            .ok_or_else(|| DbError::Corrupt("a key's sha256 is none".to_owned()))?;
        let owner = KeyOwner::of(row.team);
        Ok(ApiKey { owner, digest })
    });
    let live = live.collect::<Result<_, DbError>>()?;
    Ok(Keys { live, any })
}

/// All there ever were, the oldest first.
pub async fn list(db: &Db) -> Result<Vec<KeyRow>, DbError> {
    Ok(sqlx::query_as!(
        KeyRow,
        r#"SELECT id, "teamId" AS team, label, "createdAt" AS created_at, "revokedAt" AS revoked_at,
                  now() AS "read_at!"
           FROM photo_generation_keys ORDER BY id"#
    )
    .fetch_all(&db.pool)
    .await?)
}

/// Writes a new key down; servers know it within seconds.
pub async fn create(
    db: &Db,
    digest: &KeyDigest,
    owner: &KeyOwner,
    label: Option<&str>,
) -> Result<KeyRow, DbError> {
    Ok(sqlx::query_as!(
        KeyRow,
        r#"INSERT INTO photo_generation_keys (sha256, "teamId", label) VALUES ($1, $2, $3)
           RETURNING id, "teamId" AS team, label, "createdAt" AS created_at,
                     "revokedAt" AS revoked_at, now() AS "read_at!""#,
        digest.hex(),
        owner.team(),
        label,
    )
    .fetch_one(&db.pool)
    .await?)
}

/// Takes a key back for good; `None`: there is none of this number. Twice is as good as once.
pub async fn revoke(db: &Db, id: i64) -> Result<Option<KeyRow>, DbError> {
    Ok(sqlx::query_as!(
        KeyRow,
        r#"UPDATE photo_generation_keys SET "revokedAt" = coalesce("revokedAt", now()) WHERE id = $1
           RETURNING id, "teamId" AS team, label, "createdAt" AS created_at,
                     "revokedAt" AS revoked_at, now() AS "read_at!""#,
        id
    )
    .fetch_optional(&db.pool)
    .await?)
}
