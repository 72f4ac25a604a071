//! What the providers allow: read before each call, written when a provider lets us know.
//!
//! [`grant`] is the seam for fleet-wide quotas. Today it honours what operators paused and the
//! cooldowns, daily quotas and blocked accounts that any worker of the fleet met.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Db, DbError, seconds};
use crate::domain::failure::BlockReason;
use crate::domain::{Model, Provider};

/// The answer to "may I call now?".
#[derive(Debug)]
pub enum Grant {
    /// Call now, on this account.
    Granted(Granted),
    /// Not before this long has passed; `None`: not before somebody acts, or a probe goes through.
    Wait(Option<Duration>),
}

/// The right to make one call.
#[derive(Debug)]
pub struct Granted {
    pub account: String,
    /// 429s in a row on this account and model before this call.
    pub limited_in_a_row: u32,
    /// The row holds a refusal that a success would clear.
    pub troubled: bool,
    /// On the database's clock.
    pub granted_at: DateTime<Utc>,
}

/// Asks for one call to `model` on one of `accounts`.
pub async fn grant(db: &Db, accounts: &[String], model: &Model) -> Result<Grant, DbError> {
    let row = sqlx::query_file!(
        "sql/queue/grant.sql",
        model.provider().as_str(),
        accounts,
        model.name(),
    )
    .fetch_one(&db.pool)
    .await?;
    if row.granted {
        return Ok(Grant::Granted(Granted {
            account: row.account,
            limited_in_a_row: u32::try_from(row.limited_in_a_row).unwrap_or(0),
            granted_at: row.granted_at,
            troubled: row.blocked || row.limited_in_a_row > 0 || row.reason.is_some(),
        }));
    }
    let wait = row
        .seconds
        .map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX));
    Ok(Grant::Wait(wait))
}

/// What a refusal means for the account.
#[derive(Clone, Copy, Debug)]
pub enum Refusal<'a> {
    /// No call for this long; `in_a_row` counts this refusal.
    Cooldown { wait: Duration, in_a_row: u32 },
    /// No call until the daily quota returns.
    QuotaDay,
    /// No call but one probe every five minutes, until somebody mends the account.
    Blocked {
        reason: BlockReason,
        detail: &'a str,
    },
}

/// Tells the fleet that `account` takes no calls to `model` for now; whether that is news.
pub async fn refused(
    db: &Db,
    account: &str,
    model: &Model,
    refusal: Refusal<'_>,
) -> Result<bool, DbError> {
    let (cooldown, quota_day, in_a_row, blocked, reason) = match refusal {
        Refusal::Cooldown { wait, in_a_row } => (
            Some(seconds(wait)),
            false,
            in_a_row,
            false,
            "cooldown".to_owned(),
        ),
        Refusal::QuotaDay => (None, true, 0, false, "daily_quota".to_owned()),
        Refusal::Blocked { reason, detail } => {
            let text = format!("{}: {} ({detail})", reason.as_str(), reason.advice());
            (None, false, 0, true, text)
        }
    };
    Ok(sqlx::query_file_scalar!(
        "sql/queue/limited.sql",
        model.provider().as_str(),
        account,
        model.name(),
        cooldown,
        quota_day,
        i32::try_from(in_a_row).unwrap_or(i32::MAX),
        blocked,
        reason,
    )
    .fetch_one(&db.pool)
    .await?)
}

/// A call on a troubled account went through; whether that is news.
pub async fn recovered(db: &Db, granted: &Granted, model: &Model) -> Result<bool, DbError> {
    let recovered = sqlx::query_file!(
        "sql/queue/recovered.sql",
        model.provider().as_str(),
        granted.account,
        model.name(),
        granted.granted_at,
    )
    .execute(&db.pool)
    .await?;
    Ok(recovered.rows_affected() > 0)
}

/// Makes the rows of this worker's accounts, so that operators find something to set.
pub async fn register(
    db: &Db,
    provider: Provider,
    accounts: &[String],
    models: &[&str],
) -> Result<(), DbError> {
    let models: Vec<String> = models.iter().map(|&model| model.to_owned()).collect();
    sqlx::query!(
        "INSERT INTO photo_generation_limits (provider, account, model)
         SELECT $1, account, model FROM unnest($2::text[]) AS account, unnest($3::text[]) AS model
         ON CONFLICT DO NOTHING",
        provider.as_str(),
        accounts,
        &models,
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}
