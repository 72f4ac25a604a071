//! Every setting: its flag, its environment variable, its default, its meaning.
//!
//! The environment is read here and nowhere else. Each variable may also be written with the prefix
//! `SAFELIGHT_`, which wins; a file `.env` in the working directory is read first. What is missing
//! says in one line where to find it.
#![expect(
    clippy::doc_markdown,
    rustdoc::bare_urls,
    reason = "the doc comments of arguments are what --help prints"
)]

mod fleet;
mod http;
mod provider;
mod storage;
mod webhook;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

pub use fleet::{FleetArgs, FleetSetting};
pub use http::{Asked, DEFAULT_BIND, HttpArgs, ListenArgs};
pub use provider::{ProviderArgs, default_url, key_variable, model_variable, url_variable};
pub use storage::{S3Args, StorageArgs};
pub use webhook::WebhookArgs;

use crate::domain::Provider;
use crate::providers::KeysError;

/// The prefix under which every variable is read, too.
const PREFIX: &str = "SAFELIGHT_";

/// A setting that stops the start, as one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "DATABASE_URL is not set: the address of your Postgres, postgres://user:password@host:5432/database. On Supabase: Dashboard, Connect, Session pooler"
    )]
    NoDatabase,
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error("{}: {error}", key_variable(*.provider))]
    KeysOf {
        provider: Provider,
        error: KeysError,
    },
    #[error("{} is not a URL: {error}", url_variable(*.provider))]
    BaseUrl {
        provider: Provider,
        error: url::ParseError,
    },
    #[error("{} must be http:// or https://, a host and a path, and nothing more", url_variable(*.0))]
    BaseUrlUnfit(Provider),
    #[error(
        "SUPABASE_URL is not a URL (https://PROJECT.supabase.co; Dashboard, Project Settings, API): {0}"
    )]
    SupabaseUrl(url::ParseError),
    #[error(
        "SUPABASE_URL is set but no key for its storage: put the service_role or secret key (Dashboard, Project Settings, API keys) into SUPABASE_SERVICE_ROLE_KEY"
    )]
    NoServiceKey,
    #[error(
        "STORAGE is in Supabase but SUPABASE_URL is not set: https://PROJECT.supabase.co (Dashboard, Project Settings, API)"
    )]
    NoProject,
    #[error(
        "{0}_{1} is not set, for the bucket of STORAGE: on Cloudflare's dashboard at R2, API tokens; on Supabase's dashboard at Project Settings, Storage, S3 access keys; at AWS in IAM"
    )]
    NoBucketKey(&'static str, &'static str),
    #[error(
        "R2_ENDPOINT is not set: https://ACCOUNT.r2.cloudflarestorage.com (Cloudflare's dashboard, R2, the bucket's settings, S3 API)"
    )]
    NoR2Endpoint,
    #[error("{0} is not a URL such as https://storage.example.com: {1}")]
    BucketUrl(&'static str, url::ParseError),
    #[error(
        "{}=\"{name}\" is not an image model of {}; for instance {}",
        model_variable(*.provider),
        .provider.title(),
        .provider.default_model()
    )]
    UnknownModel { provider: Provider, name: String },
    #[error(transparent)]
    Storage(#[from] crate::storage::InvalidTarget),
    #[error("PUBLIC_URL is not a URL (https://photos.example.com): {0}")]
    PublicUrl(url::ParseError),
    #[error("API_KEYS: {0}")]
    ApiKeys(#[from] crate::domain::api_key::InvalidApiKeys),
    #[error(
        "SUPABASE_JWT_SECRET is set but SUPABASE_URL is not, which says who signs: https://PROJECT.supabase.co (Dashboard, Project Settings, API)"
    )]
    SecretWithoutProject,
    #[error(
        "CORS_ORIGINS: \"{0}\" is no origin: write each as https://app.example.com, without a path or a *"
    )]
    Origin(String),
    #[error("WEBHOOK_SECRET: {0}")]
    WebhookSecret(#[from] crate::webhooks::InvalidSecret),
    #[error("IMAGE_FETCH_ALLOW: {0}")]
    FetchAllow(crate::net::InvalidHostPort),
}

/// Reads `.env`, if there is one. Before any thread exists, as it changes the environment.
pub fn load_dotenv() {
    // No file is the usual case; a broken one is reported by what is missing because of it.
    let _ = dotenvy::dotenv();
}

/// How this program was called: the words to call it again.
pub fn program() -> String {
    let called = std::env::args_os().next();
    called.map_or_else(
        || "safelight".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Lets every variable also be read under `SAFELIGHT_`.
#[must_use]
pub fn with_prefixed_variables(command: clap::Command) -> clap::Command {
    command
        .mut_args(prefixed)
        .mut_subcommands(with_prefixed_variables)
}

fn prefixed(argument: clap::Arg) -> clap::Arg {
    let Some(name) = argument.get_env().and_then(|name| name.to_str()) else {
        return argument;
    };
    let name = format!("{PREFIX}{name}");
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    match std::env::var_os(&name) {
        Some(_) => argument.env(name),
        None => argument,
    }
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// Address of your Postgres, postgres://user:password@host:5432/database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// Direct or session-mode address for wake-ups, when DATABASE_URL is a transaction pooler
    #[arg(
        long,
        env = "DATABASE_LISTEN_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub database_listen_url: Option<String>,
}

impl DatabaseArgs {
    pub fn url(&self) -> Result<&str, ConfigError> {
        set(self.database_url.as_ref()).ok_or(ConfigError::NoDatabase)
    }

    pub fn listen_url(&self) -> Option<&str> {
        set(self.database_listen_url.as_ref())
    }
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Worker")]
pub struct WorkerArgs {
    /// A label for this worker, shown in "lockedBy"; need not be unique [default: safelight-PROCESS]
    #[arg(long, env = "WORKER_ID", value_name = "LABEL")]
    pub worker_id: Option<String>,
    /// Jobs at a time; up to 8 images of a job at once
    #[arg(long, env = "WORKER_CONCURRENCY", value_name = "JOBS", default_value_t = 5,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub worker_concurrency: u16,
    /// Job types to take [default: all]
    #[arg(
        long,
        env = "WORKER_TYPES",
        value_name = "TYPE,...",
        value_delimiter = ','
    )]
    pub worker_types: Vec<String>,
    /// Look at the queue at least this often, in milliseconds, wake-ups or not
    #[arg(long, env = "POLL_INTERVAL_MS", value_name = "MS", default_value_t = 5000,
          value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub poll_interval_ms: u64,
    /// Longest wait for one answer of a provider
    #[arg(long, env = "CALL_TIMEOUT_SECONDS", value_name = "S", default_value_t = 180,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub call_timeout_seconds: u64,
    /// Longest time of a job without a finished image; waiting for quota is not counted
    #[arg(long, env = "JOB_TIMEOUT_SECONDS", value_name = "S", default_value_t = 300,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub job_timeout_seconds: u64,
    /// How long calls in flight may go on after SIGTERM
    #[arg(long, env = "SHUTDOWN_GRACE_SECONDS", value_name = "S", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub shutdown_grace_seconds: u64,
    /// Where photos are kept that are paid for while the storage takes none; workers of one machine may
    /// share it
    #[arg(
        long,
        env = "SPOOL_DIR",
        value_name = "DIR",
        default_value = "./safelight-spool"
    )]
    pub spool_dir: PathBuf,
    /// Megabytes of such photos from which on a worker claims nothing more
    #[arg(long, env = "SPOOL_MAX_MB", value_name = "MB", default_value_t = 1000,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub spool_max_mb: u64,
}

impl WorkerArgs {
    pub fn poll_every(&self) -> Duration {
        Duration::from_millis(self.poll_interval_ms)
    }

    pub fn types(&self) -> Option<Vec<String>> {
        (!self.worker_types.is_empty()).then(|| self.worker_types.clone())
    }

    /// Connections of the work pool: a job needs one for a moment at a time.
    pub fn connections(&self) -> u32 {
        u32::from(self.worker_concurrency).clamp(4, 20)
    }

    /// How much the spool may hold.
    pub fn spool_bytes(&self) -> u64 {
        const MEGABYTE: u64 = 1_000_000;

        self.spool_max_mb * MEGABYTE
    }

    pub fn label(&self) -> String {
        set(self.worker_id.as_ref()).map_or_else(
            || format!("safelight-{}", std::process::id()),
            str::to_owned,
        )
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// text or json [default: text on a terminal, json otherwise]
    #[arg(long, env = "LOG_FORMAT", global = true, hide = true)]
    pub log_format: Option<LogFormat>,
    /// What to log, for instance info or safelight=debug
    #[arg(
        long,
        env = "RUST_LOG",
        global = true,
        hide = true,
        value_name = "FILTER"
    )]
    pub log: Option<String>,
}

/// A variable that is set to nothing is not set.
fn set(value: Option<&String>) -> Option<&str> {
    value
        .map(|value| value.trim())
        .filter(|value| !value.is_empty())
}
