//! `safelight resume`: lifts a pause, and says what is paused still. A model whose accounts the provider
//! refused (bad key, no credit) goes on, too: whoever mended that need not wait for the next try.

use clap::Args;
use serde::Serialize;

use super::pause::{Target, label, must_be_known, render};
use super::{CommandError, output};
use crate::app;
use crate::config::DatabaseArgs;
use crate::db::pauses::{self, Pause};

/// Lift a pause; workers go on at once
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    safelight resume all                          lifts the pause of all, and no other\n  \
    safelight resume model gemini-3-pro-image     also where its provider refused a key or had no credit\n  \
    safelight resume tenant team:7\n\n\
    It says what else is paused still. safelight pause shows that, too.")]
pub(super) struct ResumeCommand {
    #[command(flatten)]
    target: Target,
    /// A JSON object: what was resumed, and what is paused still
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// For programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// Null if it was not paused.
    resumed: Option<Pause>,
    /// Accounts that were blocked by the provider, `provider/account/model`.
    unblocked: Vec<String>,
    still_paused: Vec<Pause>,
}

impl ResumeCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let Some(scope) = self.target.scope()? else {
            return Err(CommandError::Usage(
                "resume what? all, a type, a model or a tenant; safelight pause shows what is paused"
                    .to_owned(),
            ));
        };
        let db = app::connect_checked(&self.database).await?;
        let resumed = pauses::resume(&db, &scope).await?;
        let unblocked = pauses::unblock(&db, &scope).await?;
        if resumed.is_none() && unblocked.is_empty() {
            must_be_known(&db, &scope).await?;
        }
        let still_paused = pauses::list(&db).await?;
        if self.json {
            return output::json(&Report {
                resumed,
                unblocked,
                still_paused,
            });
        }
        let what = label(scope.what(), scope.name());
        let done = if resumed.is_some() {
            "Resumed"
        } else {
            "Not paused"
        };
        output::line(format!("{done}: {what}."))?;
        for key in unblocked {
            output::line(format!(
                "Unblocked: {key}. If it still is refused, it is blocked again."
            ))?;
        }
        if still_paused.is_empty() {
            return Ok(());
        }
        output::line("Still paused:")?;
        for line in render(&still_paused) {
            output::line(format!("  {line}"))?;
        }
        Ok(())
    }
}
