//! Everything that runs during a demo: the provider, the database's connections and a worker.
//!
//! Put together here from nothing but what the demo decides, so that no setting of a project in
//! whose folder somebody tries the demo (its database, its storage) can reach it; and so that the
//! simulator's address and key exist nowhere else.

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::app::{StartError, WorkerConfig};
use crate::cli::CommandError;
use crate::config::{FleetArgs, ProviderArgs, S3Args, StorageArgs, WebhookArgs, WorkerArgs};
use crate::db::schema::{self, SchemaError};
use crate::db::{Db, DbError, demo, settings};
use crate::domain::Provider;
use crate::images::fetch;
use crate::providers::simulator::{DEFAULT_KEY, Simulator, SimulatorConfig};
use crate::worker::{self, Shutdown, Until};

/// The simulator's account: in the ledger nobody takes its calls for those of a real key.
const SIMULATED: &str = "simulator";
/// Quick for a provider, slow enough to watch.
const LATENCY: [Duration; 2] = [Duration::from_millis(600), Duration::from_millis(1800)];
/// How long calls may go on after Ctrl-C: those of a simulator cost nothing, those of a provider
/// are paid for.
const GRACE_SIMULATED: Duration = Duration::from_secs(5);
const GRACE_PAID: Duration = Duration::from_mins(1);

/// Who makes the pictures.
pub(super) enum Source {
    Simulator,
    /// A provider, with somebody's key and money.
    Paid {
        provider: Box<ProviderArgs>,
        fleet: FleetArgs,
    },
}

impl Source {
    pub(super) fn is_paid(&self) -> bool {
        match self {
            Self::Simulator => false,
            Self::Paid { .. } => true,
        }
    }
}

/// What runs; it must be closed.
pub(super) struct Studio {
    pub(super) db: Db,
    /// Ends when the worker does, which it should not do by itself.
    pub(super) worker: JoinHandle<Result<(), SchemaError>>,
    accounts: Vec<String>,
    provider: Provider,
    model: String,
    shutdown: Shutdown,
    simulator: Option<Simulator>,
}

impl Studio {
    /// Starts everything on a database that is there. A Ctrl-C stops the worker by itself.
    pub(super) async fn open(
        database: &str,
        photos: &str,
        source: &Source,
        interrupt: &Shutdown,
    ) -> Result<Self, CommandError> {
        let (simulator, provider, fleet, grace) = match source {
            Source::Simulator => {
                let simulator = simulator().await?;
                let provider = provider_of(&simulator);
                (
                    Some(simulator),
                    provider,
                    FleetArgs::default(),
                    GRACE_SIMULATED,
                )
            }
            Source::Paid { provider, fleet } => {
                (None, provider.as_ref().clone(), fleet.clone(), GRACE_PAID)
            }
        };
        let calls = provider.calls();
        let accounts = provider.accounts(calls).map_err(StartError::from)?;
        let model = provider.model(calls).map_err(StartError::from)?;
        let model = model.unwrap_or(calls.default_model()).to_owned();
        let config = WorkerConfig {
            provider,
            storage: storage(photos),
            worker: worker_args(photos, grace),
            fleet,
            webhook: WebhookArgs::default(),
        };
        let db = Db::connect(database, None, config.worker.connections())
            .await
            .map_err(StartError::from)?;
        prepare(&db, source, calls, &model).await?;
        let tools = config.tools(db.clone()).await?;
        let shutdown = Shutdown {
            stop: interrupt.stop.child_token(),
            abort: interrupt.abort.child_token(),
        };
        let settings = config.settings(Until::Stopped);
        Ok(Self {
            worker: tokio::spawn(worker::run(tools, settings, shutdown.clone())),
            db,
            accounts: accounts.into_iter().map(|account| account.name).collect(),
            provider: calls,
            model,
            shutdown,
            simulator,
        })
    }

    /// What keeps every call from passing, if something does.
    pub(super) async fn obstacle(&self) -> Result<Option<demo::Obstacle>, DbError> {
        demo::obstacle(&self.db, self.provider, &self.accounts, &self.model).await
    }

    /// Lets calls in flight finish and stops the worker; the database stays open.
    pub(super) async fn stop_working(&mut self) {
        self.shutdown.stop.cancel();
        if !self.worker.is_finished() {
            // How a worker ends that was told to is no news.
            let _ = (&mut self.worker).await;
        }
    }

    pub(super) async fn close(self) {
        self.db.close().await;
        if let Some(simulator) = self.simulator
            && let Err(error) = simulator.stop().await
        {
            tracing::debug!(%error, "the simulator broke off");
        }
    }
}

/// The schema, and what an earlier run left in it.
async fn prepare(
    db: &Db,
    source: &Source,
    provider: Provider,
    model: &str,
) -> Result<(), CommandError> {
    schema::migrate(db, &|_| {})
        .await
        .map_err(StartError::from)?;
    settings::set(db, settings::DEFAULT_PROVIDER, provider.as_str()).await?;
    settings::set(db, &settings::default_model_key(provider), model).await?;
    demo::forget_limits(db).await?;
    if source.is_paid() {
        // What was meant for the simulator is not bought with money.
        demo::cancel_unfinished(db).await?;
    }
    Ok(())
}

async fn simulator() -> Result<Simulator, CommandError> {
    let [shortest, longest] = LATENCY;
    let config = SimulatorConfig {
        latency: shortest..=longest,
        ..SimulatorConfig::default()
    };
    Simulator::start(config)
        .await
        .map_err(|error| CommandError::Failed(format!("the simulator cannot be served: {error}")))
}

fn provider_of(simulator: &Simulator) -> ProviderArgs {
    ProviderArgs {
        gemini_api_key: None,
        gemini_api_keys: Some(format!("{SIMULATED}:{DEFAULT_KEY}")),
        google_ai_studio_api_key: None,
        gemini_model_name: None,
        gemini_base_url: simulator.base_url(),
        openai_api_key: None,
        openai_api_keys: None,
        openai_model_name: None,
        openai_base_url: simulator.base_url(),
        default_provider: None,
    }
}

fn storage(photos: &str) -> StorageArgs {
    StorageArgs {
        storage: Some(format!("local:{photos}")),
        supabase_url: None,
        supabase_service_role_key: None,
        supabase_secret_key: None,
        s3: S3Args::default(),
        image_fetch_allow: Vec::new(),
        image_fetch_timeout_seconds: fetch::DEADLINE.as_secs(),
    }
}

/// A worker as it comes, but for the time that it may take to end.
fn worker_args(photos: &str, grace: Duration) -> WorkerArgs {
    WorkerArgs {
        worker_id: Some("demo".to_owned()),
        worker_concurrency: 5,
        worker_types: Vec::new(),
        poll_interval_ms: 5000,
        call_timeout_seconds: 180,
        job_timeout_seconds: 300,
        shutdown_grace_seconds: grace.as_secs(),
        // Beside the photos: everything stays in the demo's folder.
        spool_dir: Path::new(photos).with_file_name("spool"),
        spool_max_mb: 1000,
    }
}
