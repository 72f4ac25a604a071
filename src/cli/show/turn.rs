//! When the turn of a job comes that waits: who is before it, how long that may take, and what keeps it.
//!
//! All of it is an estimate and says so; what is not known is not made up.

use std::time::Duration;

use super::Story;
use crate::cli::limits::in_words;
use crate::cli::pause::resume_with;
use crate::cli::time::{ago, between, from_seconds, span};
use crate::cli::words::one_line;
use crate::db::jobs::Standing;
use crate::db::pauses::Pause;

/// A model that takes calls again this soon is not worth a line.
const WORTH_TELLING: Duration = Duration::from_secs(10);

impl Story {
    /// Of a job that is due.
    pub(super) fn turn(&self) -> Vec<String> {
        let Some(standing) = &self.standing else {
            return vec![
                "It is due, and waits for a worker with a free place and for quota.".to_owned(),
            ];
        };
        let mut lines = vec![before(standing)];
        lines.extend(self.cap(standing));
        lines.extend(self.model(standing));
        lines
    }

    /// What operators have paused of it.
    pub(super) fn pauses(&self) -> impl Iterator<Item = String> {
        self.paused.iter().map(paused)
    }

    fn cap(&self, standing: &Standing) -> Option<String> {
        let most = standing
            .max_running
            .filter(|most| standing.running >= *most)?;
        Some(format!(
            "{} of the {most} jobs that {} may run at a time are running; its next one begins when one of them ends.",
            standing.running,
            one_line(self.job.tenant().as_str())
        ))
    }

    /// Of accounts that stand still each has a line of its own.
    fn model(&self, standing: &Standing) -> Option<String> {
        let wait = between(self.job.read_at, standing.usable_at?);
        let why = in_words(standing.why.as_deref()?);
        (wait > WORTH_TELLING && self.waits_for.is_empty()).then(|| {
            format!(
                "Its model takes no calls for {}: {}.",
                span(wait),
                one_line(why)
            )
        })
    }
}

fn before(standing: &Standing) -> String {
    let jobs = standing.jobs_before;
    let who = match (jobs, standing.or_more) {
        (..=0, _) => {
            return "It is due, and the next of its model to begin: it waits for a worker with a free place and for quota."
                .to_owned();
        }
        (1, false) => "One job of its model begins".to_owned(),
        (_, false) => format!("About {} jobs of its model begin", rounded(jobs)),
        (_, true) => format!("More than {} jobs of its model begin", rounded(jobs)),
    };
    let more = if standing.or_more {
        "more than"
    } else {
        "some"
    };
    let estimate = match standing.images_per_second {
        Some(pace) => format!(
            "at the present pace that is {more} {}",
            roughly(from_seconds(standing.images_before / pace))
        ),
        None => {
            "how long that takes nobody knows: none of its images was made in the last ten minutes"
                .to_owned()
        }
    };
    format!("It is due. {who} before it; {estimate}.")
}

/// Two digits are all that an estimate knows.
fn rounded(jobs: i64) -> i64 {
    let mut unit = 1;
    while jobs / unit >= 100 {
        unit *= 10;
    }
    (jobs + unit / 2) / unit * unit
}

/// `10 seconds`, `4 minutes`, `2 hours`, `3 days`.
fn roughly(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let (length, unit) = match duration.as_secs() {
        0..90 => ((seconds / 10.0).ceil() * 10.0, "second"),
        90..5_400 => ((seconds / 60.0).round(), "minute"),
        5_400..129_600 => ((seconds / 3_600.0).round(), "hour"),
        129_600.. => ((seconds / 86_400.0).round(), "day"),
    };
    format!("{length:.0} {unit}s")
}

fn paused(pause: &Pause) -> String {
    let name = one_line(&pause.name);
    let what = match pause.what.as_str() {
        "all" => "Everything".to_owned(),
        "tenant" => format!("Its tenant, {name},"),
        what => format!("Its {what}, {name},"),
    };
    let since = pause.paused_at.map_or_else(String::new, |at| {
        format!(" {}", ago(between(at, pause.read_at)))
    });
    let reason = pause
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(" ({})", one_line(reason)));
    format!(
        "{what} was paused by an operator{since}{reason}. To go on: {}",
        resume_with(pause)
    )
}

#[cfg(test)]
mod tests;
