//! When to look at the queue, and how much to take.
//!
//! One task owns the slots: it looks on a wake-up, when a slot becomes free, at the nearest moment
//! a job becomes due, and at the poll interval in any case. A claim is committed before its job is
//! spawned.
//!
//! Going idle without missing a row: the flag that inserts read is committed first; then the
//! transactions that were already writing are noted, as their inserts may have read the flag
//! before; then the queue is looked at, again and again until those transactions have ended.
//! (Flag, then one look, loses a wake-up.)

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::{Context, Until, attempt, liveness, metrics};
use crate::db::lease::{self, Window};
use crate::db::workers::{self, Idle};
use crate::db::{self, DbError};

/// Due jobs that others hold locked are looked at again this soon, doubling to the poll interval.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The last wait between two looks while older writers are open.
const LOOK_AGAIN_LONGEST: Duration = Duration::from_secs(1);
/// Writers that stay open longer are left to the slow poll.
const WRITERS_PATIENCE: Duration = Duration::from_secs(10);
/// The poll interval is spread by this share, so that a fleet does not poll as one.
const POLL_SPREAD: f64 = 0.2;
/// After the grace time, giving everything back takes no longer than this while Postgres answers.
const GIVE_BACK_PATIENCE: Duration = Duration::from_secs(10);
/// A look that takes longer is on a dead connection.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a look may still take once the worker is told to stop.
const LAST_LOOK: Duration = Duration::from_secs(3);
/// After a failed look.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Claims and spawns until told to stop or drained, then waits for what runs.
pub(super) async fn work(context: &Arc<Context>) {
    let bell = &context.tools.presence.bell;
    let listener = AbortOnDropHandle::new(tokio::spawn({
        let (context, bell) = (context.clone(), bell.clone());
        async move { db::listener::listen(context.db(), &bell).await }.in_current_span()
    }));
    let mut desk = Desk {
        context,
        jobs: JoinSet::new(),
        idle: IdleState::Busy,
        doubling: LOOK_AGAIN,
        window: Window::Usual,
        nothing_left_since: None,
        due: true,
    };
    let mut look = Look::Claim;
    while !context.shutdown.stop.is_cancelled() {
        desk.due = true;
        let next = desk.look_within(look).await;
        desk.tell(next.as_ref());
        let pause = match next {
            Some(Ok(Next::Drained)) => break,
            Some(Ok(Next::Look)) => Duration::ZERO,
            Some(Ok(Next::Wait(pause))) => pause,
            Some(Err(error)) => {
                tracing::warn!(%error, "could not look at the queue, trying again");
                AFTER_ERROR
            }
            None => {
                context.db().distrust_connections();
                tracing::warn!("the database does not answer, trying again");
                AFTER_ERROR
            }
        };
        look = tokio::select! {
            () = context.shutdown.stop.cancelled() => break,
            () = bell.rung() => Look::Claim,
            () = context.lines.shorter.notified() => Look::Claim,
            Some(ended) = desk.jobs.join_next() => { report(ended); Look::Claim }
            () = context.liveness.strangers_found.notified() => Look::Strangers,
            () = tokio::time::sleep(pause) => Look::Peek,
        };
    }
    drop(listener);
    desk.wait_for_jobs().await;
}

/// What made us look.
#[derive(Clone, Copy, Debug)]
enum Look {
    /// There may be something: claim at once.
    Claim,
    /// The timer: a look that costs no lock comes first.
    Peek,
    /// Jobs are ours that nobody here works on.
    Strangers,
}

enum Next {
    Look,
    Wait(Duration),
    Drained,
}

/// What inserts believe about us.
enum IdleState {
    /// They do not notify.
    Busy,
    /// They notify, but for those of these transactions.
    Settling {
        writers: Vec<String>,
        since: Instant,
        pause: Duration,
    },
    /// They notify.
    Settled,
}

struct Desk<'a> {
    context: &'a Arc<Context>,
    jobs: JoinSet<()>,
    idle: IdleState,
    doubling: Duration,
    window: Window,
    /// For a drain: since when nothing is due and nothing runs here.
    nothing_left_since: Option<Instant>,
    /// What the look that goes on knows of jobs that are left to claim; until it knows, there are.
    due: bool,
}

impl Desk<'_> {
    /// A look has ended.
    fn tell(&self, next: Option<&Result<Next, DbError>>) {
        let at_rest = matches!(next, Some(Ok(Next::Wait(_) | Next::Drained)));
        let presence = &self.context.tools.presence;
        presence.occupation.send_modify(|said| {
            said.looks += 1;
            said.running = self.jobs.len();
            said.due = self.due || !at_rest;
        });
    }

    /// A look that is given up may have claimed: its jobs are given back by the next renewal. One that
    /// is under way when the worker is told to stop is waited for, but not for long.
    async fn look_within(&mut self, look: Look) -> Option<Result<Next, DbError>> {
        let stop = self.context.shutdown.stop.clone();
        let told_to_stop = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_LOOK).await;
        };
        tokio::select! {
            next = self.look(look) => Some(next),
            () = tokio::time::sleep(LOOK_TIMEOUT) => None,
            () = told_to_stop => None,
        }
    }

    async fn look(&mut self, look: Look) -> Result<Next, DbError> {
        let context = self.context;
        for stranger in context.liveness.take_strangers() {
            if lease::give_back_unknown(context.db(), stranger.job, stranger.token).await? {
                tracing::warn!(
                    job = stranger.job,
                    lease = stranger.token,
                    "gave back a job that nobody here works on"
                );
            }
        }
        while let Some(ended) = self.jobs.try_join_next() {
            report(ended);
        }
        let free = context.settings.concurrency.saturating_sub(self.jobs.len());
        if free == 0 {
            if !matches!(self.idle, IdleState::Busy) {
                self.flag(Idle::No).await?;
                self.idle = IdleState::Busy;
            }
            return Ok(Next::Wait(context.settings.poll_every));
        }
        if context.tools.spool.stops().is_some() {
            // Whoever empties the spool rings when there is room, and says why there is none.
            return Ok(Next::Wait(context.settings.poll_every));
        }
        if let Look::Peek | Look::Strangers = look {
            let due = self.next_due().await?;
            if due.is_none_or(|wait| !wait.is_zero()) {
                return self.nothing_due(due).await;
            }
        }
        let crowded = context.lines.crowded();
        let began = Instant::now();
        let claimed =
            lease::claim(context.db(), &context.claimer, free, self.window, &crowded).await?;
        metrics::claim_ended(began.elapsed(), claimed.len());
        if !claimed.is_empty() {
            self.doubling = LOOK_AGAIN;
            self.window = Window::Usual;
        }
        let full = claimed.len() == free;
        for (lease, job) in claimed {
            let hold = liveness::hold(context, &lease);
            let attempt = attempt::run(context.clone(), lease, job, hold);
            self.jobs.spawn(attempt.in_current_span());
        }
        if full {
            return Ok(Next::Look);
        }
        let due = self.next_due().await?;
        self.nothing_due(due).await
    }

    async fn next_due(&self) -> Result<Option<Duration>, DbError> {
        let crowded = self.context.lines.crowded();
        lease::next_due(self.context.db(), &self.context.claimer, &crowded).await
    }

    /// Fewer jobs than slots: become idle, or wait for what comes next.
    async fn nothing_due(&mut self, due: Option<Duration>) -> Result<Next, DbError> {
        self.due = due.is_some_and(|wait| wait.is_zero());
        if self.context.db().can_listen() && matches!(self.idle, IdleState::Busy) {
            self.flag(Idle::Yes).await?;
            let writers = workers::writers(self.context.db()).await?;
            self.idle = IdleState::Settling {
                writers,
                since: Instant::now(),
                pause: LOOK_AGAIN,
            };
            return Ok(Next::Look);
        }
        let settling = self.settle().await?;
        if self.is_drained(due).await? {
            return Ok(Next::Drained);
        }
        let mut pause = self.poll_pause();
        if self.context.settings.until == Until::Drained {
            // What it waits for are renewals of others, and they wake nobody.
            pause = pause.min(self.context.settings.rhythm.renew_every);
        }
        if let Some(due) = due {
            // Due and yet not claimed: others hold it, or just took it.
            let again = if due.is_zero() {
                self.window = Window::Wide;
                self.double()
            } else {
                due
            };
            pause = pause.min(again);
        }
        Ok(Next::Wait(
            settling.map_or(pause, |settling| pause.min(settling)),
        ))
    }

    /// How soon to look again because of writers that may have missed our flag.
    async fn settle(&mut self) -> Result<Option<Duration>, DbError> {
        let IdleState::Settling {
            writers,
            since,
            pause,
        } = &mut self.idle
        else {
            return Ok(None);
        };
        // The look that came before this question saw everything of writers that had ended by then
        // only if they are asked first; so the last look is made after they are gone.
        let left = !writers.is_empty()
            && since.elapsed() < WRITERS_PATIENCE
            && workers::writers_left(self.context.db(), writers).await? > 0;
        if !left {
            self.idle = IdleState::Settled;
            return Ok(Some(Duration::ZERO));
        }
        let wait = *pause;
        *pause = (*pause * 2).min(LOOK_AGAIN_LONGEST);
        Ok(Some(wait))
    }

    /// Nothing is due, nothing runs here, nothing waits in the spool, and whoever else holds a job has said since then that it
    /// lives: a worker that died a second ago looks alive until it fails to.
    async fn is_drained(&mut self, due: Option<Duration>) -> Result<bool, DbError> {
        if self.context.settings.until != Until::Drained
            || !self.jobs.is_empty()
            || !self.context.tools.spool.contents().is_empty()
            || due.is_some_and(|wait| wait.is_zero())
        {
            self.nothing_left_since = None;
            return Ok(false);
        }
        let since = *self.nothing_left_since.get_or_insert_with(Instant::now);
        let left =
            workers::left_by_dead(self.context.db(), self.context.run(), since.elapsed()).await?;
        // Asked again last: what is taken back in between is due.
        let due = self.next_due().await?;
        Ok(!left && due.is_none_or(|wait| !wait.is_zero()))
    }

    async fn flag(&self, idle: Idle) -> Result<(), DbError> {
        self.context.liveness.set_idle(idle);
        workers::set_idle(self.context.db(), self.context.run(), idle).await
    }

    fn poll_pause(&self) -> Duration {
        let spread = 1.0 + POLL_SPREAD * (fastrand::f64() - 0.5);
        self.context.settings.poll_every.mul_f64(spread)
    }

    fn double(&mut self) -> Duration {
        let pause = self.doubling.mul_f64(0.75 + fastrand::f64() * 0.5);
        self.doubling = (self.doubling * 2).min(self.context.settings.poll_every);
        pause
    }

    /// Calls in flight may finish within the grace time; then everything is given back; what cannot
    /// be given back, since the database is away, is left to the others' reclaim.
    async fn wait_for_jobs(&mut self) {
        let grace = self.context.settings.shutdown_grace;
        if !self.jobs.is_empty() {
            tracing::info!(
                jobs = self.jobs.len(),
                ?grace,
                "stopping: calls in flight may finish"
            );
        }
        let abort = self.context.shutdown.abort.clone();
        tokio::select! {
            () = self.all_ended() => return,
            () = tokio::time::sleep(grace) => abort.cancel(),
            () = abort.cancelled() => {}
        }
        tracing::warn!(jobs = self.jobs.len(), "giving jobs back");
        if tokio::time::timeout(GIVE_BACK_PATIENCE, self.all_ended())
            .await
            .is_err()
        {
            tracing::warn!(
                jobs = self.jobs.len(),
                "left jobs to be taken back by other workers"
            );
            self.jobs.shutdown().await;
        }
    }

    async fn all_ended(&mut self) {
        while let Some(ended) = self.jobs.join_next().await {
            report(ended);
        }
    }
}

/// An attempt contains its panics; one that comes this far was in our own bookkeeping.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a job's task died; its job is given back at the next renewal");
    }
}
