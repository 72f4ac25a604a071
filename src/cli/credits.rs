//! `safelight credits`: what tenants have, what is reserved of it and what it was spent on; `credits grant`
//! gives and takes back.

use clap::{Args, Subcommand};
use serde_json::json;

use super::pause::tenant;
use super::table::{self, Column};
use super::words::one_line;
use super::{CommandError, output};
use crate::app;
use crate::config::DatabaseArgs;
use crate::db::credits::{self, Account, GrantError};

/// Show what customers have to spend; grant gives it, or takes it back
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
    CREDITS=ledger safelight migrate                      switches it on: a job costs 1 credit an image\n  \
    safelight credits grant user:42 100 --reason \"order 81\"\n  \
    safelight credits grant team:7 -20                    takes back, never more than are left\n  \
    safelight credits user:42\n  \
    safelight credits --json | jq '.[] | select(.remaining == 0).tenant'\n\n\
    Credits are reserved when a job is inserted, captured for each image that is stored, and come back for\n\
    those that are not. Other prices are rows of photo_generation_credit_prices. With CREDITS=app your app\n\
    keeps the accounts, and there are none here."
)]
pub(super) struct CreditsCommand {
    #[command(subcommand)]
    change: Option<CreditsSubcommand>,
    /// Whose: team:ID, user:ID, or none for jobs that name neither [default: everybody's]
    #[arg(value_name = "TENANT")]
    tenant: Option<String>,
    /// Most accounts to show, in the order of their names
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    /// A JSON array instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
enum CreditsSubcommand {
    Grant(GrantCommand),
}

/// Give a tenant credits, or take some back
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:\n  \
    safelight credits grant user:42 100 --reason \"order 81\"\n  \
    safelight credits grant team:7 -20"
)]
struct GrantCommand {
    /// Whose: team:ID, user:ID, or none for jobs that name neither
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// How many; negative takes back, never more than are left
    #[arg(value_name = "AMOUNT", allow_negative_numbers = true)]
    amount: i64,
    /// Why, for whoever reads the account book
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// A JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

impl CreditsCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        if let Some(CreditsSubcommand::Grant(command)) = self.change {
            return command.run().await;
        }
        let of = self.tenant.as_deref().map(tenant).transpose()?;
        let db = app::connect_checked(&self.database).await?;
        let accounts = credits::accounts(&db, of.as_ref(), self.limit).await?;
        if self.json {
            return output::json(&accounts);
        }
        if accounts.is_empty() {
            let none = of.map_or_else(
                || "There is no account yet.".to_owned(),
                |of| format!("{} has no account yet.", one_line(of.as_str())),
            );
            eprintln!("{none} To make one: safelight credits grant --help");
            return Ok(());
        }
        for line in render(&accounts) {
            output::line(line)?;
        }
        if i64::try_from(accounts.len()).is_ok_and(|shown| shown == self.limit) && of.is_none() {
            eprintln!("There may be more: --limit shows them.");
        }
        Ok(())
    }
}

impl GrantCommand {
    async fn run(self) -> Result<(), CommandError> {
        let tenant = tenant(&self.tenant)?;
        let db = app::connect_checked(&self.database).await?;
        let granted = credits::grant(&db, &tenant, self.amount, self.reason.as_deref()).await;
        let name = one_line(tenant.as_str());
        let remaining = granted.map_err(|error| match error {
            GrantError::Database(error) => error.into(),
            GrantError::Short(left) => CommandError::Failed(format!(
                "{name} has {left} credits left, so {} cannot be taken back",
                self.amount.unsigned_abs()
            )),
        })?;
        if self.json {
            return output::json(&json!({"tenant": tenant.as_str(), "remaining": remaining}));
        }
        output::line(format!("{name} has {remaining} credits."))
    }
}

fn render(accounts: &[Account]) -> Vec<String> {
    let columns = [
        Column::Left("TENANT"),
        Column::Right("REMAINING"),
        Column::Right("RESERVED"),
        Column::Right("CAPTURED"),
        Column::Right("REFUNDED"),
    ];
    let rows: Vec<_> = accounts.iter().map(row).collect();
    table::render(columns, &rows)
}

fn row(account: &Account) -> [String; 5] {
    [
        one_line(&account.tenant),
        account.remaining.to_string(),
        account.reserved.to_string(),
        account.captured.to_string(),
        account.refunded.to_string(),
    ]
}
