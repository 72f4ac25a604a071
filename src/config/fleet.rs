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
