//! `safelight keys`: who may call the HTTP surface. A new key is shown once; only its hash is kept.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::table::{self, Column};
use super::time::{ago, between};
use super::words::{excerpt, one_line};
use super::{CommandError, output};
use crate::app;
use crate::config::DatabaseArgs;
use crate::db::keys::{self, KeyRow};
use crate::domain::{KeyDigest, KeyOwner, api_key};

/// Cells of a label.
const LABEL_CELLS: usize = 40;

/// Show who may call over HTTP; create makes a key, revoke takes one back
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
    safelight keys\n  \
    safelight keys create --team 7 --label website       for the jobs of team 7\n  \
    safelight keys create --service                      for your own backend: may do everything\n  \
    safelight keys revoke 3                              refused within 5 seconds\n\n\
    To change a key, create the next, put it to use, and revoke the old one."
)]
pub(super) struct KeysCommand {
    #[command(subcommand)]
    change: Option<KeysSubcommand>,
    /// A JSON array instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
enum KeysSubcommand {
    Create(CreateCommand),
    Revoke(RevokeCommand),
}

/// Make a key, and print it this once; running servers know it within 5 seconds
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:\n  \
    safelight keys create --team 7 --label website\n  \
    safelight keys create --service --json | jq -r .key"
)]
struct CreateCommand {
    #[command(flatten)]
    owner: Owner,
    /// What it is for, to know it by
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// A JSON object, the key in it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Owner {
    /// Whose jobs the key sees and makes
    #[arg(long, value_name = "ID")]
    team: Option<String>,
    /// The key may do everything, for everybody
    #[arg(long)]
    service: bool,
}

/// Take a key back for good; running servers refuse it within 5 seconds
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:\n  \
    safelight keys revoke 3"
)]
struct RevokeCommand {
    /// Its number, as safelight keys shows it
    #[arg(value_name = "ID")]
    id: i64,
    /// A JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// A key that was just made, for programs.
#[derive(Debug, Serialize)]
struct Created {
    key: String,
    #[serde(flatten)]
    row: KeyRow,
}

impl KeysCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        match self.change {
            Some(KeysSubcommand::Create(command)) => return command.run().await,
            Some(KeysSubcommand::Revoke(command)) => return command.run().await,
            None => {}
        }
        let db = app::connect_checked(&self.database).await?;
        let keys = keys::list(&db).await?;
        if self.json {
            return output::json(&keys);
        }
        if keys.is_empty() {
            eprintln!("There are no keys yet. To make one: safelight keys create --help");
            return Ok(());
        }
        for line in render(&keys) {
            output::line(line)?;
        }
        Ok(())
    }
}

impl CreateCommand {
    async fn run(self) -> Result<(), CommandError> {
        let owner = self.owner.named()?;
        let db = app::connect_checked(&self.database).await?;
        let key = api_key::written(&app::random()?);
        let label = self.label.as_deref().map(one_line);
        let label = label.filter(|label| !label.is_empty());
        let row = keys::create(&db, &KeyDigest::of(&key), &owner, label.as_deref()).await?;
        eprintln!(
            "Key {} for {} is shown only now: keep it where it is used.",
            row.id,
            one_line(&owner.to_string())
        );
        if self.json {
            output::json(&Created { key, row })
        } else {
            output::line(key)
        }
    }
}

impl Owner {
    fn named(&self) -> Result<KeyOwner, CommandError> {
        match self.team.as_deref().map(str::trim) {
            None => Ok(KeyOwner::Service),
            Some("" | "*") => Err(CommandError::Usage(
                "--team takes the id of a team; --service makes a key for everything".to_owned(),
            )),
            Some(team) => Ok(KeyOwner::Team(team.to_owned())),
        }
    }
}

impl RevokeCommand {
    async fn run(self) -> Result<(), CommandError> {
        let db = app::connect_checked(&self.database).await?;
        let Some(row) = keys::revoke(&db, self.id).await? else {
            return Err(CommandError::Failed(format!(
                "there is no key {}; safelight keys shows them",
                self.id
            )));
        };
        if self.json {
            return output::json(&row);
        }
        let owner = KeyOwner::of(row.team);
        output::line(format!(
            "Key {} for {} is revoked.",
            row.id,
            one_line(&owner.to_string())
        ))
    }
}

fn render(keys: &[KeyRow]) -> Vec<String> {
    let columns = [
        Column::Right("ID"),
        Column::Left("FOR"),
        Column::Left("LABEL"),
        Column::Left("CREATED"),
        Column::Left("REVOKED"),
    ];
    let rows: Vec<_> = keys.iter().map(row).collect();
    table::render(columns, &rows)
}

fn row(key: &KeyRow) -> [String; 5] {
    let since = |moment| ago(between(moment, key.read_at));
    [
        key.id.to_string(),
        one_line(&KeyOwner::of(key.team.clone()).to_string()),
        excerpt(key.label.as_deref().unwrap_or_default(), LABEL_CELLS),
        since(key.created_at),
        key.revoked_at.map(since).unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests;
