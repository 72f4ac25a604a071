//! `safelight worker`: work the queue until a signal comes.

use clap::Args;

use super::CommandError;
use crate::app::{self, WorkerConfig};
use crate::config::{
    DatabaseArgs, FleetArgs, ListenArgs, ProviderArgs, StorageArgs, WebhookArgs, WorkerArgs,
};
use crate::worker::Until;

/// Work the queue: claim jobs, make their photos, store them
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    DATABASE_URL=postgres://... GEMINI_API_KEY=... safelight worker\n  \
    safelight worker --drain        work until nothing is due, then exit\n  \
    safelight worker --worker-concurrency 20 --storage local:/var/lib/safelight\n\n\
    /health, /ready and /metrics are served at BIND, so that it can be watched; where somebody else \
    has that address already, it works on without, unless you have set it.\n\n\
    SIGTERM: stop claiming, let paid calls in flight finish, hand the rest back. A second SIGTERM \
    hands everything back at once.")]
pub(super) struct WorkerCommand {
    /// Work until nothing is due and nothing is left by dead workers, then exit
    #[arg(long)]
    drain: bool,
    #[command(flatten)]
    worker: WorkerArgs,
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
    #[command(flatten)]
    listen: ListenArgs,
}

impl WorkerCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let until = if self.drain {
            Until::Drained
        } else {
            Until::Stopped
        };
        let config = WorkerConfig {
            provider: self.provider,
            storage: self.storage,
            worker: self.worker,
            fleet: self.fleet,
            webhook: self.webhook,
        };
        app::run_worker(&self.database, &self.listen, &config, until).await?;
        Ok(())
    }
}
