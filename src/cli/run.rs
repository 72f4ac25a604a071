//! `safelight run`: worker and HTTP in one process, the usual deployment.

use clap::Args;

use super::CommandError;
use crate::app::{self, WorkerConfig};
use crate::config::{
    DatabaseArgs, FleetArgs, HttpArgs, ProviderArgs, StorageArgs, WebhookArgs, WorkerArgs,
};

/// Work the queue and serve HTTP, in one process
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    DATABASE_URL=postgres://... GEMINI_API_KEY=... API_KEYS=team:key safelight run\n  \
    safelight run --port 8080 --worker-concurrency 20      in a container\n  \
    curl http://127.0.0.1:8088/health\n\n\
    SIGTERM: stop claiming, let paid calls and requests in flight finish, hand the rest back. A second \
    SIGTERM ends all at once.")]
pub(super) struct RunCommand {
    #[command(flatten)]
    worker: WorkerArgs,
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    provider: ProviderArgs,
    #[command(flatten)]
    storage: StorageArgs,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    webhook: WebhookArgs,
}

impl RunCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let config = WorkerConfig {
            provider: self.provider,
            storage: self.storage,
            worker: self.worker,
            fleet: self.fleet,
            webhook: self.webhook,
        };
        app::run(&self.database, &self.http, &config).await?;
        Ok(())
    }
}
