//! Messages to apps about jobs that have ended. A trigger writes them, see `migrations/2_webhooks.sql`;
//! workers take, send and end them, see `worker::webhooks`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::sweep::Swept;
use super::{Db, DbError, seconds};
use crate::domain::JobId;

/// Messages are forgotten so long after they were written: the last try is over for days by then, and what
/// nobody could sign for a week is no news any more.
pub const FORGET_AFTER: Duration = Duration::from_hours(7 * 24);
/// That are forgotten in one statement.
const FORGET_AT_ONCE: i64 = 1000;
/// For how long a worker takes a message: longer than it may take to send it and to write so.
const TAKEN_FOR: Duration = Duration::from_mins(1);

/// That are made ready in one statement, which takes some milliseconds.
const READY_AT_ONCE: i64 = 1000;

/// Who has to do with a message: what its sender shares out its places by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    pub tenant: String,
    /// Of the URL, as `photo_generation_host` spells it.
    pub host: String,
}

/// What a worker has places for.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Messages that it can send besides those under way.
    pub free: i64,
    /// To one host at a time.
    pub of_a_host: i64,
    /// Of one tenant at a time.
    pub of_a_tenant: i64,
}

/// A message that is to be sent now.
#[derive(Debug)]
pub struct Message {
    pub id: Uuid,
    pub job: JobId,
    pub event: String,
    pub url: String,
    pub tenant: String,
    pub host: String,
    pub body: String,
    /// This one counted.
    pub tries: i32,
    /// The database's clock, in seconds since 1970.
    pub now: i64,
}

impl Message {
    pub fn parties(&self) -> Parties {
        Parties {
            tenant: self.tenant.clone(),
            host: self.host.clone(),
        }
    }
}

/// Makes some messages ready that are due; whether those were all.
pub async fn make_ready(db: &Db) -> Result<Swept, DbError> {
    let made = sqlx::query_file!("sql/queue/webhooks_ready.sql", READY_AT_ONCE)
        .execute(&db.pool)
        .await?;
    let made = i64::try_from(made.rows_affected()).unwrap_or(i64::MAX);
    Ok(if made < READY_AT_ONCE {
        Swept::All
    } else {
        Swept::Some
    })
}

/// Takes messages that are ready, as many as there is room for beside those `under_way`.
pub async fn take(db: &Db, room: Room, under_way: &[Parties]) -> Result<Vec<Message>, DbError> {
    let tenants: Vec<String> = under_way.iter().map(|one| one.tenant.clone()).collect();
    let hosts: Vec<String> = under_way.iter().map(|one| one.host.clone()).collect();
    Ok(sqlx::query_file_as!(
        Message,
        "sql/queue/webhooks_take.sql",
        room.free,
        &tenants,
        &hosts,
        room.of_a_host,
        room.of_a_tenant,
        seconds(TAKEN_FOR)
    )
    .fetch_all(&db.pool)
    .await?)
}

/// The receiver has taken it, with this status.
pub async fn delivered(db: &Db, message: &Message, status: u16) -> Result<(), DbError> {
    end(db, message, Some(status), None, None).await
}

/// It was not taken; the next try is made after `again`, or none.
pub async fn failed(
    db: &Db,
    message: &Message,
    status: Option<u16>,
    error: &str,
    again: Option<Duration>,
) -> Result<(), DbError> {
    end(db, message, status, Some(error), again).await
}

async fn end(
    db: &Db,
    message: &Message,
    status: Option<u16>,
    error: Option<&str>,
    again: Option<Duration>,
) -> Result<(), DbError> {
    sqlx::query_file!(
        "sql/queue/webhooks_end.sql",
        message.id,
        message.tries,
        status.map(i32::from),
        error,
        again.map(seconds)
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// Forgets some messages that are old enough.
pub async fn forget(db: &Db) -> Result<(), DbError> {
    sqlx::query_file!(
        "sql/queue/webhooks_forget.sql",
        seconds(FORGET_AFTER),
        FORGET_AT_ONCE
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// A message, as people ask what became of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    pub id: Uuid,
    pub event: String,
    /// Of the receiver.
    pub host: String,
    pub tries: i32,
    pub tried_at: Option<DateTime<Utc>>,
    /// Of the next try. `None`: delivered, or given up.
    pub try_at: Option<DateTime<Utc>>,
    pub status: Option<i32>,
    pub error: Option<String>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// The messages about a job, in order of time.
pub async fn of_job(db: &Db, job: JobId) -> Result<Vec<Told>, DbError> {
    Ok(sqlx::query_as!(
        Told,
        r#"SELECT id, event, host, tries, "triedAt" AS tried_at,
                  CASE WHEN "tryAt" BETWEEN '0001-01-01' AND '9999-12-31' THEN "tryAt" END AS try_at,
                  status, error, "deliveredAt" AS delivered_at, "createdAt" AS created_at
           FROM photo_generation_webhooks WHERE "jobId" = $1 ORDER BY "createdAt""#,
        job
    )
    .fetch_all(&db.pool)
    .await?)
}

/// How many messages there are that are not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undelivered {
    /// Not sent yet.
    pub fresh: i64,
    /// Tried in vain, to be tried again.
    pub failing: i64,
    pub given_up: i64,
}

/// A look at the messages of a week.
pub async fn undelivered(db: &Db) -> Result<Undelivered, DbError> {
    Ok(sqlx::query_as!(
        Undelivered,
        r#"SELECT count(*) FILTER (WHERE "tryAt" IS NOT NULL AND tries = 0) AS "fresh!",
                  count(*) FILTER (WHERE "tryAt" IS NOT NULL AND tries > 0) AS "failing!",
                  count(*) FILTER (WHERE "tryAt" IS NULL) AS "given_up!"
           FROM photo_generation_webhooks WHERE "deliveredAt" IS NULL"#
    )
    .fetch_one(&db.pool)
    .await?)
}
