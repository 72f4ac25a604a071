//! Saying that we live, and noticing what is no longer ours.
//!
//! A task of its own on a connection of its own, so that neither slow jobs nor an exhausted pool
//! can make a living worker look dead. Every beat learns which jobs the database says are ours:
//! one that we hold and it does not was canceled, deleted or taken over, and is aborted; one that
//! it holds and we do not know (the claim's answer was lost, a task died) is given back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Context, Rhythm};
use crate::db::workers::{self, Idle, Owned};
use crate::db::{DbError, Lease, lease};
use crate::domain::JobId;

/// A statement that has no answer by then is on a dead connection.
const BEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the beats know, read by everyone else.
#[derive(Debug)]
pub(super) struct Liveness {
    rhythm: Rhythm,
    state: Mutex<State>,
    idle: AtomicBool,
    /// Rings when jobs were found that the database says are ours and we do not know.
    pub(super) strangers_found: Notify,
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<JobId, Held>,
    strangers: Vec<Owned>,
    renewed_at: Option<Instant>,
    touched_at: Option<Instant>,
}

#[derive(Debug)]
struct Held {
    token: i64,
    lost: CancellationToken,
}

impl State {
    /// Whether this job is worked on here, and under this lease.
    fn holds(&self, owned: Owned) -> bool {
        let held = self.held.get(&owned.job);
        held.is_some_and(|held| held.token == owned.token)
    }
}

/// A job is held from here until this is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    context: Arc<Context>,
    job: JobId,
    token: i64,
    /// Rings when the job is no longer ours.
    pub(super) lost: CancellationToken,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.context.liveness.state();
        let owned = Owned {
            job: self.job,
            token: self.token,
        };
        // Not under a later lease of ours: then the entry is that one's.
        if state.holds(owned) {
            state.held.remove(&self.job);
        }
    }
}

impl Liveness {
    pub(super) fn new(rhythm: Rhythm) -> Self {
        Self {
            rhythm,
            state: Mutex::default(),
            idle: AtomicBool::new(false),
            strangers_found: Notify::new(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while the lock is held leaves a map that is still true.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// No new paid call once renewals have failed for half the time after which we count as dead.
    pub(super) fn may_call(&self) -> bool {
        self.state()
            .renewed_at
            .is_some_and(|at| at.elapsed() < self.rhythm.stale_after / 2)
    }

    pub(super) fn set_idle(&self, idle: Idle) {
        self.idle.store(idle == Idle::Yes, Ordering::Relaxed);
    }

    /// Jobs the database says are ours and nobody here works on.
    pub(super) fn take_strangers(&self) -> Vec<Owned> {
        let mut state = self.state();
        let mut strangers = std::mem::take(&mut state.strangers);
        strangers.retain(|owned| !state.holds(*owned));
        strangers
    }

    fn held(&self) -> Vec<Owned> {
        self.state()
            .held
            .iter()
            .map(|(&job, held)| Owned {
                job,
                token: held.token,
            })
            .collect()
    }

    fn renewed(&self, sent_at: Instant) {
        self.state().renewed_at = Some(sent_at);
    }

    /// Compares what we held before asking with what the database answered.
    fn compare(&self, held_before: &[Owned], owned: &[Owned]) {
        let mut state = self.state();
        for held in held_before.iter().filter(|held| !owned.contains(held)) {
            if state.holds(*held) {
                state.held[&held.job].lost.cancel();
            }
        }
        let strangers: Vec<Owned> = owned
            .iter()
            .copied()
            .filter(|owned| !state.holds(*owned))
            .collect();
        if !strangers.is_empty() {
            state.strangers = strangers;
            self.strangers_found.notify_one();
        }
    }
}

/// Gives back what is ours by the tables and worked on by nobody, at the end of this worker.
pub(super) async fn give_back_rest(context: &Context) -> Result<(), DbError> {
    for owned in workers::owned(context.db(), context.run()).await? {
        lease::give_back_unknown(context.db(), owned.job, owned.token).await?;
    }
    Ok(())
}

/// Begins to hold a claimed job.
pub(super) fn hold(context: &Arc<Context>, lease: &Lease) -> Hold {
    let lost = CancellationToken::new();
    let held = Held {
        token: lease.token(),
        lost: lost.clone(),
    };
    let before = context.liveness.state().held.insert(lease.job(), held);
    if let Some(before) = before {
        // Taken from us and claimed by us again before any beat noticed.
        before.lost.cancel();
    }
    Hold {
        context: context.clone(),
        job: lease.job(),
        token: lease.token(),
        lost,
    }
}

/// One renewal.
pub(super) async fn renew(context: &Context) -> Result<(), DbError> {
    let liveness = &context.liveness;
    let held = liveness.held();
    let sent_at = Instant::now();
    let idle = if liveness.idle.load(Ordering::Relaxed) {
        Idle::Yes
    } else {
        Idle::No
    };
    let owned = workers::renew(context.db(), &context.registration, idle).await?;
    liveness.renewed(sent_at);
    liveness.compare(&held, &owned);
    let touch_due = liveness
        .state()
        .touched_at
        .is_none_or(|at| at.elapsed() >= liveness.rhythm.touch_every);
    if touch_due && !owned.is_empty() {
        workers::touch(context.db(), context.run()).await?;
        liveness.state().touched_at = Some(Instant::now());
    }
    Ok(())
}

/// Beats until it is aborted.
pub(super) async fn beat(context: Arc<Context>) {
    let rhythm = context.settings.rhythm;
    let mut renew_at = Instant::now() + rhythm.renew_every;
    loop {
        let watch_at = Instant::now() + rhythm.watch_every;
        tokio::time::sleep_until(renew_at.min(watch_at)).await;
        let renewing = Instant::now() >= renew_at;
        let beat = async {
            if renewing {
                renew(&context).await
            } else {
                watch(&context).await
            }
        };
        let failed = match tokio::time::timeout(BEAT_TIMEOUT, beat).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => {
                context.db().distrust_connections();
                Some("no answer".to_owned())
            }
        };
        match failed {
            // Sooner than usual: others judge us by this.
            Some(error) if renewing => {
                tracing::warn!(%error, "could not renew, trying again");
                renew_at = Instant::now() + rhythm.watch_every;
            }
            None if renewing => renew_at = Instant::now() + rhythm.renew_every,
            Some(_) | None => {}
        }
    }
}

/// Between renewals: are our jobs still ours? Nothing is asked while there are none.
async fn watch(context: &Context) -> Result<(), DbError> {
    let held = context.liveness.held();
    if held.is_empty() {
        return Ok(());
    }
    let owned = workers::owned(context.db(), context.run()).await?;
    context.liveness.compare(&held, &owned);
    Ok(())
}
