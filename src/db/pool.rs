//! Connections to Postgres.
//!
//! Two pools: the work pool, and one connection that does nothing but renew. A worker whose pool
//! is exhausted must still be able to say that it lives, else others take its paid calls over.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection as _, Executor as _, PgPool};

use super::DbError;
use super::connections::{Between, Connections};

/// Where transaction-mode poolers listen: Supabase's Supavisor, `PgBouncer`'s default.
const TRANSACTION_POOLER_PORTS: [u16; 2] = [6543, 6432];
/// Longest wait for a free connection before the statement counts as failed.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections of [`Db::beside`].
pub(super) const FEW: u32 = 2;
/// A connection that is given back answers this soon, or is closed.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);
/// What we ask of a session that is ours alone (behind a transaction pooler none is).
/// No JIT: the planner cannot know how few rows our statements touch, and compiles for seconds.
/// Limits: whoever holds a row locked for long must not hold our connections with it; what must be
/// written is tried again. Our statements are written for READ COMMITTED. `timestamp` columns of an
/// app's own table are read as UTC.
const SESSION: &str = "SET jit = off; SET statement_timeout = '20s'; SET lock_timeout = '5s'; \
     SET default_transaction_isolation = 'read committed'; SET timezone = 'UTC'";
/// Parameters that Prisma and its kin add to a URL, unknown to Postgres.
const FOREIGN_PARAMETERS: [&str; 7] = [
    "schema",
    "pgbouncer",
    "connection_limit",
    "pool_timeout",
    "connect_timeout",
    "socket_timeout",
    "sslaccept",
];

/// The database of one process.
#[derive(Clone, Debug)]
pub struct Db {
    pub(super) pool: Connections,
    pub(super) renewals: Connections,
    trust: Arc<Trust>,
    /// How a listener connects; `None` behind a transaction-mode pooler without a direct address.
    pub(super) listen: Option<PgConnectOptions>,
}

/// A database address that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error(
        "DATABASE_URL is not a Postgres address (postgres://user:password@host:5432/database). On Supabase: Dashboard, Connect, Session pooler"
    )]
    NotAnAddress,
    #[error(transparent)]
    Database(#[from] DbError),
}

impl Db {
    /// Connects once, so that a wrong address is seen at the start.
    ///
    /// `listen_url` is the direct or session-mode address when `url` is a transaction-mode pooler.
    pub async fn connect(
        url: &str,
        listen_url: Option<&str>,
        connections: u32,
    ) -> Result<Self, AddressError> {
        let address = Address::parse(url)?;
        let listen = match listen_url {
            Some(url) => Some(Address::parse(url)?.options),
            None if address.pooled => None,
            None => Some(address.options.clone()),
        };
        let between = if address.pooled {
            Between::Anybodys
        } else {
            Between::Ours
        };
        let trust = Arc::new(Trust::default());
        let pool = pool_options(connections, between, &trust)
            .connect_with(address.options.clone())
            .await
            .map_err(DbError::from)?;
        let renewals = pool_options(1, between, &trust).connect_lazy_with(address.options);
        Ok(Self {
            pool: Connections { pool, between },
            renewals: Connections {
                pool: renewals,
                between,
            },
            trust,
            listen,
        })
    }

    /// For a look at a database of which nothing is known yet: right behind any pooler, known as one
    /// or not, and nothing is connected before the first statement.
    pub(super) fn careful(address: &Address, connections: u32) -> Self {
        let between = Between::Anybodys;
        let trust = Arc::new(Trust::default());
        let pool = |connections| Connections {
            pool: pool_options(connections, between, &trust)
                .connect_lazy_with(address.options.clone()),
            between,
        };
        Self {
            pool: pool(connections),
            renewals: pool(1),
            trust: trust.clone(),
            listen: None,
        }
    }

    /// The same database by connections of their own, for questions that must not wait behind others:
    /// few, and none before the first statement.
    #[must_use]
    pub fn beside(&self) -> Self {
        let address = self.pool.pool.connect_options();
        let between = self.pool.between;
        let trust = Arc::new(Trust::default());
        let pool = |connections| Connections {
            pool: pool_options(connections, between, &trust)
                .connect_lazy_with(address.as_ref().clone()),
            between,
        };
        Self {
            pool: pool(FEW),
            renewals: pool(1),
            trust: trust.clone(),
            listen: self.listen.clone(),
        }
    }

    /// A statement got no answer: no connection of this moment is used again. One that died without
    /// a word looks like any other, and each would be found out by a statement that waits.
    pub fn distrust_connections(&self) {
        *self.trust.since() = Some(Instant::now());
    }

    /// Whether wake-ups can reach us; without them the worker polls.
    pub fn can_listen(&self) -> bool {
        self.listen.is_some()
    }

    /// For statements that are not the product's: tests and the demo speak SQL as an app would.
    pub fn pool(&self) -> &PgPool {
        &self.pool.pool
    }

    pub async fn close(&self) {
        self.pool.pool.close().await;
        self.renewals.pool.close().await;
    }
}

/// Connections that are older than this are not used again.
#[derive(Debug, Default)]
struct Trust(Mutex<Option<Instant>>);

impl Trust {
    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reaches(&self, age: Duration) -> bool {
        self.since().is_none_or(|since| since.elapsed() > age)
    }
}

/// No ping before use: it doubles the round trips, and whoever must write retries anyway.
fn pool_options(connections: u32, between: Between, trust: &Arc<Trust>) -> PgPoolOptions {
    let trust = trust.clone();
    let options = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(move |_, connection| {
            let trusted = trust.reaches(connection.age);
            Box::pin(async move {
                if trusted {
                    Ok(true)
                } else {
                    // An error, because sqlx takes polite leave of a connection otherwise.
                    Err(sqlx::Error::PoolTimedOut)
                }
            })
        })
        // A statement that was given up leaves its connection waiting for an answer that may never
        // come; sqlx would wait with it, and keep its place in the pool.
        .after_release(|connection, _| {
            Box::pin(async move {
                match tokio::time::timeout(RELEASE_TIMEOUT, connection.ping()).await {
                    Ok(answer) => answer.map(|()| true),
                    Err(_) => Err(sqlx::Error::PoolTimedOut),
                }
            })
        });
    if between == Between::Anybodys {
        return options;
    }
    options.after_connect(|connection, _| {
        Box::pin(async move { connection.execute(SESSION).await.map(drop) })
    })
}

/// Where a database is, and whether connections there are taken for a transaction-mode pooler's.
/// Shows as `host:port/database as user`, without the password.
#[derive(Clone)]
pub struct Address {
    pub(super) options: PgConnectOptions,
    pooled: bool,
}

impl Address {
    /// Whether safelight takes it for a transaction-mode pooler, by its port or because it is told.
    pub fn is_taken_for_pooler(&self) -> bool {
        self.pooled
    }

    pub fn host(&self) -> &str {
        self.options.get_host()
    }

    pub fn port(&self) -> u16 {
        self.options.get_port()
    }

    pub fn user(&self) -> &str {
        self.options.get_username()
    }

    /// As `DATABASE_URL` is written, with a word for the password and `port` for its own.
    pub fn example(&self, port: u16) -> String {
        let (user, host) = (self.user(), self.host());
        let database = self.options.get_database().unwrap_or(user);
        format!("postgres://{user}:PASSWORD@{host}:{port}/{database}")
    }

    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let mut url = url::Url::parse(url.trim()).map_err(|_| AddressError::NotAnAddress)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(AddressError::NotAnAddress);
        }
        let told = url
            .query_pairs()
            .any(|(key, value)| key == "pgbouncer" && value == "true");
        let pooled = told
            || url
                .port()
                .is_some_and(|port| TRANSACTION_POOLER_PORTS.contains(&port));
        let kept: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(key, _)| !FOREIGN_PARAMETERS.contains(&key.as_ref()))
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
        let options = PgConnectOptions::from_str(url.as_str())
            .map_err(|_| AddressError::NotAnAddress)?
            .application_name("safelight")
            // PgBouncer refuses parameters that it was not told to let through, and we read no text.
            .extra_float_digits(None)
            .log_slow_statements(tracing::log::LevelFilter::Warn, Duration::from_secs(2));
        Ok(Self { options, pooled })
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user();
        let database = self.options.get_database().unwrap_or(user);
        match self.options.get_socket() {
            Some(socket) => write!(f, "{}/{database} as {user}", socket.display()),
            None => write!(f, "{}:{}/{database} as {user}", self.host(), self.port()),
        }
    }
}

#[cfg(test)]
mod tests;
