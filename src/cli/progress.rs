//! A bar for what takes longer than a moment. Whoever is done before has seen none.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Nothing is drawn before this.
const PATIENCE: Duration = Duration::from_secs(2);

/// On stderr, and only where that is a terminal.
pub(super) struct Progress {
    begun: Instant,
    /// `None`: nobody knows how much there is.
    total: Option<u64>,
    /// What is counted, for instance `jobs`.
    noun: &'static str,
    done: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn of(total: usize, noun: &'static str) -> Self {
        Self::begin(u64::try_from(total).ok(), noun)
    }

    pub(super) fn without_end(noun: &'static str) -> Self {
        Self::begin(None, noun)
    }

    fn begin(total: Option<u64>, noun: &'static str) -> Self {
        Self {
            begun: Instant::now(),
            total,
            noun,
            done: 0,
            bar: None,
        }
    }

    /// So many more are done.
    pub(super) fn add(&mut self, done: usize) {
        self.done += u64::try_from(done).unwrap_or(0);
        if self.begun.elapsed() > PATIENCE {
            let bar = self.bar.get_or_insert_with(|| bar(self.total, self.noun));
            bar.set_position(self.done);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>, noun: &str) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{bar:32.cyan}  {human_pos}/{human_len} {msg}, {eta} left",
        ),
        None => (
            ProgressBar::no_length(),
            "{spinner}  {human_pos} {msg} looked at",
        ),
    };
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─");
    bar.with_style(style).with_message(noun.to_owned())
}
