//! `safelight list`: the newest jobs, one line each.

use clap::Args;

use super::table::{self, Column};
use super::time::{Length, ago, between};
use super::words::excerpt;
use super::{CommandError, output};
use crate::app;
use crate::config::DatabaseArgs;
use crate::db::jobs::{self, Filter, Job};
use crate::domain::Status;

/// Cells of a prompt in the table; `show` has it whole.
const PROMPT_CELLS: usize = 36;
/// Cells of an error.
const ERROR_CELLS: usize = 48;

/// List jobs, newest first
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    safelight list\n  \
    safelight list --status pending,processing\n  \
    safelight list --status failed --since 2h --code moderation_input\n  \
    safelight list --batch 7 --limit 100 --json | jq '.[].jobId'")]
pub(super) struct ListCommand {
    // Not a doc comment: that would want backticks, and show them.
    #[arg(
        long,
        value_name = "STATUS,...",
        value_delimiter = ',',
        help = "Only jobs in these states: pending, processing, rate_limited, completed, failed, canceled"
    )]
    status: Vec<Status>,
    /// Only jobs of this batch
    #[arg(long, value_name = "ID")]
    batch: Option<i64>,
    /// Only jobs created within this time: 90s, 30m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    since: Option<Length>,
    /// Only jobs that ended with this error code
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// A JSON array instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

impl ListCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let db = app::connect_checked(&self.database).await?;
        let limit = i64::from(self.limit);
        let filter = Filter {
            statuses: self.status,
            error_code: self.code,
            batch_id: self.batch,
            since: self.since.map(|since| since.0),
            // One more, to know whether there are more.
            limit: Some(limit + 1),
            ..Filter::default()
        };
        let mut jobs = jobs::list(&db, &filter).await?;
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = jobs.len() > shown;
        jobs.truncate(shown);
        if self.json {
            return output::json(&jobs);
        }
        if jobs.is_empty() {
            return output::line(nothing(&filter));
        }
        for line in render(&jobs) {
            output::line(line)?;
        }
        if more {
            eprintln!("There are more; see them with --limit {}.", limit * 10);
        }
        Ok(())
    }
}

fn nothing(filter: &Filter) -> &'static str {
    let Filter {
        statuses,
        error_code,
        batch_id,
        since,
        ..
    } = filter;
    let narrowed =
        !statuses.is_empty() || error_code.is_some() || batch_id.is_some() || since.is_some();
    if narrowed {
        "No job matches."
    } else {
        "The queue is empty. Enqueue the first job: safelight enqueue \"a red bicycle\""
    }
}

fn render(jobs: &[Job]) -> Vec<String> {
    use Column::{Left, Right};

    let columns = [
        Right("ID"),
        Left("STATUS"),
        Right("IMAGES"),
        Right("TRIES"),
        Left("AGE"),
        Left("PROMPT"),
        Left("ERROR"),
    ];
    let rows: Vec<_> = jobs.iter().map(row).collect();
    table::render(columns, &rows)
}

fn row(job: &Job) -> [String; 7] {
    let age = job
        .created_at
        .map(|created| ago(between(created, job.read_at)));
    [
        job.id.to_string(),
        job.status.to_string(),
        format!("{}/{}", job.images_completed, job.images_total),
        job.attempts.to_string(),
        age.unwrap_or_default(),
        excerpt(job.prompt.as_deref().unwrap_or_default(), PROMPT_CELLS),
        excerpt(job.error.as_deref().unwrap_or_default(), ERROR_CELLS),
    ]
}
