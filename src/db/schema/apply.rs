//! Doing what was planned, on tables that are in use.
//!
//! Whoever waits for a lock on a table makes everybody wait who comes after, so a step that needs one
//! waits for less than a second and tries again a little later.

use std::fmt;
use std::time::{Duration, Instant};

use sqlx::postgres::PgDatabaseError;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::SchemaError;
use super::plan::{How, Step};
use crate::db::{Db, DbError};

/// Longest wait for a lock: as long as everybody else may have to wait because of us.
const LOCK_WAIT: &str = "SET LOCAL lock_timeout = '400ms'";
/// Between two tries the others go on.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
/// After this long somebody must act: a transaction stays open on the table.
const GIVE_UP: Duration = Duration::from_mins(5);
/// How often a step that takes long says that it goes on.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// What happens while a plan is carried out.
#[derive(Debug)]
pub enum Event<'a> {
    /// These changes are about to be made.
    Changes(&'a [String]),
    /// It is still being done; or it waits for a transaction to end, described in words.
    Working {
        elapsed: Duration,
        waits_for: Option<String>,
    },
    /// Somebody holds a lock that it needs.
    Locked { by: String },
    /// Another migration of this database is under way.
    OtherMigration,
}

/// Who listens to the events.
pub type Report<'a> = &'a (dyn Fn(Event<'_>) + Sync);

/// Does the steps, in order. What was done before an error stays, and is not planned again.
pub(super) async fn apply(
    db: &Db,
    connection: &mut PgConnection,
    steps: &[Step],
    report: Report<'_>,
) -> Result<(), SchemaError> {
    for step in steps {
        report(Event::Changes(&step.changes));
        let done = match step.how {
            How::Briefly => briefly(connection, &step.sql, report).await,
            How::Online => online(db, connection, &step.sql, report).await,
        };
        done.map_err(|error| refused(step, error))?;
    }
    Ok(())
}

/// With all that Postgres has to say: the row or the constraint is in the details.
fn refused(step: &Step, error: SchemaError) -> SchemaError {
    let SchemaError::Database(DbError::Refused(sqlx::Error::Database(answer))) = &error else {
        return error;
    };
    let Some(answer) = answer.try_downcast_ref::<PgDatabaseError>() else {
        return error;
    };
    let said = [
        Some(answer.message()),
        answer.detail(),
        answer.hint(),
        answer.r#where(),
    ];
    let said: Vec<&str> = said.into_iter().flatten().collect();
    SchemaError::Refused {
        change: step.changes.join("; "),
        why: said.join("\n    "),
    }
}

/// Runs SQL in a transaction that waits for locks only for a moment, until it gets them.
pub(super) async fn briefly(
    connection: &mut PgConnection,
    sql: &str,
    report: Report<'_>,
) -> Result<(), SchemaError> {
    let started = Instant::now();
    loop {
        match attempt(connection, sql).await {
            Ok(()) => return Ok(()),
            Err(error) if is_about_locks(&error) => {
                let by = holders(connection).await?;
                if started.elapsed() > GIVE_UP {
                    return Err(SchemaError::Locked(by));
                }
                report(Event::Locked { by });
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn attempt(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(LOCK_WAIT).execute(&mut *transaction).await?;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// Lock not available, or a deadlock that Postgres resolved at our cost.
fn is_about_locks(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| matches!(code.as_ref(), "55P03" | "40P01"))
}

/// Runs a statement of its own, and says every now and then that it goes on.
async fn online(
    db: &Db,
    connection: &mut PgConnection,
    sql: &str,
    report: Report<'_>,
) -> Result<(), SchemaError> {
    let started = Instant::now();
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut *connection)
        .await?;
    let statement = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection);
    tokio::pin!(statement);
    let mut heartbeat =
        tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
    loop {
        tokio::select! {
            done = &mut statement => {
                done?;
                return Ok(());
            }
            _ = heartbeat.tick() => report(Event::Working {
                elapsed: started.elapsed(),
                waits_for: blocker(db, pid).await,
            }),
        }
    }
}

/// Whom a statement waits for: an index is finished only when all transactions have ended that began
/// before it, on whatever table. Only for people, so that no answer is no error.
async fn blocker(db: &Db, pid: i32) -> Option<String> {
    let found = sqlx::query_as!(
        Holder,
        r#"SELECT a.pid AS "pid!", coalesce(nullif(a.application_name, ''), a.usename::text, '?') AS "name!",
                  coalesce(a.state, '?') AS "state!",
                  coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::bigint AS "seconds!"
           FROM pg_stat_activity AS a
           WHERE a.pid = ANY (pg_blocking_pids($1))
           ORDER BY a.xact_start
           LIMIT 1"#,
        pid
    )
    .fetch_optional(&db.pool)
    .await;
    found.ok().flatten().map(|holder| holder.to_string())
}

/// Somebody with an open transaction.
struct Holder {
    pid: i32,
    name: String,
    state: String,
    seconds: i64,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pid,
            name,
            state,
            seconds,
        } = self;
        write!(
            f,
            "{name} (process {pid} of Postgres, {state}, transaction open for {seconds} s); to end it: SELECT pg_terminate_backend({pid})"
        )
    }
}

/// The transaction that has been open longest on a table of ours, in words.
async fn holders(connection: &mut PgConnection) -> Result<String, DbError> {
    let holder = sqlx::query_as!(
        Holder,
        r#"SELECT a.pid AS "pid!", coalesce(nullif(a.application_name, ''), a.usename::text, '?') AS "name!",
                  coalesce(a.state, '?') AS "state!",
                  coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::bigint AS "seconds!"
           FROM pg_locks AS l
           JOIN pg_class AS c ON c.oid = l.relation
           JOIN pg_stat_activity AS a ON a.pid = l.pid
           WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND c.relname LIKE 'photo\_generation\_%'
           ORDER BY a.xact_start
           LIMIT 1"#
    )
    .fetch_optional(connection)
    .await?;
    Ok(holder.map_or_else(
        || "somebody who has gone meanwhile".to_owned(),
        |holder| holder.to_string(),
    ))
}
