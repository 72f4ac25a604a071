//! How the jobs come along: bars for somebody at a terminal, a line per change otherwise.

use std::collections::HashMap;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::cli::{CommandError, output};
use crate::db::demo::Job;
use crate::domain::{ImageState, JobId, Status};

/// Characters of a prompt beside its bar; with the rest it fits into 80.
const PROMPT_CHARS: usize = 26;

/// Where progress is shown.
pub(super) enum Screen {
    Bars(Bars),
    Lines(Lines),
}

/// A bar for each job.
#[derive(Default)]
pub(super) struct Bars {
    all: MultiProgress,
    each: HashMap<JobId, ProgressBar>,
}

/// The last sentence about each job.
#[derive(Default)]
pub(super) struct Lines {
    last: HashMap<JobId, String>,
}

impl Screen {
    pub(super) fn new() -> Self {
        if output::is_watched_by_a_person() {
            Self::Bars(Bars::default())
        } else {
            Self::Lines(Lines::default())
        }
    }

    /// Lines, of which those about `jobs` are known already.
    pub(super) fn lines_after(jobs: &[Job]) -> Self {
        let last = jobs.iter().map(|job| (job.id, sentence(job)));
        Self::Lines(Lines {
            last: last.collect(),
        })
    }

    /// Shows jobs, oldest first.
    pub(super) fn show<'a>(
        &mut self,
        jobs: impl Iterator<Item = &'a Job>,
    ) -> Result<(), CommandError> {
        match self {
            Self::Bars(bars) => {
                jobs.for_each(|job| bars.show(job));
                Ok(())
            }
            Self::Lines(lines) => jobs.into_iter().try_for_each(|job| lines.show(job)),
        }
    }
}

impl Bars {
    fn show(&mut self, job: &Job) {
        let bar = self
            .each
            .entry(job.id)
            .or_insert_with(|| self.all.add(ProgressBar::no_length()));
        if bar.is_finished() {
            return;
        }
        let prompt = excerpt(&job.prompt, PROMPT_CHARS);
        bar.set_style(style(job.status));
        bar.set_prefix(format!("{:>4}  {prompt:<PROMPT_CHARS$}", job.id));
        bar.set_length(job.images.len() as u64);
        bar.set_position(stored(job) as u64);
        let seconds = job.elapsed.as_secs_f64();
        bar.set_message(format!(
            "{:<12} {seconds:>4.1} s  {}",
            job.status,
            remark(job)
        ));
        if job.status.is_final() {
            // Not finish: a bar that lacks an image must not fill.
            bar.abandon();
        } else {
            bar.tick();
        }
    }
}

impl Lines {
    fn show(&mut self, job: &Job) -> Result<(), CommandError> {
        let sentence = sentence(job);
        if self.last.get(&job.id) != Some(&sentence) {
            let remark = remark(job);
            let comma = if remark.is_empty() { "" } else { ", " };
            output::line(format!("  {sentence}{comma}{remark}"))?;
            self.last.insert(job.id, sentence);
        }
        Ok(())
    }
}

/// What makes a new line when it changes; the remark behind it holds passing time.
fn sentence(job: &Job) -> String {
    let stored = stored(job);
    format!(
        "job {}: {}, {stored} of {}",
        job.id,
        job.status,
        job.images.len()
    )
}

fn remark(job: &Job) -> String {
    let again = job.retry_in.map(|wait| {
        let why = if job.limited > 0 { "429, " } else { "" };
        format!("{why}again in {:.1} s", wait.as_secs_f64())
    });
    match job.status {
        Status::RateLimited | Status::Pending => again.unwrap_or_default(),
        Status::Processing | Status::Completed | Status::Canceled => {
            let refused = |image: &&crate::db::demo::Image| image.state == ImageState::Refused;
            match job.images.iter().filter(refused).count() {
                0 => String::new(),
                refused => format!("{refused} refused"),
            }
        }
        Status::Failed => job.error.clone().unwrap_or_default(),
    }
}

fn stored(job: &Job) -> usize {
    let photos = job.images.iter().filter(|image| image.photo.is_some());
    photos.count()
}

fn style(status: Status) -> ProgressStyle {
    let color = match status {
        Status::Pending => "white",
        Status::Processing => "red",
        Status::RateLimited => "yellow",
        Status::Completed => "green",
        Status::Failed | Status::Canceled => "magenta",
    };
    let template = format!("{{prefix}}  {{bar:12.{color}}}  {{pos}}/{{len}}  {{wide_msg}}");
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

/// The beginning of a text on one line, with an ellipsis if there is more.
fn excerpt(text: &str, chars: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= chars {
        return text;
    }
    let kept: String = text.chars().take(chars - 1).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests;
