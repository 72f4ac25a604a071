//! `safelight serve`: HTTP alone, where workers run elsewhere.

use clap::Args;

use super::CommandError;
use crate::app;
use crate::config::{DatabaseArgs, HttpArgs, StorageArgs, WebhookArgs};

/// Serve HTTP without working the queue; workers run elsewhere
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    DATABASE_URL=postgres://... API_KEYS=team:key safelight serve\n  \
    DATABASE_URL=postgres://... safelight serve        for this machine alone, without keys\n  \
    safelight serve --bind 0.0.0.0:8088 --storage local:/var/lib/safelight\n\n\
    It needs the storage of the workers, to hand out their photos. SIGTERM: requests in flight finish.")]
pub(super) struct ServeCommand {
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    storage: StorageArgs,
    #[command(flatten)]
    webhook: WebhookArgs,
}

impl ServeCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        app::install_tls();
        app::serve(&self.database, &self.http, &self.storage, &self.webhook).await?;
        Ok(())
    }
}
