//! Credits: what tenants have, what is reserved of it, and what is left to be settled.
//!
//! Reserving, capturing and refunding are triggers (`migrations/2_credits.sql`), so that they commit with
//! what they are about, whoever does it. Here is what people ask, grants, and the part of the sweep.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::postgres::PgDatabaseError;

use super::sweep::Swept;
use super::{Db, DbError};
use crate::domain::Tenant;

/// So often the fleet looks for reservations that no trigger has settled: there are few, and the look reads
/// one row per job that waits.
pub(super) const SETTLE_EVERY: Duration = Duration::from_mins(1);
/// The row of the settings that says when it was last done.
const SETTLED: &str = "creditsSettled";
/// Jobs that are settled in one transaction: whoever wants to change one of them waits for it.
const SETTLED_AT_ONCE: i64 = 200;
/// Refunds that one sweep tries, each in a transaction of its own: an app's function may take long.
const TRIED_AT_ONCE: i64 = 50;
/// What the triggers raise, in `photo_generation_refuse_credits`.
const INSUFFICIENT: &str = "PT402";

/// A tenant has not what something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Lack {
    pub remaining: i64,
    pub required: i64,
}

impl Lack {
    /// Whether that is what Postgres has answered.
    pub(super) fn told_by(answer: &dyn sqlx::error::DatabaseError) -> Option<Self> {
        if answer.code().as_deref() != Some(INSUFFICIENT) {
            return None;
        }
        let detail = answer.try_downcast_ref::<PgDatabaseError>()?.detail()?;
        serde_json::from_str(detail).ok()
    }

    /// For people.
    pub fn sentence(&self) -> String {
        let Self {
            remaining,
            required,
        } = self;
        format!("Not enough credits: {remaining} left, {required} needed.")
    }
}

/// What a tenant may spend, and what is set aside for its jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    pub remaining: i64,
    pub reserved: i64,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    pub tenant: String,
    pub remaining: i64,
    /// For images that are neither stored nor given up.
    pub reserved: i64,
    /// For images that were stored.
    pub captured: i64,
    /// For images that were not.
    pub refunded: i64,
}

/// Why nothing was granted or taken back.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error("there are only {0}")]
    Short(i64),
}

/// What a tenant has; nothing, if it has no account.
pub async fn left(db: &Db, tenant: &Tenant) -> Result<Left, DbError> {
    Ok(sqlx::query_as!(
        Left,
        r#"SELECT coalesce((SELECT balance FROM photo_generation_credits WHERE tenant = named.tenant), 0)
                  + coalesce((SELECT sum(amount) FROM photo_generation_credit_returns
                              WHERE tenant = named.tenant), 0)::bigint AS "remaining!",
                  coalesce((SELECT sum(each * cardinality(open)) FROM photo_generation_credit_reservations
                            WHERE tenant = named.tenant), 0)::bigint AS "reserved!"
           FROM (SELECT left($1, 200) AS tenant) AS named"#,
        tenant.as_str()
    )
    .fetch_one(&db.pool)
    .await?)
}

/// Accounts in the order of their tenants: that of one, or up to so many.
pub async fn accounts(db: &Db, of: Option<&Tenant>, most: i64) -> Result<Vec<Account>, DbError> {
    Ok(sqlx::query_as!(
        Account,
        r#"SELECT account.tenant, account.balance + coalesce(returned.credits, 0) AS "remaining!",
                  coalesce(open.credits, 0) AS "reserved!", coalesce(entry.captured, 0) AS "captured!",
                  coalesce(entry.refunded, 0) AS "refunded!"
           FROM (SELECT tenant, balance FROM photo_generation_credits
                 WHERE $1::text IS NULL OR tenant = left($1, 200) ORDER BY tenant LIMIT $2) AS account
           CROSS JOIN LATERAL (
               SELECT sum(amount)::bigint AS credits FROM photo_generation_credit_returns
               WHERE tenant = account.tenant) AS returned
           CROSS JOIN LATERAL (
               SELECT sum(each * cardinality(open))::bigint AS credits
               FROM photo_generation_credit_reservations WHERE tenant = account.tenant) AS open
           CROSS JOIN LATERAL (
               SELECT (sum(amount) FILTER (WHERE kind = 'capture'))::bigint AS captured,
                      (sum(amount) FILTER (WHERE kind = 'refund'))::bigint AS refunded
               FROM photo_generation_credit_entries WHERE tenant = account.tenant) AS entry
           ORDER BY account.tenant"#,
        of.map(Tenant::as_str),
        most
    )
    .fetch_all(&db.pool)
    .await?)
}

/// Gives a tenant credits, or takes some back; what it has then. Not to be sent twice.
pub async fn grant(
    db: &Db,
    tenant: &Tenant,
    credits: i64,
    reason: Option<&str>,
) -> Result<i64, GrantError> {
    let granted = sqlx::query_scalar!(
        r#"SELECT photo_generation_grant_credits(left($1, 200), $2, $3) AS "remaining!""#,
        tenant.as_str(),
        credits,
        reason
    )
    .fetch_one(&db.pool)
    .await
    .map_err(DbError::from);
    granted.map_err(|error| match error.lack_of_credits() {
        Some(lack) => GrantError::Short(lack.remaining),
        None => error.into(),
    })
}

/// Settles reservations of jobs that have ended or are gone, where no trigger has: some of them, until
/// none is left. How many, and whether that is all.
pub async fn settle_left(db: &Db) -> Result<(i64, Swept), DbError> {
    super::settings::set(db, SETTLED, "yes").await?;
    let settled = sqlx::query_scalar!(
        r#"SELECT photo_generation_settle_left($1) AS "settled!""#,
        SETTLED_AT_ONCE
    )
    .fetch_one(&db.pool)
    .await?;
    let swept = if settled < SETTLED_AT_ONCE {
        Swept::All
    } else {
        Swept::Some
    };
    Ok((settled, swept))
}

/// Tells the app again of refunds that its function did not take.
pub async fn retry_refunds(db: &Db) -> Result<(), DbError> {
    let due = sqlx::query_scalar!(
        r#"SELECT id FROM photo_generation_credit_refunds WHERE "tryAt" <= now()
           ORDER BY "tryAt" LIMIT $1"#,
        TRIED_AT_ONCE
    )
    .fetch_all(&db.pool)
    .await?;
    for refund in due {
        sqlx::query!("SELECT FROM photo_generation_try_refund($1)", refund)
            .execute(&db.pool)
            .await?;
    }
    Ok(())
}

/// How credits stand, for `safelight doctor`.
#[derive(Debug)]
pub struct Health {
    /// `off`, `ledger` or `app`.
    pub mode: String,
    /// What is written as the mode, where it is none of these.
    pub unknown: Option<String>,
    pub function: Option<String>,
    pub function_exists: bool,
    /// Refunds that the app's function did not take.
    pub failing: i64,
    /// What it said of one of them.
    pub error: Option<String>,
}

pub async fn health(db: &Db) -> Result<Health, DbError> {
    Ok(sqlx::query_as!(
        Health,
        r#"SELECT photo_generation_credits_mode() AS "mode!",
                  (SELECT value FROM photo_generation_settings
                   WHERE key = 'credits' AND value NOT IN ('off', 'ledger', 'app')) AS unknown,
                  (SELECT value FROM photo_generation_settings WHERE key = 'creditsRefundFunction')
                      AS function,
                  EXISTS (SELECT FROM pg_proc
                          JOIN pg_namespace ON pg_namespace.oid = pronamespace
                          JOIN photo_generation_settings ON key = 'creditsRefundFunction'
                          WHERE nspname || '.' || proname
                                = CASE WHEN value LIKE '%.%' THEN value ELSE 'public.' || value END)
                      AS "function_exists!",
                  count(*) FILTER (WHERE error IS NOT NULL) AS "failing!", max(error) AS error
           FROM photo_generation_credit_refunds WHERE "tryAt" IS NOT NULL"#
    )
    .fetch_one(&db.pool)
    .await?)
}
