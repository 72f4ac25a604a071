//! The desk where every call is received, counted and written down, under one lock.
//!
//! A call is in the log before anything is done about it, and what is to become of it is decided
//! in the same moment: quota, faults and log can never disagree.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use tokio::sync::watch;

use super::course::{Answer, Course, Ending};
use super::fault::{Fault, FaultKind, read_markers};
use super::log::CallRecord;
use super::picture::seed;
use super::quota::{Meter, Quota};
use super::wire::{Ask, Complaint, Reading, Wire};

/// A fault for the next calls whose prompt holds a text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushedFault {
    /// In JSON the text of the marker: `"429 wait=1.5s"`.
    pub fault: Fault,
    /// Only calls whose prompt contains this; empty: every call.
    #[serde(default)]
    pub matching: String,
    /// How many calls it strikes before it is used up.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

impl From<Fault> for PushedFault {
    /// The next call, whatever it is.
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            matching: String::new(),
            times: once(),
        }
    }
}

/// A call that is in the log, and what is to be done about it.
pub(super) struct Reception {
    pub(super) course: Course,
    /// How much longer than usual it takes.
    pub(super) delay: Duration,
    /// The prompt without markers.
    pub(super) subject: String,
    pub(super) record: CallRecord,
    pub(super) wire: Wire,
    /// Where it is to be accepted, this is what is asked for.
    pub(super) ask: Option<Ask>,
    pub(super) visit: Visit,
}

pub(super) struct Desk {
    started: Instant,
    started_unix: Duration,
    seed: u64,
    state: Mutex<State>,
    /// Ticks with every change of the log.
    changed: watch::Sender<()>,
}

struct State {
    quota: Quota,
    log: Vec<CallRecord>,
    meters: HashMap<(String, String), Meter>,
    /// Calls of each exact prompt.
    prompts: HashMap<String, u32>,
    pushed: Vec<PushedFault>,
}

impl Desk {
    pub(super) fn new(quota: Quota, seed: u64) -> Self {
        Self {
            started: Instant::now(),
            started_unix: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            seed,
            state: Mutex::new(State {
                quota,
                log: Vec::new(),
                meters: HashMap::new(),
                prompts: HashMap::new(),
                pushed: Vec::new(),
            }),
            changed: watch::Sender::new(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn log(&self) -> Vec<CallRecord> {
        self.state().log.clone()
    }

    fn log_if(&self, wanted: impl Fn(&[CallRecord]) -> bool) -> Option<Vec<CallRecord>> {
        let state = self.state();
        wanted(&state.log).then(|| state.log.clone())
    }

    pub(super) fn set_quota(&self, quota: Quota) {
        self.state().quota = quota;
    }

    pub(super) fn push_fault(&self, fault: PushedFault) {
        self.state().pushed.push(fault);
    }

    /// Waits until the log is as `wanted`; what has happened before the call counts too.
    pub(super) async fn wait_for(&self, wanted: impl Fn(&[CallRecord]) -> bool) -> Vec<CallRecord> {
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(log) = self.log_if(&wanted) {
                return log;
            }
            // The sender lives as long as the desk does.
            let _ = changes.changed().await;
        }
    }

    /// Writes the call down and decides what becomes of it.
    pub(super) fn receive(self: &Arc<Self>, reading: Reading) -> Reception {
        let mut state = self.state();
        let now = self.started.elapsed();
        let n = state.count(&reading);
        let (course, delay, subject) = state.decide(&reading, n, now);
        let accepted = matches!(course, Course::Accept(_));
        let seq = u64::try_from(state.log.len()).unwrap_or(u64::MAX) + 1;
        let record = CallRecord {
            seq,
            in_flight: state.meter(&reading.account, &reading.model).in_flight(),
            account: reading.account,
            model: reading.model,
            prompt: reading.prompt,
            n,
            accepted,
            outcome: course.outcome(),
            http_status: None,
            received_at_ms: millis(now),
            received_unix_ms: millis(self.started_unix + now),
            answered_at_ms: None,
            ended_at_ms: None,
            images_in: reading.images_in,
            response_id: format!("{:016x}", seed(&format!("{}\0{seq}", self.seed))),
        };
        state.log.push(record.clone());
        drop(state);
        self.changed.send_replace(());
        Reception {
            course,
            delay,
            subject,
            record,
            wire: reading.wire,
            ask: reading.ask.ok(),
            visit: Visit {
                desk: Arc::clone(self),
                seq,
            },
        }
    }

    fn update(&self, seq: u64, change: impl FnOnce(&mut CallRecord, u64)) {
        let now = millis(self.started.elapsed());
        if let Some(record) = self.state().record(seq) {
            change(record, now);
        }
        self.changed.send_replace(());
    }

    fn end(&self, seq: u64) {
        let now = millis(self.started.elapsed());
        let mut state = self.state();
        let ended = state.record(seq).map(|record| {
            record.ended_at_ms = Some(now);
            record.clone()
        });
        if let Some(record) = ended.filter(|record| record.accepted) {
            state.meter(&record.account, &record.model).leave();
        }
        drop(state);
        self.changed.send_replace(());
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl State {
    fn record(&mut self, seq: u64) -> Option<&mut CallRecord> {
        self.log.get_mut(usize::try_from(seq).ok()?.checked_sub(1)?)
    }

    fn meter(&mut self, account: &str, model: &str) -> &mut Meter {
        self.meters
            .entry((account.to_owned(), model.to_owned()))
            .or_default()
    }

    /// The number of this call among those with the same prompt; 0 for one that is not valid.
    fn count(&mut self, reading: &Reading) -> u32 {
        if reading.ask.is_err() {
            return 0;
        }
        let count = self.prompts.entry(reading.prompt.clone()).or_default();
        *count += 1;
        *count
    }

    fn decide(&mut self, reading: &Reading, n: u32, now: Duration) -> (Course, Duration, String) {
        let marked = match (&reading.ask, read_markers(&reading.prompt)) {
            (Ok(_), Ok(marked)) => marked,
            (Err(error), _) => {
                return (Course::Refuse(error.clone()), Duration::ZERO, String::new());
            }
            (Ok(_), Err(error)) => {
                let complaint = Complaint::Invalid(error.to_string());
                let error = reading.wire.put(&complaint, &reading.model, None);
                return (Course::Refuse(error), Duration::ZERO, String::new());
            }
        };
        let mut faults: Vec<Fault> = self.pushed_for(&reading.prompt, n).into_iter().collect();
        faults.extend(marked.faults.into_iter().filter(|fault| fault.strikes(n)));
        let has_fidelity = reading.ask.as_ref().is_ok_and(|ask| ask.fidelity);
        faults.retain(|fault| has_fidelity || fault.kind != FaultKind::Fidelity);
        let delay = faults.iter().map(Fault::delay).sum();
        // "slow" goes with any other fault; of the others the first one counts.
        let fault = faults.iter().find(|fault| fault.kind != FaultKind::Slow);
        let course = fault.map_or(Course::Accept(Ending::Answer(Answer::Picture)), |fault| {
            Course::of(fault, reading.wire, &reading.model)
        });
        let course = match course {
            Course::Refuse(_) | Course::Page(_) => course,
            Course::Accept(_) => {
                let quota = self.quota;
                match self
                    .meter(&reading.account, &reading.model)
                    .admit(&quota, now)
                {
                    Ok(()) => course,
                    Err(refusal) => Course::refused(refusal, reading.wire, &reading.model),
                }
            }
        };
        (course, delay, marked.subject)
    }

    /// Uses up one strike of the first pushed fault that fits.
    fn pushed_for(&mut self, prompt: &str, n: u32) -> Option<Fault> {
        self.pushed.retain(|pushed| pushed.times > 0);
        let fits = |pushed: &&mut PushedFault| {
            prompt.contains(&pushed.matching) && pushed.fault.strikes(n)
        };
        let pushed = self.pushed.iter_mut().find(fits)?;
        pushed.times -= 1;
        Some(pushed.fault.clone())
    }
}

/// A call that is in flight. When it is dropped, however that comes about, the call has ended.
pub(super) struct Visit {
    desk: Arc<Desk>,
    seq: u64,
}

impl Visit {
    pub(super) fn answering(&self, status: u16) {
        self.desk
            .update(self.seq, |record, _| record.http_status = Some(status));
    }

    pub(super) fn answered(&self) {
        self.desk
            .update(self.seq, |record, now| record.answered_at_ms = Some(now));
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.desk.end(self.seq);
    }
}
