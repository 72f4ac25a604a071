//! Fleet-wide settings: one truth for all workers, in `photo_generation_settings`.

use super::{Db, DbError};
use crate::domain::Provider;

/// The setting that holds the default provider.
pub const DEFAULT_PROVIDER: &str = "defaultProvider";

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

/// The provider of jobs that name neither provider nor model.
pub async fn default_provider(db: &Db) -> Result<Provider, DbError> {
    let recorded = get(db, DEFAULT_PROVIDER).await?;
    let known = recorded.as_deref().and_then(Provider::named);
    Ok(known.unwrap_or(Provider::Gemini))
}

/// The model of jobs that name none, but perhaps a provider: in words of theirs, which may be anybody's.
pub async fn default_model(db: &Db, named: Option<&str>) -> Result<String, DbError> {
    let provider = match named.and_then(Provider::named) {
        Some(provider) => provider,
        None => default_provider(db).await?,
    };
    let recorded = get(db, &default_model_key(provider)).await?;
    Ok(recorded.unwrap_or_else(|| provider.default_model().to_owned()))
}
