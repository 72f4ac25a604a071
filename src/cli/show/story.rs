//! A job's story in lines for people.

use chrono::{DateTime, SecondsFormat, Utc};

use clap::ValueEnum as _;

use super::Story;
use crate::cli::enqueue::Priority;
use crate::cli::table::{self, Column};
use crate::cli::time::{ago, between, span};
use crate::cli::words::{excerpt, one_line, size};
use crate::db::jobs::{Call, Image};
use crate::db::json::Json;
use crate::domain::{ImageState, Status};

/// Cells of what an app noted; `--json` has it whole.
const METADATA_CELLS: usize = 80;
/// Cells of an error in the table of calls; its image has it whole.
const ERROR_CELLS: usize = 60;

impl Story {
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("Job {}: {}", self.job.id, self.job.status)];
        lines.extend(self.header());
        if !self.images.is_empty() {
            lines.push("\nImages".to_owned());
            lines.extend(indented(images(&self.images)));
        }
        if !self.calls.is_empty() {
            lines.push("\nCalls".to_owned());
            lines.extend(indented(calls(&self.calls, self.job.read_at)));
        }
        lines.push("\nNext".to_owned());
        lines.extend(indented(self.next()));
        lines
    }

    /// What the row says, one fact a line; what it does not say is left out.
    fn header(&self) -> Vec<String> {
        let job = &self.job;
        let text = |text: &Option<String>| text.as_deref().map(one_line);
        let facts = [
            ("uuid", job.job_id.map(|id| id.to_string())),
            ("type", Some(one_line(&job.kind))),
            ("prompt", text(&job.prompt)),
            (
                "images",
                Some(format!("{} of {}", job.images_completed, job.images_total)),
            ),
            ("ratio", text(&job.aspect_ratio)),
            ("model", text(&job.model)),
            ("priority", job.priority.as_deref().map(priority)),
            ("tenant", Some(one_line(job.tenant().as_str()))),
            ("batch", job.batch_id.map(|id| id.to_string())),
            (
                "attempts",
                Some(format!("{} of {}", job.attempts, job.max_attempts)),
            ),
            ("worker", text(&job.locked_by)),
            ("retry of", job.retry_of.map(|id| id.to_string())),
            ("request", text(&job.request_id)),
            ("key", text(&job.idempotency_key)),
            ("metadata", job.metadata.as_ref().map(metadata)),
            ("created", self.moment(job.created_at)),
            ("started", self.moment(job.started_at)),
            ("expires", self.expires()),
            ("ended", self.ended()),
            ("error", self.error()),
        ];
        facts
            .into_iter()
            .filter_map(|(name, value)| {
                let value = value.filter(|value| !value.is_empty())?;
                Some(format!("  {name:<9} {value}"))
            })
            .collect()
    }

    fn moment(&self, at: Option<DateTime<Utc>>) -> Option<String> {
        let at = at?;
        let age = ago(between(at, self.job.read_at));
        Some(format!(
            "{} ({age})",
            at.to_rfc3339_opts(SecondsFormat::Secs, true)
        ))
    }

    /// Of no interest any more once the job has ended.
    fn expires(&self) -> Option<String> {
        let at = self
            .job
            .expires_at
            .filter(|_| !self.job.status.is_final())?;
        let left = between(self.job.read_at, at);
        if left.is_zero() {
            return self.moment(Some(at));
        }
        let moment = at.to_rfc3339_opts(SecondsFormat::Secs, true);
        Some(format!("{moment} (in {})", span(left)))
    }

    fn ended(&self) -> Option<String> {
        let ended = self.job.completed_at?;
        let moment = self.moment(Some(ended))?;
        Some(match self.job.started_at {
            Some(started) => format!("{moment}, after {}", span(between(started, ended))),
            None => moment,
        })
    }

    fn error(&self) -> Option<String> {
        let error = one_line(self.job.error.as_deref()?);
        Some(match &self.job.error_code {
            Some(code) => format!("{error} [{}]", one_line(code)),
            None => error,
        })
    }

    /// What happens next by itself, and what a person can do.
    fn next(&self) -> Vec<String> {
        let job = &self.job;
        let id = job.id;
        match job.status {
            Status::Pending | Status::RateLimited => {
                let mut lines = vec![self.when_it_runs()];
                if !self.worker_alive {
                    lines.push("No worker is running; start one with: safelight worker".to_owned());
                }
                lines.push(format!("safelight watch {id}"));
                lines
            }
            Status::Processing => vec![
                "It is being worked.".to_owned(),
                format!("safelight watch {id}"),
                format!("safelight cancel {id}"),
            ],
            Status::Completed => vec![self.what_is_missing()],
            Status::Failed => {
                let advice = advice(job.error_code.as_deref()).to_owned();
                vec![advice, format!("safelight retry {id}")]
            }
            Status::Canceled => vec![
                "Somebody canceled it. To make it again, as a new job:".to_owned(),
                format!("safelight retry {id}"),
            ],
        }
    }

    fn when_it_runs(&self) -> String {
        let job = &self.job;
        let wait = job.retry_at.map(|at| between(job.read_at, at));
        match wait.filter(|wait| !wait.is_zero()) {
            Some(wait) => {
                let at = job.retry_at.unwrap_or(job.read_at);
                format!(
                    "It is tried again in {}, at {}.",
                    span(wait),
                    at.to_rfc3339_opts(SecondsFormat::Secs, true)
                )
            }
            None => "It is due, and waits for a worker with a free place and for quota.".to_owned(),
        }
    }

    fn what_is_missing(&self) -> String {
        let missing = self
            .job
            .images_total
            .saturating_sub(self.job.images_completed);
        if missing > 0 {
            format!(
                "All is done. {missing} of {} images could not be made; see the errors above.",
                self.job.images_total
            )
        } else {
            "All is done.".to_owned()
        }
    }
}

fn indented(lines: Vec<String>) -> impl Iterator<Item = String> {
    lines.into_iter().map(|line| format!("  {line}"))
}

/// As stored; the claim goes by three words only.
fn priority(word: &str) -> String {
    let known = Priority::from_str(word, false).is_ok();
    let word = one_line(word);
    if known || word.is_empty() {
        word
    } else {
        format!("{word} (counts as normal)")
    }
}

fn metadata(json: &Json) -> String {
    excerpt(json.as_str(), METADATA_CELLS)
}

fn images(images: &[Image]) -> Vec<String> {
    use Column::{Left, Right};

    let row = |image: &Image| {
        let sides = image.width.zip(image.height);
        // What is left of an earlier attempt says nothing about a stored image.
        let error = image
            .error
            .as_deref()
            .filter(|_| image.state != ImageState::Stored);
        [
            image.index.to_string(),
            image.state.to_string(),
            sides.map_or_else(String::new, |(width, height)| format!("{width}x{height}")),
            image.bytes.map(size).unwrap_or_default(),
            image.storage_key.clone().unwrap_or_default(),
            error.map(one_line).unwrap_or_default(),
        ]
    };
    let columns = [
        Right("NO"),
        Left("STATE"),
        Left("PIXELS"),
        Right("SIZE"),
        Left("FILE"),
        Left("ERROR"),
    ];
    table::render(columns, &images.iter().map(row).collect::<Vec<_>>())
}

fn calls(calls: &[Call], now: DateTime<Utc>) -> Vec<String> {
    use Column::{Left, Right};

    let row = |call: &Call| {
        let took = match call.ended_at {
            Some(ended) => span(between(call.started_at, ended)),
            None => format!("{} so far", span(between(call.started_at, now))),
        };
        [
            call.index
                .map(|index| index.to_string())
                .unwrap_or_default(),
            call.attempt.to_string(),
            one_line(&call.model),
            one_line(&call.account),
            call.state.clone(),
            ago(between(call.started_at, now)),
            took,
            excerpt(call.error.as_deref().unwrap_or_default(), ERROR_CELLS),
        ]
    };
    let columns = [
        Right("IMAGE"),
        Right("TRY"),
        Left("MODEL"),
        Left("ACCOUNT"),
        Left("STATE"),
        Left("BEGAN"),
        Left("TOOK"),
        Left("ERROR"),
    ];
    table::render(columns, &calls.iter().map(row).collect::<Vec<_>>())
}

/// What to do about a failed job. Codes are open: apps and later versions have others.
fn advice(code: Option<&str>) -> &'static str {
    match code {
        Some("moderation_input" | "moderation_output") => {
            "The provider refuses to make this; enqueue it with another prompt or other pictures. The same again, as a new job:"
        }
        Some("invalid_request") => {
            "The row cannot be worked as it stands; enqueue one without the mistake named above. The same again, as a new job:"
        }
        Some("invalid_input_image") => {
            "An input picture cannot be used; enqueue the job with another. The same again, as a new job:"
        }
        Some("expired") => {
            "It came too late: its \"expiresAt\" had passed. To make it all the same, as a new job, which does not expire:"
        }
        Some("provider_rejected") => {
            "The provider does not accept this request, and most likely will not the next time. The same again, as a new job:"
        }
        Some(_) | None => "To make it again, as a new job:",
    }
}
