//! Cleans up after the dead: jobs, calls, batches, hooks, worker rows.
//!
//! Every worker does it, none needs a leader: each step is one guarded statement that two may run
//! at once. One cheap look per interval keeps an idle fleet quiet.

use std::sync::Arc;
use std::time::Duration;

use super::Context;
use super::settle::{self, SettleError};
use crate::db::{ledger, workers};

/// Intervals are spread by this share, so that a fleet does not sweep as one.
const SPREAD: f64 = 0.2;

/// Sweeps until it is aborted.
pub(super) async fn sweep(context: Arc<Context>) {
    loop {
        tokio::time::sleep(pause(context.settings.rhythm.sweep_every)).await;
        if let Err(error) = once(&context).await {
            tracing::warn!(%error, "could not clean up, trying again");
        }
    }
}

fn pause(every: Duration) -> Duration {
    every.mul_f64(1.0 + SPREAD * (fastrand::f64() - 0.5))
}

async fn once(context: &Context) -> Result<(), SettleError> {
    let db = context.db();
    let stale = context.settings.rhythm.stale_after;
    let litter = workers::litter(db, stale).await?;
    if litter.lost_jobs && context.liveness.may_judge() {
        let lost = workers::reclaim(db, stale).await?;
        if !lost.is_empty() {
            tracing::warn!(jobs = ?lost, "took back the jobs of a worker that stopped renewing");
        }
    }
    if litter.orphaned_calls && context.liveness.may_judge() {
        for call in ledger::orphaned_calls(db, stale).await? {
            settle::orphan(context, &call).await?;
        }
    }
    if litter.batches {
        workers::close_batches(db).await?;
    }
    if litter.hooks {
        workers::retry_hooks(db).await?;
    }
    if litter.dead_workers && context.liveness.may_judge() {
        workers::forget_dead(db, stale).await?;
    }
    Ok(())
}
