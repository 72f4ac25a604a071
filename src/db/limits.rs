//! What the providers allow: written when a provider lets us know, and by operators.
//!
//! It is read where a call is asked for ([`super::ledger::calling`]) and before a claim, both by
//! `photo_generation_budget` in the database.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Db, DbError, seconds};
use crate::domain::failure::BlockReason;
use crate::domain::{Model, Provider};

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
    /// How long ago that was when the answer came, at most; zero where it does not matter.
    pub held_for: Duration,
}

/// What a refusal means for the account.
#[derive(Clone, Copy, Debug)]
pub enum Refusal<'a> {
    /// No call for this long; `in_a_row` counts this refusal. So many a minute are taken, if that was said.
    Cooldown {
        wait: Duration,
        in_a_row: u32,
        per_minute: Option<i32>,
    },
    /// No call until the daily quota returns.
    QuotaDay,
    /// No call but one probe every five minutes, until somebody mends the account.
    Blocked {
        reason: BlockReason,
        detail: &'a str,
    },
}

/// Tells the fleet that the account of a refused call takes no calls to `model` for now; whether that is
/// news.
pub async fn refused(
    db: &Db,
    granted: &Granted,
    model: &Model,
    refusal: Refusal<'_>,
) -> Result<bool, DbError> {
    let stated = match refusal {
        Refusal::Cooldown { per_minute, .. } => per_minute,
        Refusal::QuotaDay | Refusal::Blocked { .. } => None,
    };
    let (cooldown, quota_day, in_a_row, blocked, reason) = match refusal {
        Refusal::Cooldown { wait, in_a_row, .. } => (
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
        granted.account,
        model.name(),
        cooldown,
        quota_day,
        i32::try_from(in_a_row).unwrap_or(i32::MAX),
        blocked,
        reason,
        granted.granted_at,
        stated,
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

/// The probe of a blocked account showed nothing of it but that it was not refused: the next job may be one,
/// without the wait that is to spare the provider refusals.
pub async fn probe_again(db: &Db, granted: &Granted, model: &Model) -> Result<(), DbError> {
    sqlx::query_file!(
        "sql/queue/probe_again.sql",
        model.provider().as_str(),
        granted.account,
        model.name(),
        granted.granted_at,
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// Makes the rows of this worker's accounts, so that operators find something to set. What they set
/// stays.
pub async fn register(
    db: &Db,
    provider: Provider,
    accounts: &[String],
    models: &[&str],
) -> Result<(), DbError> {
    let models: Vec<String> = models.iter().map(|&model| model.to_owned()).collect();
    sqlx::query!(
        r#"INSERT INTO photo_generation_limits (provider, account, model, "requestsPerMinute")
           SELECT $1, account, model, photo_generation_first_per_minute($1)
           FROM unnest($2::text[]) AS account, unnest($3::text[]) AS model
           ON CONFLICT DO NOTHING"#,
        provider.as_str(),
        accounts,
        &models,
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// How one account stands with one model.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    pub provider: String,
    pub account: String,
    pub model: String,
    pub paused: bool,
    /// What operators set; `None`: no fleet-wide limit.
    pub per_minute: Option<i32>,
    pub per_day: Option<i32>,
    pub concurrent: Option<i32>,
    pub interval_ms: Option<i32>,
    /// In US dollars.
    pub cost_per_day: Option<f64>,
    /// What operators set, else the list price of a model we know.
    pub cost_per_call: Option<f64>,
    /// A limit of money holds that cannot be kept: nobody knows what a call costs.
    pub uncounted: bool,
    /// The most of the whole fleet, all accounts and models together.
    pub fleet_cost_per_day: Option<f64>,
    pub fleet_cost_today: f64,
    /// What the provider took in the minute before it last refused, and when that was.
    pub learned_per_minute: Option<i32>,
    pub learned_at: Option<DateTime<Utc>>,
    /// What the provider said it takes, and when.
    pub stated_per_minute: Option<i32>,
    pub stated_at: Option<DateTime<Utc>>,
    pub minute_used: i64,
    pub day_used: i64,
    pub running: i64,
    pub cost_today: f64,
    /// When the next call may begin; `None` with a `why`: not before somebody acts.
    pub usable_at: Option<DateTime<Utc>>,
    pub why: Option<String>,
    /// What the provider said last.
    pub reason: Option<String>,
    pub read_at: DateTime<Utc>,
}

/// How all accounts stand with all models.
pub async fn list(db: &Db) -> Result<Vec<Budget>, DbError> {
    Ok(sqlx::query_file_as!(Budget, "sql/queue/budget.sql")
        .fetch_all(&db.pool)
        .await?)
}

/// The accounts and models, as `provider/account/model`, whose calls a limit of money cannot count.
pub async fn uncounted(db: &Db) -> Result<Vec<String>, DbError> {
    let keys = sqlx::query_scalar!(
        r#"SELECT concat_ws('/', provider, account, model) AS "key!" FROM photo_generation_limits
           WHERE coalesce("costPerCall", photo_generation_list_price(provider, model)) IS NULL
             AND num_nonnulls("maxCostPerDay", photo_generation_spend_limit()) > 0
             -- Its rows are there from the first day, also where nobody has a key of it.
             AND NOT (provider = 'openai' AND NOT EXISTS (
                 SELECT FROM photo_generation_settings WHERE key = 'defaultModel.openai'))
           ORDER BY 1"#
    )
    .fetch_all(&db.pool)
    .await?;
    Ok(keys)
}

/// What an operator changes; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub per_minute: Option<Setting<i32>>,
    pub per_day: Option<Setting<i32>>,
    pub concurrent: Option<Setting<i32>>,
    pub interval_ms: Option<Setting<i32>>,
    pub cost_per_day: Option<Setting<f64>>,
    pub cost_per_call: Option<Setting<f64>>,
    pub paused: Option<bool>,
}

/// A limit, or none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Setting<T> {
    To(T),
    None,
}

impl<T> Setting<T> {
    fn value(self) -> Option<T> {
        match self {
            Self::To(value) => Some(value),
            Self::None => None,
        }
    }
}

/// Changes the limits of one account and model; makes its row where there is none. Running workers
/// heed it at their next call and their next look.
pub async fn set(
    db: &Db,
    provider: &str,
    account: &str,
    model: &str,
    change: Change,
) -> Result<(), DbError> {
    sqlx::query_file!(
        "sql/queue/set_limits.sql",
        provider,
        account,
        model,
        change.per_minute.is_some(),
        change.per_minute.and_then(Setting::value),
        change.per_day.is_some(),
        change.per_day.and_then(Setting::value),
        change.concurrent.is_some(),
        change.concurrent.and_then(Setting::value),
        change.interval_ms.is_some(),
        change.interval_ms.and_then(Setting::value),
        change.cost_per_day.is_some(),
        change.cost_per_day.and_then(Setting::value),
        change.cost_per_call.is_some(),
        change.cost_per_call.and_then(Setting::value),
        change.paused,
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}
