//! Wake-ups: "there may be something to do", never more than that.
//!
//! One LISTEN connection, outside the pools. sqlx hides lost notifications behind reconnects, and a
//! half-open socket is silent for ever; so on *any* error the connection is dropped and rebuilt with
//! backoff, each (re)connection is itself a wake-up, and a ping finds a dead socket. Everything
//! works without this file, only slower.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::Notify;

use super::Db;

/// The channel of the trigger in `migrations/`.
const CHANNEL: &str = "photo_generation";
/// A socket that died without a word is found within this long.
const PING_EVERY: Duration = Duration::from_secs(15);
/// An answer to a ping takes no longer than this on a connection that works.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LONGEST_BACKOFF: Duration = Duration::from_secs(15);

/// What wakes a worker: a notification, or somebody in this process who knows of something to do.
#[derive(Debug, Default)]
pub struct Doorbell {
    rung: Notify,
    connected: AtomicBool,
}

impl Doorbell {
    /// There may be something to do. Whoever waits next is woken, once for any number of rings.
    pub fn ring(&self) {
        self.rung.notify_one();
    }

    pub async fn rung(&self) {
        self.rung.notified().await;
    }

    /// Whether notifications arrive at the moment.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }
}

/// Notifications arrive until this is dropped.
struct Connected<'a>(&'a Doorbell);

impl<'a> Connected<'a> {
    fn to(bell: &'a Doorbell) -> Self {
        bell.connected.store(true, Ordering::Relaxed);
        Self(bell)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.connected.store(false, Ordering::Relaxed);
    }
}

/// Rings on each notification and after each connect, until it is dropped.
/// Returns at once where there is nothing to listen on.
pub async fn listen(db: &Db, bell: &Doorbell) {
    let Some(options) = db.listen.clone() else {
        return;
    };
    let mut backoff = FIRST_BACKOFF;
    loop {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .test_before_acquire(false)
            .connect_lazy_with(options.clone());
        match session(&pool, bell, &mut backoff).await {
            Ok(()) => tracing::info!("the wake-up connection was closed, connecting again"),
            Err(error) => tracing::warn!(%error, "no wake-ups for now, polling"),
        }
        // It says goodbye to the server, which a dead socket never answers.
        let _ = tokio::time::timeout(PING_TIMEOUT, pool.close()).await;
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}

async fn session(
    pool: &sqlx::PgPool,
    bell: &Doorbell,
    backoff: &mut Duration,
) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    *backoff = FIRST_BACKOFF;
    let _connected = Connected::to(bell);
    // What was sent while nobody listened is lost: look once.
    bell.ring();
    loop {
        match tokio::time::timeout(PING_EVERY, listener.try_recv()).await {
            Ok(Ok(Some(_))) => bell.ring(),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => ping(&mut listener).await?,
        }
    }
}

async fn ping(listener: &mut PgListener) -> Result<(), sqlx::Error> {
    let answer = sqlx::query("SELECT 1").execute(&mut *listener);
    match tokio::time::timeout(PING_TIMEOUT, answer).await {
        Ok(answer) => answer.map(drop),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}
