//! Cleans up after the dead: jobs, calls, batches, hooks, worker rows; and ends the jobs that expired
//! while they waited; removes uploads that nobody used; counts the day's calls forward; settles credits
//! that no trigger did; and prunes.
//!
//! Every worker does it, none needs a leader. Who is dead is judged by watching: a run whose
//! renewals have not moved for a whole stale interval *of our own clock*, during which we could
//! look ourselves. A jump of the database's clock, an outage, or a pause of this machine kills
//! nobody: each starts the watch anew.

mod prune;
mod uploads;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{Context, Rhythm, lines, settle};
use crate::db::sweep::{self, Litter, Seen, Swept};
use crate::db::{Db, DbError, credits, ledger, spools, webhooks};

/// Tenants whose jobs no trigger has noted are searched for so often, and once at the start.
const SEARCH_EVERY: Duration = Duration::from_mins(5);
/// Uploads that nobody used are searched for so often, and once at the start: they go after a day, and no
/// index is kept for them.
const UPLOADS_EVERY: Duration = Duration::from_mins(5);
/// Intervals are spread by this share, so that a fleet does not sweep as one.
const SPREAD: f64 = 0.2;
/// Rounds of ending expired jobs in one sweep; each takes less than a tenth of a second.
const EXPIRE_ROUNDS: usize = 20;
/// A sweep that takes longer is on a dead connection, or waits for a storage that is away.
const SWEEP_TIMEOUT: Duration = Duration::from_mins(1);

/// Sweeps and prunes until it is aborted.
pub(super) async fn sweep(context: Arc<Context>) {
    let to_prune = Notify::new();
    tokio::join!(
        clean_up(&context, &to_prune),
        prune::prune(&context, &to_prune)
    );
}

async fn clean_up(context: &Arc<Context>, to_prune: &Notify) {
    let rhythm = context.settings.rhythm;
    let mut watch = Watch::new(rhythm);
    let mut searched: Option<Instant> = None;
    let mut tidied: Option<Instant> = None;
    loop {
        tokio::time::sleep(
            rhythm
                .sweep_every
                .mul_f64(1.0 + SPREAD * (fastrand::f64() - 0.5)),
        )
        .await;
        match timeout(SWEEP_TIMEOUT, once(context, &mut watch, to_prune)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "could not clean up, trying again"),
            Err(_) => tracing::warn!("cleaning up took too long, trying again"),
        }
        if searched.is_none_or(|at| at.elapsed() > SEARCH_EVERY) {
            searched = Some(Instant::now());
            report("the queue", find_arrivals(context.db()).await);
        }
        if tidied.is_none_or(|at| at.elapsed() > UPLOADS_EVERY) {
            tidied = Some(Instant::now());
            let removal = timeout(SWEEP_TIMEOUT, uploads::remove_unused(context));
            // Cut off, it goes on in the next round: each upload is removed by itself.
            report("uploads", removal.await.unwrap_or(Ok(())));
        }
    }
}

/// Each step by itself: one that fails must not keep the others from being done.
async fn once(context: &Context, watch: &mut Watch, to_prune: &Notify) -> Result<(), DbError> {
    let db = context.db();
    let stale = context.settings.rhythm.stale_after;
    let (seen, litter) = sweep::look(db, stale).await?;
    let dead = watch.dead(&seen, Instant::now());
    let holds =
        |which: fn(&Seen) -> bool| seen.iter().any(|one| dead.contains(&one.run) && which(one));
    if litter.unowned_jobs || holds(|one| one.holds_jobs) {
        report("jobs", reclaim(context, &dead).await);
    }
    let Litter {
        expired_jobs,
        batches,
        hooks,
        empty_shares,
        totals,
        ended_jobs,
        objects,
        messages,
        due_messages,
        old_messages,
        reservations,
        refunds,
        ..
    } = litter;
    if ended_jobs || objects {
        to_prune.notify_one();
    }
    if expired_jobs {
        report("expired jobs", expire(db).await);
    }
    if due_messages {
        report("messages", make_ready(context).await);
    }
    // An expired job may have somebody to be told.
    if messages || due_messages || expired_jobs {
        context.messages.notify_one();
    }
    if old_messages {
        report("old messages", webhooks::forget(db).await);
    }
    // An expired job may have been its batch's last.
    if batches || expired_jobs {
        report("batches", close_batches(context).await);
    }
    if hooks {
        report("hooks", sweep::retry_hooks(db).await);
    }
    if empty_shares {
        report("tenants", forget_shares(context).await);
    }
    if totals {
        report("totals", sweep::roll_totals(db).await);
    }
    if reservations {
        report("credits", settle_credits(context).await);
    }
    if refunds {
        report("refunds", credits::retry_refunds(db).await);
    }
    // At the end: while the storage does not answer, this takes all the time there is.
    if litter.overdue_calls || holds(|one| one.has_calls) {
        report("calls", settle_orphans(context, &dead).await);
    }
    if !dead.is_empty() {
        report("workers", sweep::forget(db, &dead).await);
    }
    Ok(())
}

async fn reclaim(context: &Context, dead: &[Uuid]) -> Result<(), DbError> {
    let lost = sweep::reclaim(context.db(), dead, context.settings.rhythm.stale_after).await?;
    lost.iter().for_each(lines::job_reclaimed);
    Ok(())
}

/// Round after round, but no longer than until the next sweep: ten thousand jobs that end at once may
/// be the last of as many batches.
async fn close_batches(context: &Context) -> Result<(), DbError> {
    let began = Instant::now();
    loop {
        let (ended, swept) = sweep::close_batches(context.db()).await?;
        for (batch, status) in ended {
            lines::batch_ended(batch, &status);
        }
        if swept == Swept::All || began.elapsed() > context.settings.rhythm.sweep_every {
            return Ok(());
        }
    }
}

/// Ten thousand tenants may have run out of jobs at once.
async fn forget_shares(context: &Context) -> Result<(), DbError> {
    let began = Instant::now();
    while sweep::forget_shares(context.db()).await? == Swept::Some
        && began.elapsed() < context.settings.rhythm.sweep_every
    {}
    Ok(())
}

/// Somebody may have ended many jobs with the triggers switched off.
async fn settle_credits(context: &Context) -> Result<(), DbError> {
    let began = Instant::now();
    loop {
        let (jobs, swept) = credits::settle_left(context.db()).await?;
        if jobs > 0 {
            tracing::info!(jobs, "settled credits of jobs that had ended");
        }
        if swept == Swept::All || began.elapsed() > context.settings.rhythm.sweep_every {
            return Ok(());
        }
    }
}

/// After an outage of a receiver a hundred thousand may be due at once.
async fn make_ready(context: &Context) -> Result<(), DbError> {
    let began = Instant::now();
    while webhooks::make_ready(context.db()).await? == Swept::Some
        && began.elapsed() < context.settings.rhythm.sweep_every
    {}
    Ok(())
}

async fn find_arrivals(db: &Db) -> Result<(), DbError> {
    let found = sweep::find_arrivals(db).await?;
    if found > 0 {
        // Those that no claim has taken in yet are among them.
        tracing::debug!(tenants = found, "noted tenants with jobs that wait");
    }
    Ok(())
}

/// Many rounds, each short: a day's backlog that expires at once must not take a day to end, and must
/// not keep us from looking at the others.
async fn expire(db: &Db) -> Result<(), DbError> {
    for _ in 0..EXPIRE_ROUNDS {
        let (ended, swept) = sweep::expire(db).await?;
        ended.iter().for_each(lines::job_expired);
        if swept == Swept::All {
            break;
        }
    }
    Ok(())
}

async fn settle_orphans(context: &Context, dead: &[Uuid]) -> Result<(), DbError> {
    for call in ledger::orphaned_calls(context.db(), dead).await? {
        if let Err(error) = settle::orphan(context, &call).await {
            tracing::warn!(%error, call = %call.id, "could not settle a call, trying again");
        }
    }
    spools::forget_gone(context.db()).await
}

fn report(what: &str, result: Result<(), DbError>) {
    if let Err(error) = result {
        tracing::warn!(%error, "could not clean up {what}, trying again");
    }
}

/// What we have seen of others' renewals.
struct Watch {
    rhythm: Rhythm,
    last_look: Option<Instant>,
    moved: HashMap<Uuid, (DateTime<Utc>, Instant)>,
}

impl Watch {
    fn new(rhythm: Rhythm) -> Self {
        Self {
            rhythm,
            last_look: None,
            moved: HashMap::new(),
        }
    }

    /// The runs whose renewals have not moved while we watched without a gap.
    fn dead(&mut self, seen: &[Seen], now: Instant) -> Vec<Uuid> {
        // We were away ourselves, or the database was: nobody could be seen renewing.
        let gap = self
            .last_look
            .is_none_or(|at| now - at > self.rhythm.stale_after / 2);
        self.last_look = Some(now);
        if gap {
            self.moved.clear();
        }
        self.moved
            .retain(|run, _| seen.iter().any(|one| one.run == *run));
        let mut dead = Vec::new();
        for one in seen {
            let entry = self.moved.entry(one.run).or_insert((one.renewed_at, now));
            if entry.0 != one.renewed_at {
                *entry = (one.renewed_at, now);
            } else if now - entry.1 >= self.rhythm.stale_after {
                dead.push(one.run);
            }
        }
        dead
    }
}

#[cfg(test)]
mod tests;
