//! The HTTP surface: enqueue, poll, cancel, retry, download over JSON.
//!
//! It knows rows, not workers: enqueueing is an INSERT, a cancel is an UPDATE, and what a poll shows is
//! what the tables say. All routes stand in [`router`]; errors become answers in `error`, and who may do
//! what is decided by `caller` and `auth`.

mod auth;
mod batches;
mod caller;
mod cors;
mod credits;
mod download;
mod error;
mod extract;
mod files;
mod health;
mod hub;
mod jobs;
mod layers;
mod links;
mod metrics;
mod openapi;
mod owner;
mod request_id;
mod server;
mod signing;
mod tick;
mod tryon;
mod uploads;
mod vitals;
mod waits;
mod zip;

use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::db::Db;
use crate::images::Decoder;
use crate::storage::Storage;

pub use auth::{Access, Gate, Project};
pub use caller::Caller;
pub use error::ApiError;
pub use hub::Hub;
pub use layers::layered;
pub use metrics::{HISTOGRAMS, describe as describe_metrics};
pub use server::{Ending, Limits, serve};
pub use signing::{Moment, Opened, Scope, Signer};
pub use vitals::{Vitals, WorkerHandle, router as router_of_worker};

/// Lists and counts at a time, of the eight connections that requests have.
const HEAVY: usize = 3;
/// How long one waits for its turn.
const HEAVY_PATIENCE: Duration = Duration::from_secs(5);

/// How one server behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What URLs of pictures and zips begin with; empty: they are paths.
    pub public_url: String,
    pub signed_url_life: Duration,
    /// Jobs of one tenant that may wait; 0: any number.
    pub max_waiting: u32,
    pub upgrade_url: String,
    pub origins: Vec<String>,
    /// Whether a secret is set: without one nothing that is asked to be told would be.
    pub sends_webhooks: bool,
}

/// What a server works with.
#[derive(Debug)]
pub struct Parts {
    pub db: Db,
    pub storage: Storage,
    pub decoder: Decoder,
    pub gate: Gate,
    pub signer: Signer,
    pub hub: Hub,
    pub vitals: Vitals,
    /// Rings when the server ends: what streams or waits must come to an end.
    pub stop: CancellationToken,
    pub settings: Settings,
}

/// One server, as its handlers see it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Api(Arc<Server>);

#[derive(Debug)]
struct Server {
    parts: Parts,
    heavy: Semaphore,
}

impl Api {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Server {
            parts,
            heavy: Semaphore::new(HEAVY),
        }))
    }

    fn db(&self) -> &Db {
        &self.0.parts.db
    }

    fn storage(&self) -> &Storage {
        &self.0.parts.storage
    }

    fn decoder(&self) -> &Decoder {
        &self.0.parts.decoder
    }

    fn gate(&self) -> &Gate {
        &self.0.parts.gate
    }

    fn signer(&self) -> &Signer {
        &self.0.parts.signer
    }

    /// A turn for what may take the database long, so that polls and enqueues always find a connection.
    ///
    /// # Errors
    /// 503 when none comes free in time.
    async fn heavy(&self) -> Result<SemaphorePermit<'_>, ApiError> {
        let turn = tokio::time::timeout(HEAVY_PATIENCE, self.0.heavy.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or(ApiError::Busy)
    }

    fn hub(&self) -> &Hub {
        &self.0.parts.hub
    }

    fn vitals(&self) -> &Vitals {
        &self.0.parts.vitals
    }

    fn sends_webhooks(&self) -> bool {
        self.0.parts.settings.sends_webhooks
    }

    fn stop(&self) -> &CancellationToken {
        &self.0.parts.stop
    }

    fn settings(&self) -> &Settings {
        &self.0.parts.settings
    }
}

/// All routes.
pub fn router(api: Api) -> Router {
    let routes = OpenApiRouter::with_openapi(openapi::frame())
        .merge(vitals::routes(api.vitals().clone()))
        .routes(routes!(jobs::list::list, jobs::enqueue::enqueue))
        .routes(routes!(jobs::list::states))
        .routes(routes!(jobs::poll::poll))
        .routes(routes!(jobs::poll::status))
        .routes(routes!(jobs::events::events))
        .routes(routes!(jobs::act::cancel))
        .routes(routes!(jobs::act::retry))
        .routes(routes!(download::job_zip))
        .routes(routes!(batches::create))
        .routes(routes!(batches::look))
        .routes(routes!(download::batch_zip))
        .routes(routes!(uploads::upload))
        .routes(routes!(files::file))
        .routes(routes!(tryon::enqueue))
        .routes(routes!(tryon::poll))
        .routes(routes!(credits::show))
        .routes(routes!(tick::tick))
        .routes(routes!(openapi::document));
    let cors = cors::layer(&api.settings().origins);
    let upgrade = error::UpgradeUrl(api.settings().upgrade_url.clone());
    let router = layered(openapi::with_document(routes).with_state(api)).layer(Extension(upgrade));
    // Outside all else: errors, too, must say which pages may read them.
    match cors {
        Some(cors) => router.layer(cors),
        None => router,
    }
}
