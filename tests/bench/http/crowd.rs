//! Those who look, and what they see.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::connection::Connection;
use crate::millis;

/// As the frontends that we know do.
const POLL_EVERY: Duration = Duration::from_secs(2);

/// What one of them looks at.
pub(super) struct Job {
    pub(super) path: String,
    pub(super) key: String,
}

/// What all of them have seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// How long each poll took, in milliseconds.
    pub(super) polls: Vec<f64>,
    /// How many of them were 304.
    pub(super) unchanged: usize,
    pub(super) events: usize,
    pub(super) errors: Vec<String>,
}

/// Ends when it is dropped.
pub(super) struct Crowd {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    address: String,
    jobs: Vec<Job>,
    /// The next job that nobody follows.
    next: AtomicUsize,
    seen: Mutex<Seen>,
}

impl Crowd {
    /// A poller for each job, who come within one interval, and streams of the first ones.
    pub(super) fn start(address: String, jobs: Vec<Job>, streams: usize) -> Self {
        let pollers = jobs.len();
        let shared = Arc::new(Shared {
            address,
            jobs,
            next: AtomicUsize::new(0),
            seen: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        for poller in 0..pollers {
            let shared = shared.clone();
            let turn = u32::try_from(poller).unwrap();
            tasks.spawn(async move {
                sleep(POLL_EVERY * turn / u32::try_from(pollers).unwrap()).await;
                let ended = poll(&shared, &shared.jobs[poller]).await;
                shared.failed("poll", ended);
            });
        }
        for _ in 0..streams {
            let shared = shared.clone();
            tasks.spawn(async move {
                let ended = follow(&shared).await;
                shared.failed("stream", ended);
            });
        }
        Self {
            shared,
            _tasks: tasks,
        }
    }

    /// What was seen since somebody last asked.
    pub(super) fn take(&self) -> Seen {
        std::mem::take(&mut self.shared.seen())
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, who: &str, ended: io::Result<()>) {
        let why = ended.err().map_or_else(String::new, |why| why.to_string());
        self.seen().errors.push(format!("{who}: {why}"));
    }
}

/// One poller, for ever: it has one connection, as a browser does.
async fn poll(shared: &Shared, job: &Job) -> io::Result<()> {
    let mut connection = Connection::open(&shared.address).await?;
    let mut tag = None;
    let mut ticks = interval(POLL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let known = tag.as_ref().map(|tag| format!("If-None-Match: {tag}\r\n"));
        let headers = format!(
            "Authorization: Bearer {}\r\n{}",
            job.key,
            known.unwrap_or_default()
        );
        let begun = Instant::now();
        let head = connection.get(&job.path, &headers).await?;
        connection.body(&head).await?;
        let took = millis(begun.elapsed());
        let mut seen = shared.seen();
        seen.polls.push(took);
        match head.status {
            200 => {}
            304 => seen.unchanged += 1,
            status => seen.errors.push(format!("poll: {status}")),
        }
        tag = head.tag;
    }
}

/// One who follows a job to its end by its view token, and then another.
async fn follow(shared: &Shared) -> io::Result<()> {
    loop {
        let next = shared.next.fetch_add(1, Ordering::Relaxed) % shared.jobs.len();
        let job = &shared.jobs[next];
        let mut connection = Connection::open(&shared.address).await?;
        let key = format!("Authorization: Bearer {}\r\n", job.key);
        let head = connection.get(&job.path, &key).await?;
        let shown: Value = serde_json::from_slice(&connection.body(&head).await?)?;
        let token = shown["viewToken"]
            .as_str()
            .ok_or(io::ErrorKind::InvalidData)?;
        let head = connection
            .get(&format!("{}/events?token={token}", job.path), "")
            .await?;
        if head.status != 200 {
            return Err(io::Error::other(format!("{}", head.status)));
        }
        loop {
            let line = connection.line().await?;
            if line.starts_with("event: ") {
                shared.seen().events += 1;
            }
            if line == "event: done" {
                break;
            }
        }
    }
}
