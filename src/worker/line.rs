//! Where the images of this process wait for permission to call: one line per model.
//!
//! Only the first of a line asks the database, which knows the limits of the whole fleet, and sleeps
//! as long as it is told to: else every waiting image would ask for every call. A line also says when
//! it is long enough, so that no more jobs of its model are claimed here. It is no limit itself.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedMutexGuard};

use crate::db::DbError;
use crate::db::ledger::{Gate, Scarce};
use crate::domain::Model;

/// With so many images waiting for what the fleet shares, the slots of this process serve other
/// models: one that asks, and one to follow it at once.
const ENOUGH: usize = 2;
/// An answer that takes longer waits for a hand that holds the job's row: the next may ask meanwhile.
const ANSWERED_WITHIN: Duration = Duration::from_millis(250);

/// All lines of this process.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Mutex<HashMap<Model, Arc<Line>>>,
    /// Rings when a line that was long enough is so no more.
    pub(super) shorter: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Line {
    first: Arc<tokio::sync::Mutex<()>>,
    waiting: AtomicUsize,
    /// Since the line was last empty, somebody was told to wait for what the whole fleet shares.
    scarce: AtomicBool,
    /// Rings when a call of this process has ended.
    ended: Notify,
    shorter: Arc<Notify>,
}

impl Lines {
    /// The models for which enough images wait here.
    pub(super) fn crowded(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let crowded = lines.iter().filter(|(_, line)| line.is_crowded());
        crowded.map(|(model, _)| model.name().to_owned()).collect()
    }

    /// A place at the end of the line.
    pub(super) fn join(&self, model: &Model) -> Place {
        let line = self.line(model);
        line.waiting.fetch_add(1, Ordering::Relaxed);
        Place { line, first: None }
    }

    /// A call of this process has ended; somebody may wait for just that.
    pub(super) fn call_ended(&self, model: &Model) {
        self.line(model).ended.notify_one();
    }

    fn line(&self, model: &Model) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(model.clone()).or_insert_with(|| {
            Arc::new(Line {
                shorter: self.shorter.clone(),
                ..Line::default()
            })
        });
        line.clone()
    }
}

impl Line {
    fn is_crowded(&self) -> bool {
        self.scarce.load(Ordering::Relaxed) && self.waiting.load(Ordering::Relaxed) >= ENOUGH
    }
}

/// One image's place in a line, given up when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    line: Arc<Line>,
    first: Option<OwnedMutexGuard<()>>,
}

impl Place {
    /// Waits until this place is the first.
    pub(super) async fn come_first(&mut self) {
        if self.first.is_none() {
            self.first = Some(self.line.first.clone().lock_owned().await);
        }
    }

    /// Waits for the answer to the question whether a call may begin.
    pub(super) async fn ask(
        &mut self,
        question: impl Future<Output = Result<Gate, DbError>>,
    ) -> Result<Gate, DbError> {
        let mut question = pin!(question);
        let gate = tokio::select! {
            gate = &mut question => gate?,
            () = tokio::time::sleep(ANSWERED_WITHIN) => {
                self.first = None;
                question.await?
            }
        };
        if let Gate::Wait(wait) = &gate {
            match wait.why {
                Scarce::Pace => self.line.scarce.store(false, Ordering::Relaxed),
                Scarce::Concurrency | Scarce::Budget => {
                    self.line.scarce.store(true, Ordering::Relaxed);
                }
                // Says nothing of the next one's job.
                Scarce::Leave => {}
            }
        }
        Ok(gate)
    }

    /// Waits as long as one was told to, or until a call of ours ends where that may help.
    pub(super) async fn wait(&self, length: Duration, why: Scarce) {
        let ended = async {
            match why {
                Scarce::Pace | Scarce::Concurrency => self.line.ended.notified().await,
                Scarce::Budget | Scarce::Leave => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(length) => {}
            () = ended => {}
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match self.line.waiting.fetch_sub(1, Ordering::Relaxed) {
            ..=1 => self.line.scarce.store(false, Ordering::Relaxed),
            ENOUGH if self.line.scarce.load(Ordering::Relaxed) => self.line.shorter.notify_one(),
            2.. => {}
        }
    }
}

#[cfg(test)]
mod tests;
