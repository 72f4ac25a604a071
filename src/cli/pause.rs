//! `safelight pause`: begin nothing more of something, on any worker; without words, what is paused.
//!
//! What `resume` has in common with it, the words and the list, is here.

use std::str::FromStr as _;

use clap::{Args, ValueEnum};

use super::table::{self, Column};
use super::time::{ago, between};
use super::words::{excerpt, one_line};
use super::{CommandError, output};
use crate::app;
use crate::config::DatabaseArgs;
use crate::db::Db;
use crate::db::pauses::{self, Pause, Scope};
use crate::domain::{JobType, Tenant};

/// Cells of a reason.
const REASON_CELLS: usize = 60;

/// Pause all, a type, a model or a tenant; without words, show what is paused
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    safelight pause                               what is paused, since when, and why\n  \
    safelight pause all --reason \"the bill\"\n  \
    safelight pause model gemini-3-pro-image\n  \
    safelight pause type tryon\n  \
    safelight pause tenant team:7\n\n\
    From then on no call of such a job begins on any worker. Calls in flight end as usual, jobs wait\n\
    and lose nothing. safelight resume takes the same words.")]
pub(super) struct PauseCommand {
    #[command(flatten)]
    target: Target,
    /// Why, for whoever looks later
    #[arg(long, value_name = "TEXT", requires = "what")]
    reason: Option<String>,
    /// Show what is paused
    #[arg(long, conflicts_with = "what")]
    list: bool,
    /// JSON instead of sentences: the pause, or an array of all
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// What is paused or resumed.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// What: everything, or one of a kind
    #[arg(value_name = "WHAT")]
    what: Option<What>,
    /// Which one: a type, a model, or a tenant as team:ID, user:ID or none
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    All,
    Type,
    Model,
    Tenant,
}

impl Target {
    /// `None`: nothing is named.
    pub(super) fn scope(&self) -> Result<Option<Scope>, CommandError> {
        let missing = |question: &str| Err(CommandError::Usage(question.to_owned()));
        let Some(what) = self.what else {
            return Ok(None);
        };
        let scope = match (what, self.name.as_deref().filter(|name| !name.is_empty())) {
            (What::All, None) => Scope::All,
            (What::All, Some(name)) => {
                return Err(CommandError::Usage(format!(
                    "all is everything; \"{name}\" alone is a type, a model or a tenant"
                )));
            }
            (What::Type, Some(name)) => Scope::Type(name.to_owned()),
            (What::Model, Some(name)) => Scope::Model(name.to_owned()),
            (What::Tenant, Some(name)) => Scope::Tenant(tenant(name)?),
            (What::Type, None) => return missing("which type? For instance: type tryon"),
            (What::Model, None) => {
                return missing("which model? For instance: model gemini-3-pro-image");
            }
            (What::Tenant, None) => {
                return missing("which tenant? For instance: tenant team:7, or user:7");
            }
        };
        Ok(Some(scope))
    }
}

/// A tenant as somebody typed it.
pub(super) fn tenant(name: &str) -> Result<Tenant, CommandError> {
    Tenant::from_str(name).map_err(|error| CommandError::Usage(error.to_string()))
}

impl PauseCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let scope = self.target.scope()?;
        let db = app::connect_checked(&self.database).await?;
        let Some(scope) = scope else {
            return self.show(&pauses::list(&db).await?);
        };
        must_be_known(&db, &scope).await?;
        let pause = pauses::pause(&db, &scope, self.reason.as_deref()).await?;
        if self.json {
            return output::json(&pause);
        }
        output::line(format!(
            "Paused: {}. Calls in flight end as usual, jobs wait and lose nothing. To go on: {}",
            label(&pause.what, &pause.name),
            resume_with(&pause)
        ))
    }

    fn show(&self, paused: &[Pause]) -> Result<(), CommandError> {
        if self.json {
            return output::json(&paused);
        }
        if paused.is_empty() {
            return output::line("Nothing is paused.");
        }
        for line in render(paused) {
            output::line(line)?;
        }
        Ok(())
    }
}

/// A pause of what does not exist would look like one, and stop nothing.
pub(super) async fn must_be_known(db: &Db, scope: &Scope) -> Result<(), CommandError> {
    let known = match scope {
        Scope::All | Scope::Tenant(_) => return Ok(()),
        Scope::Model(_) => pauses::known(db).await?.models,
        Scope::Type(_) => {
            let named = JobType::ALL.map(|kind| kind.to_string()).into_iter();
            let waiting = pauses::known(db).await?.types.into_iter();
            let waiting = waiting.filter(|name| JobType::named(name).is_none());
            named.chain(waiting).collect()
        }
    };
    if known.iter().any(|name| name == scope.name()) {
        return Ok(());
    }
    Err(CommandError::Usage(format!(
        "no job here has the {} \"{}\"; known are {}",
        scope.what(),
        one_line(scope.name()),
        one_line(&known.join(", "))
    )))
}

/// `all`, `model gemini-3-pro-image`.
pub(super) fn label(what: &str, name: &str) -> String {
    one_line(&format!("{what} {name}"))
}

/// The command that lifts a pause.
pub(super) fn resume_with(pause: &Pause) -> String {
    let name = quoted(&pause.name);
    match (pause.what.as_str(), name.as_str()) {
        ("account", key) => format!("safelight limits set {key} --paused false"),
        ("all", _) => "safelight resume all".to_owned(),
        (what, name) => format!("safelight resume {what} {name}"),
    }
}

/// As a shell takes it.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@+".contains(c);
    if name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("'{}'", one_line(name).replace('\'', r"'\''"))
    }
}

/// What is paused, one line each.
pub(super) fn render(paused: &[Pause]) -> Vec<String> {
    use Column::Left;

    let row = |pause: &Pause| {
        let since = pause.paused_at.map(|at| ago(between(at, pause.read_at)));
        let reason = pause.reason.as_deref().unwrap_or_default();
        [
            label(&pause.what, &pause.name),
            since.unwrap_or_default(),
            excerpt(reason, REASON_CELLS),
            resume_with(pause),
        ]
    };
    let columns = [Left("PAUSED"), Left("SINCE"), Left("WHY"), Left("TO GO ON")];
    table::render(columns, &paused.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
