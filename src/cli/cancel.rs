//! `safelight cancel`: end jobs that have not ended.

use clap::Args;

use super::CommandError;
use super::act::{ActArgs, Action};

/// Cancel jobs that have not ended; a running call is aborted within 2 seconds
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    safelight cancel 12\n  \
    safelight cancel 12 13 0b7f3f62-5d0f-4a59-9a3e-6f2d1f6f7c11\n  \
    safelight cancel --batch 7                    shows how many, and asks\n  \
    safelight cancel --status pending --since 2h --yes\n\n\
    Pictures that are stored already are kept. To make a canceled job again: safelight retry.")]
pub(super) struct CancelCommand {
    #[command(flatten)]
    act: ActArgs,
}

impl CancelCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        self.act.run(Action::Cancel).await
    }
}
