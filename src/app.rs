//! The composition root: from settings to things that run.
//!
//! The only file that knows all parts. Nothing here decides anything about jobs.

mod serve;

use std::net::SocketAddr;
use std::num::NonZero;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::api::{self, Access, Api, Gate, Hub, Project, Signer, Vitals};
use crate::config::{
    ConfigError, DEFAULT_BIND, DatabaseArgs, FleetArgs, FleetSetting, HttpArgs, ProviderArgs,
    StorageArgs, WebhookArgs, WorkerArgs, model_variable,
};
use crate::db::pool::AddressError;
use crate::db::schema::{self, SchemaError};
use crate::db::{Db, DbError, limits, secrets, settings};
use crate::domain::{Provider, hex};
use crate::images::{Decoder, FetchError, Fetcher};
use crate::net::NoClient;
use crate::pipeline::{Inputs, Spool};
use crate::providers::{self, Gemini, OpenAi, Providers};
use crate::storage::{Storage, StorageError};
use crate::webhooks::Sender;
use crate::worker::{Presence, Rhythm, Settings, Shutdown, Tools, Until};

pub use serve::{run, run_worker, serve, vitals};

/// Why something could not be started, as one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Database(#[from] DbError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the client for input images could not be built: {0}")]
    Fetcher(#[from] FetchError),
    #[error("the client for webhooks could not be built: {0}")]
    Sender(#[from] NoClient),
    #[error("TENANT_SQL does not work: {0}")]
    TenantSql(#[source] DbError),
    #[error("an HTTP client could not be built: {0}")]
    HttpClient(#[from] reqwest::Error),
    #[error("the system gives no random numbers")]
    NoRandomness,
    #[error("signals cannot be received: {0}")]
    Signals(#[from] std::io::Error),
    #[error("cannot listen at {address}: {source}; choose another address with BIND=HOST:PORT")]
    Bind {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error(
        "nothing says who may call, and {0} can be reached from outside: set API_KEYS=team:key, or a key with safelight keys, or listen on this machine only, BIND={DEFAULT_BIND}"
    )]
    Open(SocketAddr),
}

/// Connections of a command that does one thing at a time.
const FEW_CONNECTIONS: u32 = 2;

/// Chooses the TLS implementation of this process; once, before any client is built.
pub fn install_tls() {
    // A second call finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A database for a command of one statement at a time.
pub async fn connect(args: &DatabaseArgs) -> Result<Db, StartError> {
    Ok(Db::connect(args.url()?, args.listen_url(), FEW_CONNECTIONS).await?)
}

/// The same, with a schema that we understand.
pub async fn connect_checked(args: &DatabaseArgs) -> Result<Db, StartError> {
    let db = connect(args).await?;
    schema::check(&db).await?;
    Ok(db)
}

/// The clients for the providers, with the keys that are set.
pub fn providers(args: &ProviderArgs) -> Result<Providers, StartError> {
    install_tls();
    let http = providers::http_client()?;
    let gemini = Gemini::new(
        http.clone(),
        args.base_url(Provider::Gemini)?,
        args.accounts(Provider::Gemini)?,
    );
    let openai = OpenAi::new(
        http,
        args.base_url(Provider::OpenAi)?,
        args.accounts(Provider::OpenAi)?,
    );
    Ok(Providers::new(gemini, openai))
}

/// The storage for photos and uploads, tried out.
pub async fn open_storage(args: &StorageArgs) -> Result<Storage, StartError> {
    let storage = untried_storage(args)?;
    storage.probe().await?;
    Ok(storage)
}

/// The same for somebody who only reads.
pub fn untried_storage(args: &StorageArgs) -> Result<Storage, StartError> {
    install_tls();
    Ok(args.settings()?.open()?)
}

/// As many pictures at a time as this machine has cores; one for all parts of a process.
pub fn decoder() -> Decoder {
    Decoder::new(std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// Everything a worker is made of.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    pub provider: ProviderArgs,
    pub storage: StorageArgs,
    pub worker: WorkerArgs,
    pub fleet: FleetArgs,
    pub webhook: WebhookArgs,
}

impl WorkerConfig {
    /// Builds the tools of a worker, and records what a first worker records.
    pub async fn tools(&self, db: Db) -> Result<Tools, StartError> {
        let providers = providers(&self.provider)?;
        let storage = open_storage(&self.storage).await?;
        let decoder = decoder();
        let fetcher = Fetcher::new(self.storage.fetch_policy()?)?
            .with_deadline(self.storage.image_fetch_timeout());
        self.record(&db, &providers).await?;
        Ok(Tools {
            inputs: Inputs::new(fetcher, decoder.clone(), storage.clone()),
            db,
            providers,
            decoder,
            storage,
            spool: Spool::new(&self.worker.spool_dir, self.worker.spool_bytes()),
            sender: self.sender()?,
            presence: Presence::default(),
        })
    }

    /// For messages to apps, if there is what signs them.
    fn sender(&self) -> Result<Option<Sender>, StartError> {
        let Some(secrets) = self.webhook.secrets()? else {
            return Ok(None);
        };
        Ok(Some(Sender::new(secrets, self.storage.allowed_hosts()?)?))
    }

    /// Fleet-wide settings that are still absent, and limit rows for this worker's accounts.
    async fn record(&self, db: &Db, providers: &Providers) -> Result<(), StartError> {
        let serves_first = self.provider.serves_first().as_str();
        let recorded = settings::record(db, settings::DEFAULT_PROVIDER, serves_first).await?;
        if let Some(wished) = self.provider.wished_provider() {
            tell_difference(&wished, &recorded);
        }
        for provider in self.provider.with_key() {
            self.record_provider(db, provider, providers).await?;
        }
        for setting in self.fleet.wished() {
            let recorded = settings::record(db, &setting.key, &setting.value).await?;
            tell_difference(&setting, &recorded);
        }
        for key in limits::uncounted(db).await? {
            tracing::warn!(
                "what a call to {key} costs is not known, so no limit of money counts it; \
                 set it with: safelight limits set {key} --cost-per-call USD"
            );
        }
        Ok(())
    }

    /// The same of one provider.
    async fn record_provider(
        &self,
        db: &Db,
        provider: Provider,
        providers: &Providers,
    ) -> Result<(), StartError> {
        let wished = self.provider.model(provider)?;
        let model = FleetSetting {
            variable: model_variable(provider),
            key: settings::default_model_key(provider),
            value: wished.unwrap_or(provider.default_model()).to_owned(),
        };
        let recorded = settings::record(db, &model.key, &model.value).await?;
        if wished.is_some() {
            tell_difference(&model, &recorded);
        }
        let accounts = providers.accounts(provider);
        let accounts: Vec<String> = accounts.into_iter().map(str::to_owned).collect();
        let mut models = provider.known_models().to_vec();
        models.extend(provider.text_model());
        models.push(&recorded);
        models.sort_unstable();
        models.dedup();
        limits::register(db, provider, &accounts, &models).await?;
        Ok(())
    }

    pub fn settings(&self, until: Until) -> Settings {
        let seconds = std::time::Duration::from_secs;
        Settings {
            label: self.worker.label(),
            concurrency: usize::from(self.worker.worker_concurrency),
            types: self.worker.types(),
            poll_every: self.worker.poll_every(),
            call_timeout: seconds(self.worker.call_timeout_seconds),
            job_timeout: seconds(self.worker.job_timeout_seconds),
            shutdown_grace: seconds(self.worker.shutdown_grace_seconds),
            until,
            rhythm: Rhythm::default(),
        }
    }
}

/// A fleet-wide setting stays as it is recorded; who wishes for another value is told how to change it.
fn tell_difference(wished: &FleetSetting, recorded: &str) {
    let FleetSetting {
        variable, value, ..
    } = wished;
    if value != recorded {
        tracing::warn!(
            "{variable} is {value}, but the database says {recorded} for the whole fleet; \
             change it there with: {variable}={value} safelight migrate"
        );
    }
}

/// The row that holds what tokens and URLs are signed with.
const SIGNING: &str = "signing";

/// What the HTTP surface is made of. `stop` rings when its server ends.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of a server, each made by somebody else"
)]
pub async fn api(
    db: Db,
    http: &HttpArgs,
    webhook: &WebhookArgs,
    gate: Gate,
    storage: Storage,
    decoder: Decoder,
    vitals: Vitals,
    stop: CancellationToken,
) -> Result<Api, StartError> {
    let signer = signer(&db).await?;
    Ok(Api::new(api::Parts {
        storage,
        decoder,
        gate,
        signer,
        hub: Hub::start(db.clone(), stop.clone()),
        vitals,
        stop,
        settings: api::Settings {
            public_url: http.public_url()?,
            signed_url_life: http.signed_url_life(),
            max_waiting: http.queue_max_waiting,
            upgrade_url: http.upgrade_url.clone(),
            origins: http.origins()?,
            sends_webhooks: webhook.secrets()?.is_some(),
        },
        db,
    }))
}

/// Who may call, tried out as far as it can be.
pub async fn gate(db: &Db, http: &HttpArgs, storage: &StorageArgs) -> Result<Gate, StartError> {
    install_tls();
    let project = match (storage.project()?, http.jwt_secret()) {
        (None, Some(_)) => return Err(ConfigError::SecretWithoutProject.into()),
        (None, None) => None,
        (Some(url), secret) => Some(Project {
            url,
            secret: secret.map(str::to_owned),
        }),
    };
    let gate = Gate::new(Access {
        keys: http.api_keys()?,
        project,
        tenant_sql: http.tenant_sql().map(str::to_owned),
        requests_per_minute: http.caller_requests_per_minute,
    })?;
    // The keys of the table are read now: a table that cannot be read ends the start.
    gate.is_open(db).await?;
    gate.try_out(db).await.map_err(StartError::TenantSql)?;
    Ok(gate)
}

/// By the fleet's secret; the first server brings one.
async fn signer(db: &Db) -> Result<Signer, StartError> {
    let secret = secrets::record(db, SIGNING, &hex(&random()?)).await?;
    Ok(Signer::new(secret.as_bytes()))
}

/// Bytes that nobody can guess.
pub fn random() -> Result<[u8; 32], StartError> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| StartError::NoRandomness)?;
    Ok(bytes)
}

/// First SIGTERM or SIGINT: stop. Second: give everything back at once.
pub fn obey_signals(shutdown: Shutdown) -> Result<(), std::io::Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for token in [shutdown.stop, shutdown.abort] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            token.cancel();
        }
    });
    Ok(())
}
