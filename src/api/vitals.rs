//! What a process says about itself to whoever watches it: the small server of a worker, and part of the
//! large one.
//!
//! Watchers come every few seconds, many at once, and when something hangs most of all. So what is found
//! out is kept for a moment and shared, every question has a deadline, and the database is asked by
//! connections of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{health, layers, metrics};
use crate::db::Db;
use crate::db::listener::Doorbell;
use crate::db::vitals::Reach;
use crate::domain::Occupation;
use crate::storage::Storage;

/// A check that takes longer has failed.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);
const DATABASE_KEPT: Duration = Duration::from_secs(1);
/// It writes a file.
const STORAGE_KEPT: Duration = Duration::from_secs(5);
/// One that is reached over HTTP charges for each request, and works for longer than that.
const STORAGE_ELSEWHERE_KEPT: Duration = Duration::from_mins(1);
const PAGE_KEPT: Duration = Duration::from_secs(5);

/// The worker of this process, as others in it know it.
#[derive(Debug, Clone)]
pub struct WorkerHandle {
    pub bell: Arc<Doorbell>,
    /// Closed when the worker has ended.
    pub occupation: watch::Receiver<Occupation>,
}

/// What a process is made of, as far as watchers are concerned. Cheap to clone.
#[derive(Clone)]
pub struct Vitals(Arc<Organs>);

struct Organs {
    /// Of connections of its own.
    db: Db,
    storage: Storage,
    worker: Option<WorkerHandle>,
    leaving: CancellationToken,
    recorder: PrometheusHandle,
    database: Kept<Reach>,
    fleet: Kept<bool>,
    storage_works: Kept<bool>,
    /// Held while the storage is tried: one that hangs is not tried again beside itself.
    trying: Arc<Mutex<()>>,
    page: Kept<String>,
}

impl fmt::Debug for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vitals").finish_non_exhaustive()
    }
}

impl Vitals {
    /// `leaving`: this process is told to end, so nothing new should be sent to it.
    pub fn new(
        db: &Db,
        storage: Storage,
        worker: Option<WorkerHandle>,
        leaving: CancellationToken,
        recorder: PrometheusHandle,
    ) -> Self {
        Self(Arc::new(Organs {
            db: db.beside(),
            storage,
            worker,
            leaving,
            recorder,
            database: Kept::default(),
            fleet: Kept::default(),
            storage_works: Kept::default(),
            trying: Arc::default(),
            page: Kept::default(),
        }))
    }

    pub(super) fn db(&self) -> &Db {
        &self.0.db
    }

    pub(super) fn worker(&self) -> Option<&WorkerHandle> {
        self.0.worker.as_ref()
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.0.leaving.is_cancelled()
    }

    pub(super) fn recorder(&self) -> &PrometheusHandle {
        &self.0.recorder
    }

    pub(super) async fn database(&self) -> Reach {
        let look = async || {
            let reach = crate::db::vitals::reach(self.db());
            tokio::time::timeout(DEADLINE, reach)
                .await
                .unwrap_or_else(|_| {
                    self.db().distrust_connections();
                    Reach::Away
                })
        };
        self.0.database.get(DATABASE_KEPT, look).await
    }

    /// Whether some worker lives, wherever.
    pub(super) async fn fleet(&self) -> bool {
        let look = async || {
            let alive = crate::db::workers::any_alive(self.db());
            matches!(tokio::time::timeout(DEADLINE, alive).await, Ok(Ok(true)))
        };
        self.0.fleet.get(DATABASE_KEPT, look).await
    }

    pub(super) async fn storage(&self) -> bool {
        let look = async || {
            let Ok(trying) = self.0.trying.clone().try_lock_owned() else {
                return false;
            };
            let storage = self.0.storage.clone();
            let probe = tokio::spawn(async move {
                let probed = storage.probe().await;
                drop(trying);
                probed
            });
            matches!(tokio::time::timeout(DEADLINE, probe).await, Ok(Ok(Ok(()))))
        };
        let kept = |works: &bool| match &self.0.storage {
            Storage::S3(_) | Storage::Supabase(_) if *works => STORAGE_ELSEWHERE_KEPT,
            Storage::Local(_) | Storage::S3(_) | Storage::Supabase(_) => STORAGE_KEPT,
        };
        self.0.storage_works.get_for(kept, look).await
    }

    /// What the tables say, as Prometheus reads it.
    pub(super) async fn page(&self) -> String {
        let look = async || metrics::of_the_tables(self).await;
        self.0.page.get(PAGE_KEPT, look).await
    }
}

/// The routes of every process that can be watched.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(vitals: Vitals) -> OpenApiRouter<S> {
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::metrics))
        .with_state(vitals)
}

/// The small server of a worker: nothing but these.
pub fn router(vitals: Vitals) -> Router {
    layers::layered(routes::<()>(vitals).split_for_parts().0)
}

/// Something that was found out a moment ago.
#[derive(Debug)]
struct Kept<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Kept<T> {
    /// Finds it out again when it is older; who asks meanwhile waits for the same answer.
    async fn get(&self, kept: Duration, look: impl AsyncFnOnce() -> T) -> T {
        self.get_for(|_| kept, look).await
    }

    /// The same, where it is kept for longer or less long as it is.
    async fn get_for(&self, kept: impl Fn(&T) -> Duration, look: impl AsyncFnOnce() -> T) -> T {
        let mut found = self.0.lock().await;
        if let Some((at, known)) = found.as_ref()
            && at.elapsed() < kept(known)
        {
            return known.clone();
        }
        let fresh = look().await;
        *found = Some((Instant::now(), fresh.clone()));
        fresh
    }
}
