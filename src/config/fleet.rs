//! Settings of the whole fleet, which live in the database: `photo_generation_settings`.
//!
//! All are handled alike. `migrate` writes those that are set in its environment; a starting worker
//! writes those that are still absent, and tells of a difference. Who obeys them reads them there.

use clap::Args;

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
