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
mod hub;
mod jobs;
mod openapi;
mod request_id;
mod signing;
mod tryon;
mod uploads;
mod zip;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
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
pub use signing::{Moment, Scope, Signer};

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
    /// The server ends: streams end, too.
    pub stop: CancellationToken,
    pub settings: Settings,
}

/// One server, as its handlers see it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Api(Arc<Parts>);

impl Api {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    fn db(&self) -> &Db {
        &self.0.db
    }

    fn storage(&self) -> &Storage {
        &self.0.storage
    }

    fn decoder(&self) -> &Decoder {
        &self.0.decoder
    }

    fn gate(&self) -> &Gate {
        &self.0.gate
    }

    fn signer(&self) -> &Signer {
        &self.0.signer
    }

    fn hub(&self) -> &Hub {
        &self.0.hub
    }

    fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    fn settings(&self) -> &Settings {
        &self.0.settings
    }
}

/// All routes.
pub fn router(api: Api) -> Router {
    let routes = OpenApiRouter::with_openapi(openapi::frame())
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
        .routes(routes!(credits::show));
    let router = openapi::with_document(routes).layer(middleware::from_fn(error::envelope));
    // Outside the envelope: errors, too, must say which pages may read them.
    let router = match cors::layer(&api.settings().origins) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router
        .layer(middleware::from_fn(request_id::carry))
        .with_state(api)
}
