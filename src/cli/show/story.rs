//! A job's story in lines for people.

use chrono::{DateTime, SecondsFormat, Utc};

use super::Story;
use super::timeline::{self, Event};
use crate::cli::table::{self, Column};
use crate::cli::time::{ago, between, span};
use crate::cli::words::{count, excerpt, one_line, size};
use crate::db::jobs::{Image, StepSeen};
use crate::db::json::Json;
use crate::domain::{ImageState, Priority};

/// Cells of what an app noted; `--json` has it whole.
const METADATA_CELLS: usize = 80;

impl Story {
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("Job {}: {}", self.job.id, self.job.status)];
        lines.extend(self.header());
        if !self.images.is_empty() {
            lines.push("\nImages".to_owned());
            lines.extend(indented(images(&self.images)));
        }
        lines.push("\nStory".to_owned());
        lines.extend(indented(timeline::of(self).iter().map(line).collect()));
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
            ("steps", job.steps.as_ref().map(|steps| words_of(steps))),
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
            ("cost", self.cost()),
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
        Some(format!("{} ({age})", moment(at)))
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

    /// Of all its calls, as far as it is known.
    fn cost(&self) -> Option<String> {
        let costs: Vec<f64> = self.calls.iter().filter_map(|call| call.cost_usd).collect();
        let calls = count(costs.len(), "call");
        (!costs.is_empty()).then(|| format!("{:.6} USD for {calls}", costs.iter().sum::<f64>()))
    }

    fn error(&self) -> Option<String> {
        let error = one_line(self.job.error.as_deref()?);
        Some(match &self.job.error_code {
            Some(code) => format!("{error} [{}]", one_line(code)),
            None => error,
        })
    }
}

/// Of what happened between two seconds the order is told, not the moment.
fn line(event: &Event) -> String {
    format!("{}  {}", moment(event.at), event.text)
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn indented(lines: Vec<String>) -> impl Iterator<Item = String> {
    lines.into_iter().map(|line| format!("  {line}"))
}

/// As stored; the claim goes by three words only.
fn priority(word: &str) -> String {
    let known = Priority::ALL.iter().any(|known| known.as_str() == word);
    let word = one_line(word);
    if known || word.is_empty() {
        word
    } else {
        format!("{word} (counts as normal)")
    }
}

/// `face stored, garment-1 calling`.
fn words_of(steps: &[StepSeen]) -> String {
    let steps = steps
        .iter()
        .map(|step| format!("{} {}", step.step, step.state));
    steps.collect::<Vec<_>>().join(", ")
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
