//! Processes that serve: HTTP alone, a worker that can be watched, and both in one.
//!
//! How they end: the first signal tells the worker to stop, and its server goes on answering until the
//! worker has ended, so that calls that are already paid can still be polled; then the server takes no
//! new connection and finishes what is in flight. A second signal ends all at once.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{StartError, WorkerConfig, api, decoder, gate, obey_signals, open_storage};
use crate::api::{Ending, Gate, Limits, Vitals, WorkerHandle};
use crate::config::{Asked, DatabaseArgs, HttpArgs, ListenArgs, StorageArgs, WebhookArgs};
use crate::db::{Db, schema};
use crate::storage::Storage;
use crate::telemetry;
use crate::worker::{self, Shutdown, Tools, Until};

/// Connections for requests. Polls are short; what a worker has is its own.
const HTTP_CONNECTIONS: u32 = 8;
/// Histograms are emptied into their buckets this often, scraped or not: they would grow for ever.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// HTTP alone, until a signal ends it.
pub async fn serve(
    database: &DatabaseArgs,
    http: &HttpArgs,
    storage: &StorageArgs,
    webhook: &WebhookArgs,
) -> Result<(), StartError> {
    let db = connect(database, HTTP_CONNECTIONS).await?;
    let gate = gate(&db, http, storage).await?;
    let listener = listen_for_callers(&db, http, &gate).await?;
    let storage = open_storage(storage).await?;
    let signals = Shutdown::default();
    obey_signals(signals.clone())?;
    let ending = Ending {
        stop: signals.stop,
        abort: signals.abort,
    };
    let stop = ending.stop.clone();
    let vitals = vitals(&db, storage.clone(), None, stop.clone());
    let api = api(
        db.clone(),
        http,
        webhook,
        gate,
        storage,
        decoder(),
        vitals,
        stop,
    )
    .await?;
    let _upkeep = keep_metrics();
    let limits = Limits::of_this_process();
    tell(&listener, limits);
    api::serve(listener, api::router(api), ending, limits).await;
    tracing::info!("server stopped");
    db.close().await;
    Ok(())
}

/// Worker and HTTP in one process, until a signal ends it. Two pools: polls never starve the worker.
pub async fn run(
    database: &DatabaseArgs,
    http: &HttpArgs,
    config: &WorkerConfig,
) -> Result<(), StartError> {
    let db = connect(database, config.worker.connections()).await?;
    let requests = Db::connect(database.url()?, database.listen_url(), HTTP_CONNECTIONS).await?;
    let gate = gate(&requests, http, &config.storage).await?;
    let listener = listen_for_callers(&requests, http, &gate).await?;
    let tools = prepare(&db, config).await?;
    let (shutdown, ending) = obey()?;
    let vitals = vitals_of(&tools, &shutdown);
    let stop = ending.stop.clone();
    let (storage, decoder) = (tools.storage.clone(), tools.decoder.clone());
    let webhook = &config.webhook;
    let api = api(
        requests.clone(),
        http,
        webhook,
        gate,
        storage,
        decoder,
        vitals,
        stop,
    )
    .await?;
    let server = Beside::start(listener, api::router(api), ending);
    let worked = worker::run(tools, config.settings(Until::Stopped), shutdown).await;
    server.end().await;
    worked?;
    requests.close().await;
    db.close().await;
    Ok(())
}

/// A worker, until a signal ends it or the queue is drained; watched at its address, if that is free.
pub async fn run_worker(
    database: &DatabaseArgs,
    listen: &ListenArgs,
    config: &WorkerConfig,
    until: Until,
) -> Result<(), StartError> {
    let listener = listen_for_watchers(listen).await?;
    let db = connect(database, config.worker.connections()).await?;
    let tools = prepare(&db, config).await?;
    let (shutdown, ending) = obey()?;
    let router = api::router_of_worker(vitals_of(&tools, &shutdown));
    let server = listener.map(|listener| Beside::start(listener, router, ending));
    let worked = worker::run(tools, config.settings(until), shutdown).await;
    if let Some(server) = server {
        server.end().await;
    }
    worked?;
    db.close().await;
    Ok(())
}

async fn connect(database: &DatabaseArgs, connections: u32) -> Result<Db, StartError> {
    let db = Db::connect(database.url()?, database.listen_url(), connections).await?;
    schema::check(&db).await?;
    Ok(db)
}

async fn prepare(db: &Db, config: &WorkerConfig) -> Result<Tools, StartError> {
    if !db.can_listen() {
        tracing::warn!(
            "DATABASE_URL is a transaction-mode pooler, so new rows are found by polling; \
             set DATABASE_LISTEN_URL to a direct or session-mode address for wake-ups"
        );
    }
    config.tools(db.clone()).await
}

/// The address for the whole surface, which is not opened to everybody.
async fn listen_for_callers(
    db: &Db,
    http: &HttpArgs,
    gate: &Gate,
) -> Result<TcpListener, StartError> {
    let (address, _) = http.listen.address();
    let local = address.ip().to_canonical().is_loopback();
    if !local && gate.is_open(db).await? {
        return Err(StartError::Open(address));
    }
    bind(address).await
}

/// Many workers run on one machine, and none of them needs its address.
async fn listen_for_watchers(listen: &ListenArgs) -> Result<Option<TcpListener>, StartError> {
    let (address, asked) = listen.address();
    match (bind(address).await, asked) {
        (Ok(listener), _) => Ok(Some(listener)),
        (Err(error), Asked::Yes) => Err(error),
        (Err(error), Asked::No) => {
            tracing::warn!("no /health and /metrics of this worker: {error}");
            Ok(None)
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| StartError::Bind { address, source })
}

/// Says that all is set up, where, and for how many; a port 0 has become another by now.
fn tell(listener: &TcpListener, limits: Limits) {
    let address = listener.local_addr().map(tracing::field::display);
    let connections = limits.connections;
    tracing::info!(address = address.ok(), connections, "listening");
}

/// Signals for a worker and the server beside it. The worker's own abort, at the end of its grace time, is
/// not the server's.
fn obey() -> Result<(Shutdown, Ending), StartError> {
    let second = CancellationToken::new();
    let shutdown = Shutdown {
        stop: CancellationToken::new(),
        abort: second.child_token(),
    };
    obey_signals(Shutdown {
        stop: shutdown.stop.clone(),
        abort: second.clone(),
    })?;
    let ending = Ending {
        stop: CancellationToken::new(),
        abort: second,
    };
    Ok((shutdown, ending))
}

fn vitals_of(tools: &Tools, shutdown: &Shutdown) -> Vitals {
    let worker = WorkerHandle {
        bell: tools.presence.bell.clone(),
        occupation: tools.presence.occupation.subscribe(),
    };
    let storage = tools.storage.clone();
    vitals(&tools.db, storage, Some(worker), shutdown.stop.clone())
}

/// What can be watched of a process.
pub fn vitals(
    db: &Db,
    storage: Storage,
    worker: Option<WorkerHandle>,
    leaving: CancellationToken,
) -> Vitals {
    Vitals::new(db, storage, worker, leaving, recorder().clone())
}

/// A server that runs while something else does.
struct Beside {
    ending: Ending,
    task: JoinHandle<()>,
    _upkeep: AbortOnDropHandle<()>,
}

impl Beside {
    fn start(listener: TcpListener, router: Router, ending: Ending) -> Self {
        let limits = Limits::of_this_process();
        tell(&listener, limits);
        let served = api::serve(listener, router, ending.clone(), limits);
        Self {
            ending,
            task: tokio::spawn(served),
            _upkeep: keep_metrics(),
        }
    }

    /// Lets requests in flight finish.
    async fn end(self) {
        self.ending.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the server died");
        }
    }
}

/// The one recorder of this process.
fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let histograms = worker::metrics::HISTOGRAMS.iter().chain(&api::HISTOGRAMS);
        let recorder = telemetry::record_metrics(histograms.copied());
        worker::metrics::describe();
        api::describe_metrics();
        recorder
    })
}

fn keep_metrics() -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            recorder().run_upkeep();
        }
    }))
}
