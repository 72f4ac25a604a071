//! Whether anybody answers at the address, and if not, why not.
//!
//! The pools of sqlx try again until their time is over and then say only that it was; here one
//! connection is tried once, so that the reason is known.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use sqlx::{ConnectOptions as _, Connection as _, PgConnection, Row as _};

use super::Address;
use crate::db::{Db, DbError};

/// Pings of which the quickest is told: the first may wait for a server that wakes up.
const PINGS: usize = 3;

/// Why a connection cannot be had, by what mends it.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    #[error("nothing listens there: connection refused")]
    Refused,
    #[error("the host name is not known")]
    UnknownHost,
    #[error("the network does not reach the host: {0}")]
    Network(String),
    #[error("TLS: {0}")]
    Tls(String),
    #[error("the password is wrong, or missing")]
    Password,
    #[error("the server does not let this user in: {0}")]
    NotAllowed(String),
    #[error("the server has no such database")]
    NoDatabase,
    #[error("the server has no connection left")]
    Full,
    #[error("the server is starting up or shutting down")]
    Starting,
    /// What Supabase's pooler says when the user lacks the project's name.
    #[error("the pooler does not know this project or user")]
    Tenant,
    #[error("{0}")]
    Other(String),
}

impl From<sqlx::Error> for Unreachable {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(error) => Self::of_io(&error),
            sqlx::Error::Tls(error) => Self::Tls(error.to_string()),
            sqlx::Error::Database(error) => {
                Self::of_server(&error.code().unwrap_or_default(), error.message())
            }
            other => Self::Other(other.to_string()),
        }
    }
}

impl Unreachable {
    fn of_io(error: &std::io::Error) -> Self {
        let text = error.to_string();
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            // What the resolver says has no kind of its own.
            _ if text.contains("lookup address") => Self::UnknownHost,
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::TimedOut => {
                Self::Network(text)
            }
            _ => Self::Other(text),
        }
    }

    /// By SQLSTATE; poolers have codes of their own, or none, and are known by their words.
    fn of_server(code: &str, message: &str) -> Self {
        let says = |words: &str| message.to_lowercase().contains(words);
        match code {
            _ if says("tenant or user not found") => Self::Tenant,
            "28P01" => Self::Password,
            _ if says("password authentication failed") || says("auth failed") => Self::Password,
            "28000" => Self::NotAllowed(message.to_owned()),
            "3D000" => Self::NoDatabase,
            _ if says("no such database") => Self::NoDatabase,
            "53300" => Self::Full,
            _ if says("max client") => Self::Full,
            "57P01" | "57P02" | "57P03" => Self::Starting,
            _ => Self::Other(message.to_owned()),
        }
    }
}

/// One connection, outside of any pool of ours. Speaks in whole messages only, which every pooler
/// passes on unharmed.
pub struct Session(PgConnection);

/// Connects once.
pub async fn connect(address: &Address) -> Result<Session, Unreachable> {
    Ok(Session(address.options.connect().await?))
}

impl Session {
    /// The process of the server that answered this time.
    pub(super) async fn backend(&mut self) -> Result<i32, Unreachable> {
        let row = sqlx::raw_sql("SELECT pg_backend_pid()")
            .fetch_one(&mut self.0)
            .await?;
        Ok(row.try_get(0)?)
    }

    /// A round trip to the server and back.
    pub async fn round_trip(&mut self) -> Result<Duration, Unreachable> {
        let mut quickest = Duration::MAX;
        for _ in 0..PINGS {
            let sent = Instant::now();
            self.backend().await?;
            quickest = quickest.min(sent.elapsed());
        }
        Ok(quickest)
    }

    pub async fn close(self) {
        // It only says goodbye; a server that does not listen any more has heard worse.
        let _ = self.0.close().await;
    }
}

/// What a server says of itself.
#[derive(Debug)]
pub struct Server {
    pub version: String,
    /// `15` of `15.4`.
    pub major: i32,
    /// A copy that follows another server.
    pub standby: bool,
    /// Writes are refused, although it is no standby.
    pub read_only: bool,
    /// What takes writes back into use, statement by statement.
    pub writable_sql: String,
    /// Connections that this role can still open here.
    pub left: i64,
    /// What makes room, where not the server but the database or the role is limited.
    pub room_sql: Option<String>,
}

/// Asks the server about itself.
pub async fn server(db: &Db) -> Result<Server, DbError> {
    let row = sqlx::query!(
        r#"SELECT current_setting('server_version') AS "version!",
                  current_setting('server_version_num')::integer / 10000 AS "major!",
                  pg_is_in_recovery() AS "standby!",
                  current_setting('transaction_read_only') = 'on' AS "read_only!",
                  format('ALTER DATABASE %I RESET default_transaction_read_only;', current_database())
                      AS "writable_sql!",
                  room."left" AS "left!", room.sql
           FROM (SELECT current_setting('max_connections')::bigint
                        - current_setting('superuser_reserved_connections')::bigint
                        - (SELECT sum(numbackends) FROM pg_stat_database)::bigint AS "left",
                        NULL AS sql
                 UNION ALL
                 SELECT datconnlimit - pg_stat_get_db_numbackends(oid),
                        format('ALTER DATABASE %I CONNECTION LIMIT -1;', datname)
                 FROM pg_database WHERE datname = current_database() AND datconnlimit >= 0
                 UNION ALL
                 SELECT rolconnlimit - (SELECT count(*) FROM pg_stat_activity WHERE usename = rolname),
                        format('ALTER ROLE %I CONNECTION LIMIT -1;', rolname)
                 FROM pg_roles WHERE rolname = current_user AND rolconnlimit >= 0) AS room
           ORDER BY room."left"
           LIMIT 1"#
    )
    .fetch_one(&db.pool)
    .await?;
    Ok(Server {
        version: row.version,
        major: row.major,
        standby: row.standby,
        read_only: row.read_only && !row.standby,
        writable_sql: row.writable_sql,
        left: row.left,
        room_sql: row.sql,
    })
}

#[cfg(test)]
mod tests;
