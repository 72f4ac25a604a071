//! Messages to apps about jobs that have ended. A trigger writes them, see `migrations/2_webhooks.sql`;
//! workers take, send and end them, see `worker::webhooks`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{Db, DbError, seconds};
use crate::domain::JobId;

/// Messages are forgotten so long after they were written: the last try is over for days by then.
pub const FORGET_AFTER: Duration = Duration::from_hours(7 * 24);
/// That are forgotten in one statement.
const FORGET_AT_ONCE: i64 = 1000;
/// For how long a worker takes a message: longer than it may take to send it and to write so.
const TAKEN_FOR: Duration = Duration::from_mins(1);

/// A message that is to be sent now.
#[derive(Debug)]
pub struct Message {
    pub id: Uuid,
    pub job: JobId,
    pub event: String,
    pub url: String,
    /// Of the URL, as messages are counted by it.
    pub host: String,
    pub body: String,
    /// This one counted.
    pub tries: i32,
    /// The database's clock, in seconds since 1970.
    pub now: i64,
}

/// Takes messages that are due: `most`, and of one host no more than `of_a_host`; of `busy` ones none.
pub async fn take(
    db: &Db,
    most: i64,
    busy: &[String],
    of_a_host: i64,
) -> Result<Vec<Message>, DbError> {
    Ok(sqlx::query_file_as!(
        Message,
        "sql/queue/webhooks_take.sql",
        most,
        busy,
        of_a_host,
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
