//! A stand-in for the providers: speaks their wire formats over real HTTP, draws pictures, keeps
//! quotas, does wrong what it is asked to, and writes down every call.
//!
//! The demo shows its pictures, tests count money by its log, `safelight simulate` serves it to
//! other programs. It shares no code with the real client, so that neither can hide the other's
//! mistakes. It is no model of a provider's taste or speed, and its own routes
//! (`/_simulator/log`, `/faults`, `/quota`) ask for no key: it belongs on loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

mod compose;
mod course;
mod desk;
mod fault;
mod gemini;
mod http;
mod log;
mod openai;
mod picture;
mod quota;
mod slot;
mod wire;

pub use desk::PushedFault;
pub use fault::{Fault, FaultError, FaultKind, parse_time};
pub use log::{CallOutcome, CallRecord};
pub use quota::Quota;

use desk::Desk;
use http::Shared;

/// How long a call takes by default: quick for a provider, slow enough to watch.
const LATENCY: RangeInclusive<Duration> = Duration::from_millis(1500)..=Duration::from_secs(4);
/// The key that is accepted by default.
pub const DEFAULT_KEY: &str = "simulator";

/// How a simulator is set up.
#[derive(Clone, Debug)]
pub struct SimulatorConfig {
    /// Port 0 takes a free one.
    pub bind: SocketAddr,
    /// Several keys may share an account, and then share its quota.
    pub accounts: Vec<SimAccount>,
    /// Between these each accepted call takes its time, always the same for the same call.
    pub latency: RangeInclusive<Duration>,
    /// For each account and model.
    pub quota: Quota,
    pub pictures: Pictures,
    /// Changes latencies and response ids, not the pictures.
    pub seed: u64,
}

/// A key and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimAccount {
    pub key: String,
    pub account: String,
}

/// How much work a picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pictures {
    /// The true size of the model's pictures.
    Full,
    /// An eighth of it in each direction: the same picture for a hundredth of the time, for tests
    /// that make thousands.
    Small,
}

impl Pictures {
    fn size(self, full: picture::Size) -> picture::Size {
        match self {
            Self::Full => full,
            Self::Small => picture::Size {
                width: full.width / 8,
                height: full.height / 8,
            },
        }
    }
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            accounts: vec![SimAccount {
                key: DEFAULT_KEY.to_owned(),
                account: "default".to_owned(),
            }],
            latency: LATENCY,
            quota: Quota::default(),
            pictures: Pictures::Full,
            seed: 0,
        }
    }
}

impl SimulatorConfig {
    /// Answers at once with small pictures: what most tests want.
    pub fn instant() -> Self {
        Self {
            latency: Duration::ZERO..=Duration::ZERO,
            pictures: Pictures::Small,
            ..Self::default()
        }
    }
}

/// The range of latencies and what they are drawn from.
struct Latency {
    range: RangeInclusive<Duration>,
    seed: u64,
}

impl Latency {
    /// The same for the same call of a prompt, whenever it comes.
    fn of(&self, prompt: &str, n: u32) -> Duration {
        let mut rng =
            fastrand::Rng::with_seed(self.seed ^ picture::seed(&format!("{prompt}\0{n}")));
        let (shortest, longest) = (*self.range.start(), *self.range.end());
        shortest + longest.saturating_sub(shortest).mul_f64(rng.f64())
    }
}

/// The log did not come to what was waited for.
#[derive(Debug, thiserror::Error)]
#[error("after {waited:?} the simulator's log was still not as expected: {log:#?}")]
pub struct WaitError {
    pub waited: Duration,
    /// The log as it was then.
    pub log: Vec<CallRecord>,
}

/// A running simulator. Dropping it ends every connection.
pub struct Simulator {
    address: SocketAddr,
    desk: Arc<Desk>,
    stopped: CancellationToken,
    server: Option<JoinHandle<io::Result<()>>>,
}

impl Simulator {
    /// Binds and serves, on the runtime of the caller.
    pub async fn start(config: SimulatorConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.bind).await?;
        let address = listener.local_addr()?;
        let desk = Arc::new(Desk::new(config.quota, config.seed));
        let stopped = CancellationToken::new();
        let accounts = config.accounts.into_iter();
        let shared = Arc::new(Shared {
            desk: Arc::clone(&desk),
            accounts: accounts.map(|own| (own.key, own.account)).collect(),
            latency: Latency {
                range: config.latency,
                seed: config.seed,
            },
            pictures: config.pictures,
            stopped: stopped.clone(),
        });
        // Small answers must not wait for larger ones to follow.
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "simulator: connection without nodelay");
            }
        });
        let server = axum::serve(listener, http::routes(shared))
            .with_graceful_shutdown(stopped.clone().cancelled_owned());
        Ok(Self {
            address,
            desk,
            stopped,
            server: Some(tokio::spawn(async move { server.await })),
        })
    }

    /// What `GEMINI_BASE_URL` and `OPENAI_BASE_URL` are set to.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every call so far.
    pub fn log(&self) -> Vec<CallRecord> {
        self.desk.log()
    }

    /// Waits until the log is as wanted, instead of sleeping and hoping. What is so already
    /// counts. The predicate must not call the simulator.
    pub async fn wait_for(
        &self,
        wanted: impl Fn(&[CallRecord]) -> bool,
        timeout: Duration,
    ) -> Result<Vec<CallRecord>, WaitError> {
        let waiting = tokio::time::timeout(timeout, self.desk.wait_for(wanted));
        waiting.await.map_err(|_| WaitError {
            waited: timeout,
            log: self.log(),
        })
    }

    /// Changes the quota of every account and model; calls already accepted count on.
    pub fn set_quota(&self, quota: Quota) {
        self.desk.set_quota(quota);
    }

    /// Faults for calls to come, whatever their prompts say.
    pub fn push_fault(&self, fault: impl Into<PushedFault>) {
        self.desk.push_fault(fault.into());
    }

    /// Ends every connection, and waits until all are gone.
    pub async fn stop(mut self) -> io::Result<()> {
        self.stopped.cancel();
        match self.server.take() {
            Some(server) => server.await?,
            None => Ok(()),
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

#[cfg(test)]
mod tests;
