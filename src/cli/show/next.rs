//! What happens to a job next by itself, and what a person can do.

use std::time::Duration;

use chrono::SecondsFormat;

use super::Story;
use crate::cli::time::{ago, between, from_seconds, span};
use crate::cli::words::{lack_of, one_line};
use crate::db::jobs::{Hindrance, HolderKind};
use crate::db::spools::Spooled;
use crate::domain::Status;

/// A worker says every five seconds that it lives; after this long others take it for dead.
const WORKER_SILENT: Duration = Duration::from_secs(30);

impl Story {
    /// What happens next by itself, and what a person can do.
    pub(super) fn next(&self) -> Vec<String> {
        let mut lines = self.spooled();
        lines.extend(self.by_status());
        lines
    }

    /// What is paid for and not stored yet, by where it lies.
    fn spooled(&self) -> Vec<String> {
        let mut places: Vec<(&Spooled, Vec<String>)> = Vec::new();
        for image in &self.spooled {
            let index = image.index.map_or_else(
                || image.step.clone().unwrap_or_default(),
                |it| it.to_string(),
            );
            match places
                .iter_mut()
                .find(|(place, _)| place.worker == image.worker)
            {
                Some((_, indices)) => indices.push(index),
                None => places.push((image, vec![index])),
            }
        }
        places
            .into_iter()
            .map(|(place, indices)| in_spool(place, &indices))
            .collect()
    }

    fn by_status(&self) -> Vec<String> {
        let job = &self.job;
        let id = job.id;
        match job.status {
            Status::Pending | Status::RateLimited => {
                let mut lines = self.when_it_runs();
                lines.extend(self.waits_for.iter().map(hindrance));
                lines.extend(lack_of(&self.staff));
                lines.push(format!("safelight watch {id}"));
                lines
            }
            Status::Processing => vec![
                self.who_works_it(),
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

    fn who_works_it(&self) -> String {
        let Some(holder) = &self.holder else {
            return "It is being worked.".to_owned();
        };
        let label = holder
            .label
            .as_deref()
            .map_or_else(|| "somebody".to_owned(), one_line);
        let on = holder
            .host
            .as_deref()
            .map_or_else(String::new, |host| format!(" on {}", one_line(host)));
        let silent = holder.silent_seconds.map_or(Duration::ZERO, from_seconds);
        match holder.kind {
            HolderKind::Worker if silent < WORKER_SILENT => {
                format!("It is being worked by {label}{on}.")
            }
            HolderKind::Worker | HolderKind::GoneWorker => format!(
                "Its worker {label}{on} has not been heard of for {}; a living worker takes the job back.",
                span(silent)
            ),
            HolderKind::OtherProgram => format!(
                "{label}, some other program, locked it {}; five minutes after that a worker takes it back.",
                ago(silent)
            ),
        }
    }

    fn when_it_runs(&self) -> Vec<String> {
        let job = &self.job;
        let wait = job.retry_at.map(|at| between(job.read_at, at));
        match wait.filter(|wait| !wait.is_zero()) {
            Some(wait) => {
                let at = job.retry_at.unwrap_or(job.read_at);
                let again = format!(
                    "It is tried again in {}, at {}.",
                    span(wait),
                    at.to_rfc3339_opts(SecondsFormat::Secs, true)
                );
                std::iter::once(again).chain(self.pauses()).collect()
            }
            None if self.paused.is_empty() => self.turn(),
            None => self.pauses().collect(),
        }
    }

    fn what_is_missing(&self) -> String {
        let missing = self.job.images_total - self.job.images_completed;
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

fn in_spool(place: &Spooled, indices: &[String]) -> String {
    let worker = place
        .worker
        .as_deref()
        .map_or_else(|| "a worker".to_owned(), one_line);
    let error = place
        .error
        .as_deref()
        .map_or_else(String::new, |error| format!(" ({})", one_line(error)));
    match indices {
        [one] => format!(
            "Image {one} is paid for and waits in the spool of {worker} until the storage takes it{error}."
        ),
        several => format!(
            "Images {} are paid for and wait in the spool of {worker} until the storage takes them{error}.",
            several.join(", ")
        ),
    }
}

/// An account that takes no calls, and what mends it.
fn hindrance(hindrance: &Hindrance) -> String {
    let (account, model) = (one_line(&hindrance.account), one_line(&hindrance.model));
    let reason = hindrance
        .reason
        .as_deref()
        .map(one_line)
        .unwrap_or_default();
    match hindrance.seconds {
        None => format!(
            "{model} is paused by an operator on account {account}: safelight limits set {}/{account}/{model} --paused false",
            one_line(&hindrance.provider)
        ),
        Some(..=0.0) => {
            format!("{model} on account {account} is tried with one job now ({reason}).")
        }
        Some(seconds) => format!(
            "{model} takes no calls on account {account} for {} ({reason}).",
            span(from_seconds(seconds))
        ),
    }
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
