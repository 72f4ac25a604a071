//! Settings of the whole fleet, which live in the database: `photo_generation_settings`.
//!
//! All are handled alike. `migrate` writes those that are set in its environment; a starting worker
//! writes those that are still absent, and tells of a difference. Who obeys them reads them there.

use clap::{Args, ValueEnum};

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Fleet")]
pub struct FleetArgs {
    /// Jobs of one tenant at a time, 0 for any number: the first worker records it, migrate changes
    /// it, safelight limits tenant sets another for one [default: 3]
    #[arg(long, env = "TENANT_MAX_RUNNING", value_name = "JOBS")]
    pub tenant_max_running: Option<u32>,
    /// Jobs that the whole fleet begins in a second, 0 for any number: the first worker records it,
    /// migrate changes it
    #[arg(long, env = "MAX_JOBS_PER_SECOND", value_name = "JOBS")]
    pub max_jobs_per_second: Option<u32>,
    /// The same in a minute
    #[arg(long, env = "MAX_JOBS_PER_MINUTE", value_name = "JOBS")]
    pub max_jobs_per_minute: Option<u32>,
    /// US dollars a day (UTC) after which the whole fleet makes no more calls: the first worker
    /// records it, migrate changes it; prices are those of safelight limits
    #[arg(long, env = "DAILY_SPEND_LIMIT", value_name = "USD", value_parser = dollars)]
    pub daily_spend_limit: Option<f64>,
    /// What customers pay with: ledger keeps accounts here (safelight credits), app tells your app what to
    /// give back: migrate changes it [default: off]
    #[arg(long, env = "CREDITS", value_name = "HOW")]
    pub credits: Option<CreditsMode>,
    /// With CREDITS=app: your function (job_id uuid, tenant text, images integer, credits bigint, reason
    /// text), called once for each job that did not make all its images
    #[arg(long, env = "CREDITS_REFUND_FUNCTION", value_name = "NAME", value_parser = function)]
    pub credits_refund_function: Option<String>,
    /// Days after which completed jobs are pruned, with their images and calls; 0: never [default: 0]
    #[arg(long, env = "RETENTION_COMPLETED_DAYS", value_name = "DAYS",
          value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub retention_completed_days: Option<u32>,
    /// The same for failed and canceled jobs [default: 0]
    #[arg(long, env = "RETENTION_FAILED_DAYS", value_name = "DAYS",
          value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub retention_failed_days: Option<u32>,
    /// true: the photos of pruned jobs go, too, and uploads that no other job names [default: false]
    #[arg(long, env = "RETENTION_DELETE_OBJECTS", value_name = "true|false")]
    pub retention_delete_objects: Option<bool>,
}

/// Who keeps the accounts of customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CreditsMode {
    /// Nobody.
    Off,
    /// Tables of ours.
    Ledger,
    /// The app.
    App,
}

impl CreditsMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Ledger => "ledger",
            Self::App => "app",
        }
    }
}

/// A setting of the fleet that is wished for here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetSetting {
    pub variable: &'static str,
    /// In the table.
    pub key: String,
    pub value: String,
}

impl FleetArgs {
    /// Those that are set here.
    pub fn wished(&self) -> Vec<FleetSetting> {
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        let wishes = [
            (
                "TENANT_MAX_RUNNING",
                "tenantMaxRunning",
                number(self.tenant_max_running),
            ),
            (
                "MAX_JOBS_PER_SECOND",
                "maxJobsPerSecond",
                number(self.max_jobs_per_second),
            ),
            (
                "MAX_JOBS_PER_MINUTE",
                "maxJobsPerMinute",
                number(self.max_jobs_per_minute),
            ),
            (
                "DAILY_SPEND_LIMIT",
                "dailySpendLimit",
                self.daily_spend_limit.map(|dollars| dollars.to_string()),
            ),
            (
                "CREDITS",
                "credits",
                self.credits.map(|mode| mode.as_str().to_owned()),
            ),
            (
                "CREDITS_REFUND_FUNCTION",
                "creditsRefundFunction",
                self.credits_refund_function.clone(),
            ),
            (
                "RETENTION_COMPLETED_DAYS",
                "retentionCompletedDays",
                number(self.retention_completed_days),
            ),
            (
                "RETENTION_FAILED_DAYS",
                "retentionFailedDays",
                number(self.retention_failed_days),
            ),
            (
                "RETENTION_DELETE_OBJECTS",
                "retentionDeleteObjects",
                self.retention_delete_objects.map(|yes| yes.to_string()),
            ),
        ];
        let set = wishes.into_iter().filter_map(|(variable, key, value)| {
            Some(FleetSetting {
                variable,
                key: key.to_owned(),
                value: value?,
            })
        });
        set.collect()
    }
}

fn dollars(text: &str) -> Result<f64, String> {
    let amount = text.trim().parse().ok();
    amount
        .filter(|amount: &f64| amount.is_finite() && *amount >= 0.0)
        .ok_or_else(|| format!("\"{text}\" is no amount of US dollars"))
}

/// A function's name, with its schema or without: as it stands in the catalog, so capitals count.
fn function(text: &str) -> Result<String, String> {
    let is_name = |part: &str| {
        let mut letters = part.chars();
        let first = letters.next();
        first.is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && letters.all(|one| one.is_ascii_alphanumeric() || one == '_')
    };
    let parts: Vec<_> = text.trim().split('.').collect();
    if parts.len() <= 2 && parts.iter().all(|part| is_name(part)) {
        Ok(text.trim().to_owned())
    } else {
        Err(format!(
            "\"{text}\" names no function: write name or schema.name"
        ))
    }
}

#[cfg(test)]
mod tests;
