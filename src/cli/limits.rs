//! `safelight limits`: what each account may ask of each model, what is used of it, and why a call
//! waits; `limits set` changes it for the whole fleet.

mod tenants;

use std::str::FromStr;

use clap::{Args, Subcommand};

use super::table::{self, Column};
use super::time::{between, span};
use super::words::excerpt;
use super::{CommandError, output};
use crate::app;
use crate::config::DatabaseArgs;
use crate::db::limits::{self, Budget, Change, Setting};

/// Cells of what a provider said.
const REASON_CELLS: usize = 60;

/// Show what each account may ask of each model, and what is used; set changes it
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
    safelight limits\n  \
    safelight limits set gemini/default/gemini-2.5-flash-image --per-minute 500 --per-day 2000\n  \
    safelight limits set gemini/default/gemini-3-pro-image --at-a-time 10 --per-minute none\n  \
    safelight limits set gemini/default/gemini-3-pro-image --cost-per-call 0.134 --cost-per-day 50\n  \
    safelight limits tenants                             how many jobs of each run, and may\n  \
    safelight limits tenant team:7 --max-running 10"
)]
pub(super) struct LimitsCommand {
    #[command(subcommand)]
    change: Option<LimitsSubcommand>,
    /// A JSON array instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
enum LimitsSubcommand {
    Set(SetCommand),
    Tenant(tenants::TenantCommand),
    Tenants(tenants::TenantsCommand),
}

/// Change limits for the whole fleet; running workers follow at once
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
struct SetCommand {
    /// Of which account and model: PROVIDER/ACCOUNT/MODEL
    #[arg(value_name = "PROVIDER/ACCOUNT/MODEL")]
    key: Key,
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Wanted {
    /// Calls per minute, or none
    #[arg(long, value_name = "N")]
    per_minute: Option<Limit>,
    /// Calls per day of the provider's quota, or none
    #[arg(long, value_name = "N")]
    per_day: Option<Limit>,
    /// Calls at a time, or none
    #[arg(long, value_name = "N")]
    at_a_time: Option<Limit>,
    /// Milliseconds between the beginnings of two calls, or none
    #[arg(long, value_name = "MS")]
    interval_ms: Option<Limit>,
    /// US dollars per day in UTC, or none
    #[arg(long, value_name = "USD")]
    cost_per_day: Option<Price>,
    /// US dollars that the provider bills for a call; none: its list price, where that is known
    #[arg(long, value_name = "USD")]
    cost_per_call: Option<Price>,
    /// Make no calls: true, or false to go on
    #[arg(long, value_name = "BOOL")]
    paused: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    provider: String,
    account: String,
    model: String,
}

/// A text that is no such key, number or price.
#[derive(Debug, thiserror::Error)]
enum Invalid {
    #[error(
        "\"{0}\" is not PROVIDER/ACCOUNT/MODEL, for instance gemini/default/gemini-2.5-flash-image"
    )]
    Key(String),
    #[error("\"{0}\" is neither a number nor none")]
    Number(String),
}

impl FromStr for Key {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [provider, account, model] if parts.iter().all(|part| !part.is_empty()) => Ok(Self {
                provider: (*provider).to_owned(),
                account: (*account).to_owned(),
                model: (*model).to_owned(),
            }),
            _ => Err(Invalid::Key(text.to_owned())),
        }
    }
}

/// A whole number or `none`.
#[derive(Debug, Clone, Copy)]
struct Limit(Setting<i32>);

/// An amount of money or `none`.
#[derive(Debug, Clone, Copy)]
struct Price(Setting<f64>);

fn setting<T: FromStr>(text: &str, fits: impl Fn(&T) -> bool) -> Result<Setting<T>, Invalid> {
    if text == "none" {
        return Ok(Setting::None);
    }
    let number = text.parse().ok().filter(fits);
    number
        .map(Setting::To)
        .ok_or_else(|| Invalid::Number(text.to_owned()))
}

impl FromStr for Limit {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        setting(text, |number| *number >= 0).map(Self)
    }
}

impl FromStr for Price {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        setting(text, |price: &f64| price.is_finite() && *price >= 0.0).map(Self)
    }
}

impl LimitsCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        match self.change {
            Some(LimitsSubcommand::Set(command)) => return command.run().await,
            Some(LimitsSubcommand::Tenant(command)) => return command.run().await,
            Some(LimitsSubcommand::Tenants(command)) => return command.run().await,
            None => {}
        }
        let db = app::connect_checked(&self.database).await?;
        let budgets = limits::list(&db).await?;
        if self.json {
            return output::json(&budgets);
        }
        for line in render(&budgets) {
            output::line(line)?;
        }
        if let Some(line) = of_the_fleet(&budgets) {
            output::line(line)?;
        }
        Ok(())
    }
}

impl SetCommand {
    async fn run(self) -> Result<(), CommandError> {
        let db = app::connect_checked(&self.database).await?;
        let Key {
            provider,
            account,
            model,
        } = &self.key;
        let wanted = self.wanted;
        let change = Change {
            per_minute: wanted.per_minute.map(|limit| limit.0),
            per_day: wanted.per_day.map(|limit| limit.0),
            concurrent: wanted.at_a_time.map(|limit| limit.0),
            interval_ms: wanted.interval_ms.map(|limit| limit.0),
            cost_per_day: wanted.cost_per_day.map(|price| price.0),
            cost_per_call: wanted.cost_per_call.map(|price| price.0),
            paused: wanted.paused,
        };
        limits::set(&db, provider, account, model, change).await?;
        let budgets = limits::list(&db).await?;
        let changed: Vec<Budget> = budgets
            .into_iter()
            .filter(|one| (&one.provider, &one.account, &one.model) == (provider, account, model))
            .collect();
        for line in render(&changed) {
            output::line(line)?;
        }
        Ok(())
    }
}

fn render(budgets: &[Budget]) -> Vec<String> {
    use Column::{Left, Right};

    let columns = [
        Left("PROVIDER/ACCOUNT/MODEL"),
        Right("MINUTE"),
        Right("DAY"),
        Right("RUNNING"),
        Right("COST TODAY"),
        Left("NEXT CALL"),
        Left("WHY"),
    ];
    let rows: Vec<_> = budgets.iter().map(row).collect();
    table::render(columns, &rows)
}

/// The limit that all accounts and models share.
fn of_the_fleet(budgets: &[Budget]) -> Option<String> {
    let any = budgets.first()?;
    let (spent, most) = (any.fleet_cost_today, any.fleet_cost_per_day?);
    Some(format!(
        "All together: {spent:.2} of {most:.2} US dollars today (DAILY_SPEND_LIMIT)"
    ))
}

fn row(one: &Budget) -> [String; 7] {
    let cost = match (one.cost_per_day, one.cost_per_call) {
        (Some(most), _) if one.uncounted => format!("?/{most:.2}"),
        (Some(most), _) => format!("{:.2}/{most:.2}", one.cost_today),
        (None, Some(_)) => format!("{:.2}", one.cost_today),
        (None, None) => String::new(),
    };
    [
        format!("{}/{}/{}", one.provider, one.account, one.model),
        of(one.minute_used, one.per_minute),
        of(one.day_used, one.per_day),
        of(one.running, one.concurrent),
        cost,
        next_call(one),
        why(one),
    ]
}

/// `used/allowed`.
fn of(used: i64, allowed: Option<i32>) -> String {
    allowed.map_or_else(|| used.to_string(), |allowed| format!("{used}/{allowed}"))
}

fn next_call(one: &Budget) -> String {
    match (one.usable_at, &one.why) {
        (Some(at), _) => format!("in {}", span(between(one.read_at, at))),
        (None, Some(_)) => "when it is resumed".to_owned(),
        (None, None) => "now".to_owned(),
    }
}

/// What a call waits for; the provider's own words where it has said some; else what is not as it looks.
fn why(one: &Budget) -> String {
    let why = one.why.as_deref().or(one.reason.as_deref());
    let why = why.or(one.uncounted.then_some("uncounted"));
    excerpt(why.map_or("", in_words), REASON_CELLS)
}

/// What a call waits for, of the words of `photo_generation_budget`.
pub(super) fn in_words(why: &str) -> &str {
    match why {
        "requestsPerMinute" => "the minute's calls are used up",
        "statedPerMinute" => "the provider says it takes no more a minute",
        "learnedPerMinute" => "the provider took no more than this lately",
        "requestsPerDay" => "the day's calls are used up",
        "maxConcurrent" => "as many calls run as may",
        "minIntervalMs" => "calls are spread over the minute",
        "maxCostPerDay" => "the day's money for this model is spent",
        "dailySpendLimit" => "the day's money is spent",
        "daily_quota" => "the provider's daily quota is used up",
        "cooldown" => "cooling down after a 429",
        "uncounted" => "cost not counted: set --cost-per-call",
        other => other,
    }
}

#[cfg(test)]
mod tests;
