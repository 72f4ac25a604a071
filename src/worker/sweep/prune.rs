//! Retention: prunes what is old enough, and removes the objects of what was pruned.
//!
//! Once an hour one worker of the fleet walks over the queue, in small transactions with as long a rest
//! after each, so that claims and apps have half of the time for themselves at least. It has no list to
//! lose: one that is killed is followed by another within the hour.
//!
//! Objects go afterwards, by any worker, from the list that pruning has written with the jobs. Beside the
//! sweep and not in it: a storage that is slow must not keep us from the jobs of the dead.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::super::Context;
use super::report;
use crate::db::DbError;
use crate::db::prune::{self, From, Pruner, Referrers, Removal, Walk};
use crate::domain::JobId;
use crate::storage::{ObjectKey, Storage, StorageError};

/// Objects that one worker takes: S3 removes a thousand in one request, and a folder's files one by one
/// well within the time for which they are taken.
const OBJECTS_AT_ONCE: i64 = 500;
/// Failures in a row after which it is the storage, and not an object.
const FAILURES: usize = 3;

/// Prunes whenever there is something to do, until it is aborted.
pub(super) async fn prune(context: &Arc<Context>, due: &Notify) {
    let mut told = None;
    loop {
        due.notified().await;
        report("ended jobs", pass(context, &mut told).await);
        report("objects of pruned jobs", remove_objects(context).await);
    }
}

/// Walks over the queue, if it is time and nobody else does.
async fn pass(context: &Context, told: &mut Option<String>) -> Result<(), DbError> {
    let db = context.db();
    let retention = prune::retention(db).await?;
    if retention.keeps_everything() || !prune::begin_pass(db, context.run()).await? {
        return Ok(());
    }
    let referrers = Referrers::find(db).await?;
    if let Some(slow) = referrers.slow() {
        // Once, until it is another one.
        if told.as_ref() != Some(&slow.name) {
            tracing::warn!("nothing is pruned: {}", slow.complaint());
            *told = Some(slow.name.clone());
        }
        return Ok(());
    }
    let begun = Instant::now();
    let mut pruner = Pruner::new(retention, referrers);
    walk(context, &mut pruner).await?;
    let batches = prune::remove_empty_batches(db, &retention, &pruner.referrers).await?;
    if let Some(error) = pruner.why {
        let jobs = pruner.refused;
        tracing::warn!(%error, jobs, "the database refused to remove some ended jobs");
    }
    if pruner.removed > 0 || batches > 0 {
        let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(jobs = pruner.removed, batches, elapsed_ms, "pruned");
    }
    Ok(())
}

async fn walk(context: &Context, pruner: &mut Pruner) -> Result<(), DbError> {
    let db = context.db();
    let mut walk = Walk::begin(db, pruner.retention, From::Adoption).await?;
    loop {
        let begun = Instant::now();
        let Some(due) = walk.next().await? else {
            return Ok(());
        };
        sleep(begun.elapsed()).await;
        let due: Vec<JobId> = due.into_iter().map(|job| job.id).collect();
        pruner.remove(db, &due, |_| {}).await?;
        // After an outage somebody else may have begun.
        if !prune::continue_pass(db, context.run()).await? {
            return Ok(());
        }
    }
}

/// Round after round until none is due, or the storage fails.
async fn remove_objects(context: &Context) -> Result<(), DbError> {
    let db = context.db();
    let mut failures = 0;
    loop {
        let taken = prune::removals(db, OBJECTS_AT_ONCE).await?;
        let is_last = i64::try_from(taken.len()).is_ok_and(|taken| taken < OBJECTS_AT_ONCE);
        let (again, fresh): (Vec<Removal>, Vec<Removal>) =
            taken.into_iter().partition(|removal| removal.failed);
        // One by one, since it may have been one that kept the others from going.
        let groups = std::iter::once(fresh).chain(again.into_iter().map(|one| vec![one]));
        for group in groups.filter(|group| !group.is_empty()) {
            let keys: Vec<String> = group.into_iter().map(|removal| removal.key).collect();
            match remove_from(&context.tools.storage, &keys).await {
                Ok(()) => {
                    failures = 0;
                    prune::removed(db, &keys).await?;
                }
                Err(error) => {
                    failures += 1;
                    let objects = keys.len();
                    tracing::warn!(%error, objects, "could not remove objects of pruned jobs, trying again later");
                    prune::still_there(db, &keys, &error.to_string()).await?;
                }
            }
            if failures == FAILURES {
                return Ok(());
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

async fn remove_from(storage: &Storage, keys: &[String]) -> Result<(), StorageError> {
    // What was written by hand and names no object has none to be removed.
    let keys: Vec<ObjectKey> = keys
        .iter()
        .filter_map(|key| ObjectKey::parse(key).ok())
        .collect();
    storage.delete(&keys).await
}
