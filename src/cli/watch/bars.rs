//! Progress bars: one for each job, or one for all when there are too many for a screen.

use std::collections::HashMap;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::tracker::{Change, Tracker, remark};
use crate::cli::time::{from_seconds, span};
use crate::cli::words::{count, excerpt, tally, width};
use crate::db::jobs::Progress;
use crate::domain::{JobId, Status};

/// More bars than this would scroll away.
const MOST_BARS: usize = 16;
/// Cells of a prompt beside its bar; with the rest it fits into 80 most of the time.
const PROMPT_CELLS: usize = 24;
/// Cells of the remark behind a bar: a line that wraps cannot be drawn over.
const REMARK_CELLS: usize = 60;

/// The bars that stand on the terminal.
#[derive(Default)]
pub(in crate::cli) struct Bars {
    screen: MultiProgress,
    each: HashMap<JobId, ProgressBar>,
    /// In place of bars for each.
    all: Option<ProgressBar>,
}

impl Bars {
    pub(super) fn show(&mut self, tracker: &Tracker, changes: &[Change]) {
        if self.all.is_none() && tracker.jobs().count() <= MOST_BARS {
            for job in tracker.jobs() {
                self.show_one(job);
            }
            for change in changes {
                self.say_if_deleted(change);
            }
        } else {
            self.show_all(tracker, changes);
        }
    }

    /// A line above the bars.
    pub(super) fn note(&self, text: &str) {
        // A terminal that is gone is noticed by the next line of results.
        let _ = self.screen.println(text);
    }

    fn show_one(&mut self, job: &Progress) {
        let bar = self.each.entry(job.id).or_insert_with(|| {
            let bar = ProgressBar::no_length().with_prefix(prefix(job));
            self.screen.add(bar.with_style(style(job.status)))
        });
        if bar.is_finished() {
            return;
        }
        bar.set_style(style(job.status));
        bar.set_message(message(job));
        bar.set_length(u64::try_from(job.images_total).unwrap_or(0));
        bar.set_position(u64::try_from(job.images_completed).unwrap_or(0));
        if job.status.is_final() {
            // Not finish: a failed job's bar must not fill.
            bar.abandon();
        } else {
            bar.tick();
        }
    }

    fn say_if_deleted(&mut self, change: &Change) {
        let Change::Deleted(id) = change else { return };
        if let Some(bar) = self.each.get(id) {
            bar.abandon_with_message("deleted");
        }
    }

    fn show_all(&mut self, tracker: &Tracker, changes: &[Change]) {
        for (_, bar) in self.each.drain() {
            self.screen.remove(&bar);
        }
        let bar = self
            .all
            .get_or_insert_with(|| self.screen.add(ProgressBar::no_length()));
        for change in changes {
            let is_news = match change {
                Change::Moved(job) => job.status.is_final(),
                Change::Deleted(_) => true,
            };
            if is_news {
                bar.println(change.sentence());
            }
        }
        let statuses: Vec<Status> = tracker.jobs().map(|job| job.status).collect();
        let ended = statuses.iter().filter(|status| status.is_final()).count();
        bar.set_style(style(Status::Processing));
        bar.set_prefix(count(statuses.len(), "job"));
        bar.set_length(u64::try_from(statuses.len()).unwrap_or(u64::MAX));
        bar.set_position(u64::try_from(ended).unwrap_or(u64::MAX));
        bar.set_message(tally(statuses.into_iter()));
        if tracker.all_ended() {
            bar.abandon();
        }
    }
}

/// Number and prompt, as wide for each job.
fn prefix(job: &Progress) -> String {
    let prompt = excerpt(job.prompt.as_deref().unwrap_or_default(), PROMPT_CELLS);
    let room = " ".repeat(PROMPT_CELLS.saturating_sub(width(&prompt)));
    format!("{:>4}  {prompt}{room}", job.id)
}

fn message(job: &Progress) -> String {
    let elapsed = span(from_seconds(job.elapsed_seconds));
    let remark = excerpt(&remark(job), REMARK_CELLS);
    format!("{:<12}  {elapsed}  {remark}", job.status)
        .trim_end()
        .to_owned()
}

fn style(status: Status) -> ProgressStyle {
    let color = match status {
        Status::Pending => "white",
        Status::Processing => "cyan",
        Status::RateLimited => "yellow",
        Status::Completed => "green",
        Status::Failed | Status::Canceled => "red",
    };
    let template = format!("{{prefix}}  {{bar:16.{color}}}  {{pos}}/{{len}}  {{wide_msg}}");
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}
