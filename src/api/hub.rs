//! Jobs that somebody looks at, read once for all who do.
//!
//! Two thousand browsers that poll a thousand jobs must not be two thousand queries. One task per process
//! reads: what is asked for the first time together with all that was asked meanwhile, and what is watched
//! twice a second, first only a number for each job that says whether it has changed. Polls, waiting
//! requests and event streams are all served from here. While nobody looks, nothing is read. No NOTIFY per
//! image: that would cost the writers.

mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::error::ApiError;
use super::jobs::rendered::Rendered;
use crate::db::jobs::{self, Filter, Image, Job, JobRef, Standing};
use crate::db::{Db, DbError};
use crate::domain::JobId;
use state::{Answer, State, Wanted};

/// What is watched is looked at this often: a poll is never older.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A statement that takes longer is given up.
const READ_PATIENCE: Duration = Duration::from_secs(5);
/// Who waits for a read waits no longer: the reads of others come first.
const ASK_PATIENCE: Duration = Duration::from_secs(10);
/// Jobs of one read; more would hold up those that come after.
const MOST_AT_ONCE: usize = 500;
/// Asking where jobs stand takes at most one part in so many of a connection's time.
const TURN_SHARE: u32 = 4;

/// A job as it stood a moment ago.
#[derive(Debug)]
pub(super) struct Seen {
    content: Arc<(Job, Vec<Image>)>,
    /// Where it stands in the queue, once somebody has asked; only while it waits.
    pub(super) turn: Option<Standing>,
    /// How it was last written, see [`super::jobs::view`].
    pub(super) rendered: Mutex<Option<Rendered>>,
}

impl Seen {
    pub(super) fn new(job: Job, images: Vec<Image>) -> Self {
        Self {
            content: Arc::new((job, images)),
            turn: None,
            rendered: Mutex::default(),
        }
    }

    fn with_turn(&self, turn: Option<Standing>) -> Self {
        Self {
            content: self.content.clone(),
            turn,
            rendered: Mutex::default(),
        }
    }

    pub(super) fn job(&self) -> &Job {
        &self.content.0
    }

    pub(super) fn images(&self) -> &[Image] {
        &self.content.1
    }

    /// It waits to be claimed, and its turn is worth telling.
    fn waits(&self) -> bool {
        let job = self.job();
        job.status.is_waiting() && job.retry_at.is_none_or(|at| at <= job.read_at)
    }
}

/// The jobs that somebody looks at.
#[derive(Debug)]
pub struct Hub {
    shared: Arc<Shared>,
    /// The server ends: nobody is held any longer.
    stop: CancellationToken,
    _tasks: [AbortOnDropHandle<()>; 2],
}

#[derive(Debug)]
struct Shared {
    db: Db,
    state: Mutex<State>,
    /// Somebody waits for a read, or watches where nobody did.
    asked: Notify,
}

impl Hub {
    /// Must be called within a runtime: the reading is a task.
    pub fn start(db: Db, stop: CancellationToken) -> Self {
        let shared = Arc::new(Shared {
            db,
            state: Mutex::default(),
            asked: Notify::new(),
        });
        let reads = tokio::spawn(read_for_all(shared.clone()));
        let turns = tokio::spawn(keep_turns(shared.clone()));
        Self {
            shared,
            stop,
            _tasks: [AbortOnDropHandle::new(reads), AbortOnDropHandle::new(turns)],
        }
    }

    /// The job as it stood at most half a second ago.
    pub(super) async fn look(&self, job: JobRef) -> Result<Option<Arc<Seen>>, ApiError> {
        let recent = self.shared.state().recent(job);
        match recent {
            Some(seen) => Ok(Some(seen)),
            None => self.read(job).await,
        }
    }

    /// The job as it stands now: for whoever has just changed it.
    pub(super) async fn read(&self, job: JobRef) -> Result<Option<Arc<Seen>>, ApiError> {
        let (answer, answered) = oneshot::channel();
        self.shared.state().want(job, answer)?;
        self.shared.asked.notify_one();
        let unanswered = || ApiError::Unavailable("nobody read in time".to_owned());
        match timeout(ASK_PATIENCE, answered).await {
            Ok(Ok(answer)) => answer.map_err(ApiError::Unavailable),
            Ok(Err(_)) | Err(_) => Err(unanswered()),
        }
    }

    /// All that becomes of a job that was looked at a moment ago. Ends when the job is deleted.
    pub(super) fn follow(&self, job: &Seen) -> Option<watch::Receiver<Arc<Seen>>> {
        let state = self.shared.state();
        let watched = state.watched.get(&job.job().id)?;
        Some(watched.seen.subscribe())
    }

    /// The job once it is as wanted, or as it stands when the time is over or the server ends.
    pub(super) async fn wait(
        &self,
        seen: Arc<Seen>,
        longest: Duration,
        wanted: impl Fn(&Seen) -> bool,
    ) -> Arc<Seen> {
        let Some(mut changes) = self.follow(&seen) else {
            return seen;
        };
        // Whether it came, was deleted meanwhile or the time is over: what was last seen counts.
        tokio::select! {
            _ = timeout(longest, changes.wait_for(|seen| wanted(seen))) => {}
            () = self.stop.cancelled() => {}
        }
        changes.borrow().clone()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The jobs as they stand; those that are not there are left out.
    async fn fetch(&self, jobs: Vec<JobRef>) -> Result<Vec<Seen>, DbError> {
        let filter = Filter {
            jobs: Some(jobs),
            ..Filter::default()
        };
        let found = jobs::list(&self.db, &filter).await?;
        let ids: Vec<JobId> = found.iter().map(|job| job.id).collect();
        let mut images = jobs::images_of(&self.db, &ids).await?;
        let seen = found.into_iter().map(|job| {
            let images = images.remove(&job.id).unwrap_or_default();
            Seen::new(job, images)
        });
        Ok(seen.collect())
    }

    /// Reads for those who wait, all that they ask for in one go.
    async fn answer(&self, mut wanted: Wanted) {
        let jobs = wanted.keys().copied().collect();
        let found = match timeout(READ_PATIENCE, self.fetch(jobs)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return fail(wanted, &error.to_string()),
            Err(_) => {
                self.db.distrust_connections();
                return fail(wanted, "the database does not answer");
            }
        };
        for seen in found {
            let seen = self.state().keep(seen, None);
            let job = seen.job();
            let names = [Some(JobRef::Id(job.id)), job.job_id.map(JobRef::Uuid)];
            for name in names.into_iter().flatten() {
                tell(
                    wanted.remove(&name).unwrap_or_default(),
                    &Ok(Some(seen.clone())),
                );
            }
        }
        // These are not there.
        for (_, answers) in wanted {
            tell(answers, &Ok(None));
        }
    }

    /// Looks whether something that is watched has changed, some hundred jobs at a time.
    async fn look(&self) {
        let ids = self.state().still_watched();
        for ids in ids.chunks(MOST_AT_ONCE) {
            match timeout(READ_PATIENCE, self.look_at(ids)).await {
                Ok(Ok(())) => {}
                // Those who ask are told; those who follow wait on.
                Ok(Err(error)) => tracing::debug!(%error, "could not look at the watched jobs"),
                Err(_) => self.db.distrust_connections(),
            }
        }
    }

    async fn look_at(&self, ids: &[JobId]) -> Result<(), DbError> {
        let versions = jobs::versions(&self.db, ids).await?;
        let changed = self.state().changed(ids, &versions);
        if changed.is_empty() {
            return Ok(());
        }
        let found = self.fetch(changed).await?;
        let mut state = self.state();
        for seen in found {
            // Read after the number: what changed in between is seen at the next look.
            let version = versions.get(&seen.job().id).copied();
            state.keep(seen, version);
        }
        Ok(())
    }
}

fn fail(wanted: Wanted, why: &str) {
    for (_, answers) in wanted {
        tell(answers, &Err(why.to_owned()));
    }
}

fn tell(answers: Vec<Answer>, answer: &Result<Option<Arc<Seen>>, String>) {
    for waiting in answers {
        // Whoever has hung up does not want it any more.
        let _ = waiting.send(answer.clone());
    }
}

/// The one who reads. However many ask, what is watched is looked at in between: else nothing would ever
/// be told to those who follow.
async fn read_for_all(shared: Arc<Shared>) {
    let mut look_at = Instant::now();
    loop {
        let idle = shared.state().watched.is_empty();
        tokio::select! {
            () = shared.asked.notified() => {}
            () = tokio::time::sleep_until(look_at), if !idle => {}
        }
        let wanted = shared.state().take_wanted();
        if !wanted.is_empty() {
            shared.answer(wanted).await;
        }
        if look_at <= Instant::now() {
            shared.look().await;
            look_at = Instant::now() + LOOK_EVERY;
        }
        if !shared.state().wanted.is_empty() {
            shared.asked.notify_one();
        }
    }
}

/// Asks where the waiting jobs stand that somebody looks at, one after the other and never in a hurry.
async fn keep_turns(shared: Arc<Shared>) {
    loop {
        let due = shared.state().turn_due();
        let Some(job) = due else {
            tokio::time::sleep(LOOK_EVERY / 2).await;
            continue;
        };
        let began = Instant::now();
        let standing = timeout(READ_PATIENCE, jobs::standing(&shared.db, job)).await;
        if let (Ok(Ok(turn)), Some(watched)) = (standing, shared.state().watched.get_mut(&job)) {
            watched.seen.send_if_modified(|seen| {
                let is_news = seen.waits() && seen.turn != turn;
                if is_news {
                    *seen = Arc::new(seen.with_turn(turn));
                }
                is_news
            });
        }
        tokio::time::sleep(began.elapsed() * (TURN_SHARE - 1)).await;
    }
}
