//! Whose a connection is between two statements: found out, not guessed from a port.
//!
//! Behind a transaction-mode pooler the next statement of a client may be answered by another
//! process of the server, and two clients by the same one. A direct connection and a session-mode
//! pooler keep each client at its own. No state is set in a session, as it might be anybody's.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgListener, PgPoolOptions};
use uuid::Uuid;

use super::{Address, Unreachable, connect};
use crate::db::{Db, DbError};

/// Where the pooler hands out the connection that rested shortest, the first round tells; where the
/// one that rested longest, the first or second; beside busy clients some round will.
const ROUNDS: usize = 5;

/// What a client has of the server for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// A session of its own: a direct connection, or a session-mode pooler.
    Own,
    /// None: a transaction-mode pooler.
    Shared,
}

/// Watches which processes answer two clients.
pub async fn sessions(address: &Address) -> Result<Sessions, Unreachable> {
    let mut one = connect(address).await?;
    let mut other = connect(address).await?;
    let (mut ones, mut others) = (HashSet::new(), HashSet::new());
    let mut shared = false;
    for _ in 0..ROUNDS {
        ones.insert(one.backend().await?);
        ones.insert(one.backend().await?);
        others.insert(other.backend().await?);
        shared = ones.len() > 1 || others.len() > 1 || !ones.is_disjoint(&others);
        if shared {
            break;
        }
    }
    one.close().await;
    other.close().await;
    Ok(if shared {
        Sessions::Shared
    } else {
        Sessions::Own
    })
}

/// Listens at `address` on a channel of its own, notifies through `db`, and waits for it: how long
/// it took, or `None` when nothing came.
pub async fn hear(
    db: &Db,
    address: &Address,
    patience: Duration,
) -> Result<Option<Duration>, DbError> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(patience)
        .connect_lazy_with(address.options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    let channel = format!("safelight_doctor_{}", Uuid::new_v4().simple());
    listener.listen(&channel).await?;
    let sent = Instant::now();
    sqlx::query!("SELECT pg_notify($1, '')", channel)
        .execute(&db.pool)
        .await?;
    let heard = tokio::time::timeout(patience, listener.recv()).await;
    let took = sent.elapsed();
    match heard {
        Ok(heard) => heard.map(|_| Some(took)).map_err(DbError::from),
        Err(_) => Ok(None),
    }
}

/// How full the server's queue of notifications is, from 0 to 1. Above a half, inserts wake nobody.
pub async fn notifications_pending(db: &Db) -> Result<f64, DbError> {
    let usage = sqlx::query_scalar!(r#"SELECT pg_notification_queue_usage() AS "usage!""#)
        .fetch_one(&db.pool)
        .await?;
    Ok(usage)
}
