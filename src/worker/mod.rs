//! Many attempts: claim what can be served, work it, say that we live, take back from the dead.
//!
//! Reading order: `claimer` decides when to look and how much to take; `attempt` works one job (of a
//! try-on `tryon` the steps before its picture, and `drift` that picture), `image` one of its images, which stands in `line` until `call` makes the paid call; `liveness`
//! renews and notices what is lost; `spool` stores what the storage did not take before; `expiry` ends what comes too late; `sweep` and `settle` clean up
//! after the dead; `webhooks` tells apps; `lines` is what all of them log. They share a `Context` and nothing else; what
//! they tell each other about jobs goes through Postgres.

mod attempt;
mod call;
mod claimer;
mod drift;
mod expiry;
mod image;
mod line;
mod lines;
mod liveness;
pub mod metrics;
mod patience;
mod settle;
mod spool;
mod sweep;
mod tryon;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::db::lease::Claimer;
use crate::db::ledger::StoredPicture;
use crate::db::listener::Doorbell;
use crate::db::schema::{self, SchemaError};
use crate::db::workers::Registration;
use crate::db::{self, Db, Lease};
use crate::domain::backoff::Jitter;
use crate::domain::{ClaimedJob, Occupation, Provider};
use crate::images::decode::Decoder;
use crate::pipeline::inputs::Inputs;
use crate::pipeline::{Spool, publish};
use crate::providers::Providers;
use crate::storage::Storage;
use crate::webhooks::Sender;
use drift::Unfaithful;
use expiry::Expiry;
use line::Lines;
use liveness::Liveness;

/// The last statements of a worker take no longer than this while Postgres answers.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(5);

/// What one worker process works with.
#[derive(Debug)]
pub struct Tools {
    pub db: Db,
    pub providers: Providers,
    pub inputs: Inputs,
    pub decoder: Decoder,
    pub storage: Storage,
    /// For pictures that the storage does not take now.
    pub spool: Spool,
    /// For messages to apps; `None`: without a secret they are left to other workers.
    pub sender: Option<Sender>,
    pub presence: Presence,
}

/// By what others in this process know a worker: what wakes it, and what it says of itself. When it has
/// ended, nobody sends any more.
#[derive(Debug, Clone, Default)]
pub struct Presence {
    pub bell: Arc<Doorbell>,
    pub occupation: watch::Sender<Occupation>,
}

/// How one worker process works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A label for people; need not be unique.
    pub label: String,
    /// Jobs at a time.
    pub concurrency: usize,
    /// Job types to take; `None` takes all.
    pub types: Option<Vec<String>>,
    /// Look at the queue at least this often, wake-ups or not.
    pub poll_every: Duration,
    /// Longest wait for one answer of a provider.
    pub call_timeout: Duration,
    /// Longest time without a finished image; waiting for quota is not counted.
    pub job_timeout: Duration,
    /// How long paid calls in flight may go on after the first signal.
    pub shutdown_grace: Duration,
    pub until: Until,
    pub rhythm: Rhythm,
}

/// When a worker ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Never; a signal ends it.
    Stopped,
    /// When nothing is due and nothing is left by the dead (`--drain`).
    Drained,
}

/// How fast the fleet's heart beats. One for all workers of a database: they judge each other by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// Say that we live.
    pub renew_every: Duration,
    /// Who has not renewed for this long is dead. Six renewals: a slow disk is not a death.
    pub stale_after: Duration,
    /// Look which of our jobs are still ours, while there are any: cancel arrives within two beats.
    pub watch_every: Duration,
    /// Renew `"lockedAt"`, which programs of the old kind judge by.
    pub touch_every: Duration,
    /// Clean up after the dead.
    pub sweep_every: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            renew_every: Duration::from_secs(5),
            stale_after: Duration::from_secs(30),
            watch_every: Duration::from_secs(1),
            touch_every: Duration::from_secs(30),
            sweep_every: Duration::from_secs(5),
        }
    }
}

/// How a worker is asked to end.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// First signal: claim nothing, call nothing; calls in flight may finish.
    pub stop: CancellationToken,
    /// Second signal, or the end of the grace time: give everything back at once.
    pub abort: CancellationToken,
}

/// What all parts of one worker share.
#[derive(Debug)]
struct Context {
    tools: Tools,
    settings: Settings,
    shutdown: Shutdown,
    claimer: Claimer,
    registration: Registration,
    liveness: Liveness,
    lines: Lines,
    unfaithful: Unfaithful,
    /// Rings when messages to apps may be due.
    messages: Notify,
}

impl Context {
    fn db(&self) -> &Db {
        &self.tools.db
    }

    /// Who this is, for people: label@host.
    fn name(&self) -> String {
        let Registration { label, host, .. } = &self.registration;
        match host {
            Some(host) => format!("{label}@{host}"),
            None => label.clone(),
        }
    }

    fn run(&self) -> Uuid {
        self.claimer.run
    }

    /// The accounts that can serve a model of this provider.
    fn accounts(&self, provider: Provider) -> Vec<String> {
        let accounts = self.tools.providers.accounts(provider);
        accounts.into_iter().map(str::to_owned).collect()
    }
}

/// What the steps of one attempt share.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    context: &'a Arc<Context>,
    lease: &'a Lease,
    job: &'a ClaimedJob,
    /// Rings when the job is no longer ours.
    lost: &'a CancellationToken,
    /// After this no call is begun.
    expiry: &'a Expiry,
    /// For the log.
    started: Instant,
}

/// A draw for the backoff formulas.
fn jitter() -> Jitter {
    Jitter(fastrand::f64())
}

/// Works until it is told to stop, or until the queue is drained.
///
/// # Errors
/// Only when it cannot even begin: afterwards an outage of the database is waited out.
pub async fn run(tools: Tools, settings: Settings, shutdown: Shutdown) -> Result<(), SchemaError> {
    let span = tracing::error_span!("worker", worker = settings.label);
    run_in_span(tools, settings, shutdown)
        .instrument(span)
        .await
}

async fn run_in_span(
    tools: Tools,
    settings: Settings,
    shutdown: Shutdown,
) -> Result<(), SchemaError> {
    let run = Uuid::new_v4();
    let claimer = Claimer {
        run,
        label: settings.label.clone(),
        accounts: accounts_of(&tools.providers),
        types: settings.types.clone(),
    };
    let context = Arc::new(Context {
        registration: Registration {
            run,
            label: settings.label.clone(),
            host: hostname(),
            accounts: claimer.accounts.clone(),
        },
        liveness: Liveness::new(settings.rhythm),
        lines: Lines::default(),
        unfaithful: Unfaithful::default(),
        messages: Notify::new(),
        claimer,
        tools,
        settings,
        shutdown,
    });
    liveness::renew(&context).await?;
    // Once more, now that this worker is seen: an adoption may be taken back at this moment.
    if let Err(error) = schema::check(context.db()).await {
        db::workers::deregister(context.db(), run).await?;
        return Err(error);
    }
    tracing::info!(%run, version = env!("CARGO_PKG_VERSION"), "worker started");
    lines::unknown_types(context.settings.types.as_deref().unwrap_or_default());

    let end = context.shutdown.clone();
    let heart = AbortOnDropHandle::new(tokio::spawn(
        liveness::beat(context.clone()).in_current_span(),
    ));
    let broom = AbortOnDropHandle::new(tokio::spawn(
        sweep::sweep(context.clone()).in_current_span(),
    ));
    let clerk = AbortOnDropHandle::new(tokio::spawn(
        spool::look_after(context.clone()).in_current_span(),
    ));
    let last_round = CancellationToken::new();
    let postman = AbortOnDropHandle::new(tokio::spawn(
        webhooks::deliver(context.clone(), last_round.clone()).in_current_span(),
    ));
    claimer::work(&context).await;
    end.stop.cancel();
    last_round.cancel();
    webhooks::last_round(&context, postman).await;
    drop(broom);
    drop(clerk);
    // The heart goes on until the last job is written.
    drop(heart);
    let goodbye = async {
        liveness::give_back_rest(&context).await?;
        spool::leave(&context).await?;
        db::workers::deregister(context.db(), run).await
    };
    let said = tokio::time::timeout(GOODBYE_PATIENCE, goodbye).await;
    if !matches!(said, Ok(Ok(()))) {
        tracing::warn!("left this worker's row to the others' sweep");
    }
    tracing::info!("worker stopped");
    Ok(())
}

/// `provider:account` of every key.
fn accounts_of(providers: &Providers) -> Vec<String> {
    let each = Provider::ALL.into_iter().flat_map(|provider| {
        let accounts = providers.accounts(provider).into_iter();
        accounts.map(move |account| format!("{provider}:{account}"))
    });
    each.collect()
}

fn hostname() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .map(|name| name.trim().to_owned())
}

impl From<publish::Published> for StoredPicture {
    fn from(published: publish::Published) -> Self {
        Self {
            key: published.key.to_string(),
            call: published.call,
            url: published.url,
            mime: published.format.mime(),
            // A picture's measures are far below these bounds.
            bytes: i64::try_from(published.bytes).unwrap_or(i64::MAX),
            width: i32::try_from(published.width).unwrap_or(i32::MAX),
            height: i32::try_from(published.height).unwrap_or(i32::MAX),
            sha256: published.sha256,
        }
    }
}
