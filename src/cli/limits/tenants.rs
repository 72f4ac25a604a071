//! `safelight limits tenant` and `tenants`: how many jobs of a tenant may run at a time.

use std::str::FromStr;

use clap::Args;

use crate::app;
use crate::cli::pause::tenant;
use crate::cli::table::{self, Column};
use crate::cli::words::one_line;
use crate::cli::{CommandError, output};
use crate::config::DatabaseArgs;
use crate::db::tenants::{self, TenantUse, Tenants};

/// Set how many jobs of one tenant may run at a time; running workers follow at once
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:\n  \
    safelight limits tenant team:7 --max-running 10\n  \
    safelight limits tenant user:42 --max-running none\n  \
    safelight limits tenant team:7 --max-running default       as for all: TENANT_MAX_RUNNING"
)]
pub(super) struct TenantCommand {
    /// Whose jobs: team:ID, user:ID, or none for those that name neither
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Jobs at a time; 0 or none for any number; default for what holds for all
    #[arg(long, value_name = "N")]
    max_running: MaxRunning,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Show how many jobs of each tenant run, and how many may
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    safelight limits tenants\n  \
    safelight limits tenants --json | jq '.tenants[] | select(.own)'\n\n\
    Shown are tenants that run jobs, are paused, or have a number of their own.")]
pub(super) struct TenantsCommand {
    /// A JSON object: what holds for all, and an array of tenants
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// What may be set for a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MaxRunning {
    /// 0: any number.
    Jobs(i32),
    /// What holds for all.
    Usual,
}

/// A text that is none of these.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is no number of jobs, nor none, nor default")]
struct InvalidMaxRunning(String);

impl FromStr for MaxRunning {
    type Err = InvalidMaxRunning;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::Jobs(0)),
            "default" => Ok(Self::Usual),
            number => number
                .parse()
                .ok()
                .filter(|jobs| *jobs >= 0)
                .map(Self::Jobs)
                .ok_or_else(|| InvalidMaxRunning(text.to_owned())),
        }
    }
}

impl TenantCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let tenant = tenant(&self.tenant)?;
        let db = app::connect_checked(&self.database).await?;
        match self.max_running {
            MaxRunning::Jobs(jobs) => tenants::set_max_running(&db, &tenant, jobs).await?,
            MaxRunning::Usual => tenants::set_usual(&db, &tenant).await?,
        }
        let most = tenants::max_running(&db, &tenant).await?;
        output::line(format!(
            "{} may run {} at a time.",
            one_line(tenant.as_str()),
            jobs(most)
        ))
    }
}

impl TenantsCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let db = app::connect_checked(&self.database).await?;
        let tenants = tenants::list(&db).await?;
        if self.json {
            return output::json(&tenants);
        }
        for line in render(&tenants) {
            output::line(line)?;
        }
        Ok(())
    }
}

/// `3 jobs`, `any number of jobs`.
fn jobs(most: Option<i64>) -> String {
    match most {
        None => "any number of jobs".to_owned(),
        Some(1) => "1 job".to_owned(),
        Some(jobs) => format!("{jobs} jobs"),
    }
}

fn render(all: &Tenants) -> Vec<String> {
    let columns = [
        Column::Left("TENANT"),
        Column::Right("RUNNING"),
        Column::Left("SET BY"),
        Column::Left("STATE"),
    ];
    let rows: Vec<_> = all.tenants.iter().map(row).collect();
    let mut lines = if rows.is_empty() {
        Vec::new()
    } else {
        table::render(columns, &rows)
    };
    lines.push(format!(
        "A tenant may run {} at a time (TENANT_MAX_RUNNING), if nothing else is set for it.",
        jobs(all.usual)
    ));
    lines
}

fn row(one: &TenantUse) -> [String; 4] {
    let most = one.max_running.map(|jobs| jobs.to_string());
    let word = |is: bool, word: &str| if is { word.to_owned() } else { String::new() };
    [
        one_line(&one.tenant),
        format!("{}/{}", one.running, most.as_deref().unwrap_or("any")),
        word(one.own, "limits tenant"),
        word(one.paused, "paused"),
    ]
}

#[cfg(test)]
mod tests;
