//! `safelight retry`: make new jobs with the wishes of failed or canceled ones.

use clap::Args;

use super::CommandError;
use super::act::{ActArgs, Action};

/// Make failed or canceled jobs again, as new jobs; the old ones stay as they are
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    safelight retry 12\n  \
    safelight retry --code provider_error --since 2h       shows how many, and asks\n  \
    safelight retry --status failed,canceled --batch 7 --yes\n\n\
    A new job asks for all images again, and each is paid for. A search without --status is about\n\
    failed jobs, and never about those that a retry was made of before.")]
pub(super) struct RetryCommand {
    #[command(flatten)]
    act: ActArgs,
}

impl RetryCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        self.act.run(Action::Retry).await
    }
}
