//! The API keys that open: those of the settings, and those of the table.
//!
//! The table is read when somebody asks and what is known is some seconds old, so there is no task, and a
//! server that nobody calls reads nothing. While the database is away, what was read last holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq as _;
use tokio::sync::Mutex;

use crate::db::{Db, DbError, keys};
use crate::domain::{ApiKey, KeyDigest, KeyOwner};

/// A revoked key opens no longer than this, and a new one is known after it.
const FRESH_FOR: Duration = Duration::from_secs(5);
/// A database that does not answer by then is away; everybody waits for this look.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Keys {
    settings: Vec<ApiKey>,
    table: RwLock<Option<Look>>,
    /// One look for all who need it.
    looking: Mutex<()>,
    /// Whether there ever was a key, as far as this process has seen.
    any: AtomicBool,
}

/// What the table said, and when somebody last asked it.
#[derive(Clone, Debug)]
struct Look {
    live: Arc<[ApiKey]>,
    at: Instant,
}

impl Keys {
    pub(super) fn new(settings: Vec<ApiKey>) -> Self {
        Self {
            any: AtomicBool::new(!settings.is_empty()),
            settings,
            table: RwLock::default(),
            looking: Mutex::default(),
        }
    }

    /// Whether there is a key or ever was one, a revoked one included.
    pub(super) async fn any(&self, db: &Db) -> Result<bool, DbError> {
        if self.any.load(Ordering::Relaxed) {
            return Ok(true);
        }
        self.live(db).await?;
        Ok(self.any.load(Ordering::Relaxed))
    }

    /// Whose key this is. Compares with all, so that the time it takes tells nothing.
    pub(super) async fn owner(&self, db: &Db, key: &str) -> Result<Option<KeyOwner>, DbError> {
        let live = self.live(db).await?;
        let digest = KeyDigest::of(key);
        let mut owner = None;
        for known in self.settings.iter().chain(live.iter()) {
            if bool::from(known.digest.ct_eq(&digest)) && owner.is_none() {
                owner = Some(known.owner.clone());
            }
        }
        Ok(owner)
    }

    async fn live(&self, db: &Db) -> Result<Arc<[ApiKey]>, DbError> {
        if let Some(live) = self.fresh() {
            return Ok(live);
        }
        let _looking = self.looking.lock().await;
        // Somebody may have looked while we waited.
        if let Some(live) = self.fresh() {
            return Ok(live);
        }
        let live: Arc<[ApiKey]> = match (keys::load(db, PATIENCE).await, self.known()) {
            (Ok(found), _) => {
                self.any.fetch_or(found.any, Ordering::Relaxed);
                found.live.into()
            }
            (Err(error), Some(known)) => {
                tracing::warn!(%error, "the API keys could not be read again; those known still open");
                known.live
            }
            (Err(error), None) => return Err(error),
        };
        let look = Look {
            live: live.clone(),
            at: Instant::now(),
        };
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Some(look);
        Ok(live)
    }

    fn known(&self) -> Option<Look> {
        self.table
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn fresh(&self) -> Option<Arc<[ApiKey]>> {
        self.known()
            .filter(|look| look.at.elapsed() < FRESH_FOR)
            .map(|look| look.live)
    }
}
