//! What the hub knows: the jobs that somebody looks at, and who waits for a read.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::{MOST_AT_ONCE, Seen};
use crate::api::error::ApiError;
use crate::db::jobs::JobRef;
use crate::domain::JobId;

/// So many may wait for a read; more are sent away. That is ten seconds of a database that is away.
const MOST_ASKING: usize = 5000;
/// A job is watched for this long after the last poll: longer than between two polls of most.
const WATCH_FOR: Duration = Duration::from_secs(10);
/// What was read or looked at longer ago is read anew: the task is behind, or the database away.
const FRESH_FOR: Duration = Duration::from_secs(2);
/// Where a job stands in the queue is expensive to know, and worth knowing only about so often.
const TURN_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) watched: HashMap<JobId, Watched>,
    by_uuid: HashMap<Uuid, JobId>,
    pub(super) wanted: Wanted,
}

#[derive(Debug)]
pub(super) struct Watched {
    pub(super) seen: watch::Sender<Arc<Seen>>,
    version: Option<i64>,
    /// When it was last known to be so.
    known_at: Instant,
    asked_at: Instant,
    turn_at: Option<Instant>,
}

/// To somebody who waits for a read.
pub(super) type Answer = oneshot::Sender<Result<Option<Arc<Seen>>, String>>;
/// The jobs of one read, and who waits for each.
pub(super) type Wanted = HashMap<JobRef, Vec<Answer>>;

impl State {
    /// What is known of a job, if that is not old.
    pub(super) fn recent(&mut self, job: JobRef) -> Option<Arc<Seen>> {
        let id = match job {
            JobRef::Id(id) => id,
            JobRef::Uuid(uuid) => *self.by_uuid.get(&uuid)?,
        };
        let watched = self.watched.get_mut(&id)?;
        watched.asked_at = Instant::now();
        let is_fresh = watched.known_at.elapsed() < FRESH_FOR;
        is_fresh.then(|| watched.seen.borrow().clone())
    }

    /// Somebody waits for a read of this job.
    pub(super) fn want(&mut self, job: JobRef, answer: Answer) -> Result<(), ApiError> {
        if self.wanted.values().map(Vec::len).sum::<usize>() >= MOST_ASKING {
            return Err(ApiError::Busy);
        }
        self.wanted.entry(job).or_default().push(answer);
        Ok(())
    }

    /// Those who wait for a read, as many as one read is for. Who has hung up waits no more.
    pub(super) fn take_wanted(&mut self) -> Wanted {
        self.wanted.retain(|_, answers| {
            answers.retain(|answer| !answer.is_closed());
            !answers.is_empty()
        });
        let jobs: Vec<_> = self.wanted.keys().take(MOST_AT_ONCE).copied().collect();
        let taken = jobs
            .into_iter()
            .filter_map(|job| self.wanted.remove_entry(&job));
        taken.collect()
    }

    /// Remembers how a job stands, and tells whoever follows it.
    pub(super) fn keep(&mut self, seen: Seen, version: Option<i64>) -> Arc<Seen> {
        if let Some(uuid) = seen.job().job_id {
            self.by_uuid.insert(uuid, seen.job().id);
        }
        match self.watched.entry(seen.job().id) {
            Entry::Occupied(known) => {
                let watched = known.into_mut();
                let turn = watched.seen.borrow().turn.clone();
                let seen = Arc::new(match turn {
                    Some(turn) if seen.waits() => seen.with_turn(Some(turn)),
                    _ => seen,
                });
                watched.version = version.or(watched.version);
                watched.known_at = Instant::now();
                watched.seen.send_replace(seen.clone());
                seen
            }
            Entry::Vacant(place) => {
                let seen = Arc::new(seen);
                place.insert(Watched {
                    seen: watch::Sender::new(seen.clone()),
                    version,
                    known_at: Instant::now(),
                    asked_at: Instant::now(),
                    turn_at: None,
                });
                seen
            }
        }
    }

    /// The jobs that somebody still looks at; the others are forgotten.
    pub(super) fn still_watched(&mut self) -> Vec<JobId> {
        self.watched.retain(|_, watched| {
            watched.seen.receiver_count() > 0 || watched.asked_at.elapsed() < WATCH_FOR
        });
        let watched = &self.watched;
        self.by_uuid.retain(|_, id| watched.contains_key(id));
        self.watched.keys().copied().collect()
    }

    /// Which of these have changed; those that are gone are forgotten.
    pub(super) fn changed(&mut self, ids: &[JobId], versions: &HashMap<JobId, i64>) -> Vec<JobRef> {
        let mut changed = Vec::new();
        for id in ids {
            let Some(version) = versions.get(id) else {
                self.watched.remove(id);
                continue;
            };
            match self.watched.get_mut(id) {
                Some(watched) if watched.version == Some(*version) => {
                    watched.known_at = Instant::now();
                }
                Some(_) => changed.push(JobRef::Id(*id)),
                None => {}
            }
        }
        changed
    }

    /// The waiting job of whose turn nothing was heard for longest.
    pub(super) fn turn_due(&mut self) -> Option<JobId> {
        let due = self.watched.iter_mut().filter(|(_, watched)| {
            watched.seen.borrow().waits()
                && watched.turn_at.is_none_or(|at| at.elapsed() >= TURN_EVERY)
        });
        let (id, watched) = due.min_by_key(|(_, watched)| watched.turn_at)?;
        watched.turn_at = Some(Instant::now());
        Some(*id)
    }
}
