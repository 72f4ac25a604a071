//! Fleet-wide settings: one truth for all workers, in `photo_generation_settings`.

use super::{Db, DbError};
use crate::domain::Provider;
use crate::domain::model::DEFAULT_MODEL;

/// Records a fleet-wide setting. A starting worker writes only what is absent.
pub async fn record(db: &Db, key: &str, value: &str) -> Result<String, DbError> {
    sqlx::query!(
        "INSERT INTO photo_generation_settings (key, value) VALUES ($1, $2)
         ON CONFLICT (key) DO NOTHING",
        key,
        value
    )
    .execute(&db.pool)
    .await?;
    let kept = sqlx::query_scalar!(
        "SELECT value FROM photo_generation_settings WHERE key = $1",
        key
    )
    .fetch_one(&db.pool)
    .await?;
    Ok(kept)
}

/// Writes a fleet-wide setting, as `migrate` does with those set in its environment.
pub async fn set(db: &Db, key: &str, value: &str) -> Result<(), DbError> {
    sqlx::query!(
        r#"INSERT INTO photo_generation_settings (key, value) VALUES ($1, $2)
           ON CONFLICT (key) DO UPDATE SET value = excluded.value, "updatedAt" = now()"#,
        key,
        value
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// A fleet-wide setting, if it is recorded.
pub async fn get(db: &Db, key: &str) -> Result<Option<String>, DbError> {
    let value = sqlx::query_scalar!(
        "SELECT value FROM photo_generation_settings WHERE key = $1",
        key
    )
    .fetch_optional(&db.pool)
    .await?;
    Ok(value)
}

/// The setting that holds a provider's default model.
pub fn default_model_key(provider: Provider) -> String {
    format!("defaultModel.{provider}")
}

/// The model of jobs that name none.
pub async fn default_model(db: &Db, provider: Provider) -> Result<String, DbError> {
    let recorded = get(db, &default_model_key(provider)).await?;
    Ok(recorded.unwrap_or_else(|| DEFAULT_MODEL.to_owned()))
}
