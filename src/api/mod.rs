//! The HTTP surface: enqueue, poll, cancel, retry, download over JSON.
//!
//! It knows rows, not workers: enqueueing is an INSERT, a cancel is an UPDATE, and what a poll shows is
//! what the tables say. All routes stand in [`router`]; errors become answers in `error`, and who may do
//! what is decided by `caller` and `auth`.

mod auth;
mod caller;
mod download;
mod error;
mod files;
mod jobs;
mod request_id;
mod signing;
mod uploads;
mod zip;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::db::Db;
use crate::images::Decoder;
use crate::storage::Storage;

pub use auth::Gate;
pub use caller::Caller;
pub use error::ApiError;
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

    fn settings(&self) -> &Settings {
        &self.0.settings
    }
}

/// All routes.
pub fn router(api: Api) -> Router {
    let (router, _document) = OpenApiRouter::<Api>::new()
        .routes(routes!(download::job_zip))
        .routes(routes!(download::batch_zip))
        .routes(routes!(uploads::upload))
        .routes(routes!(files::file))
        .split_for_parts();
    router
        .layer(middleware::from_fn(error::envelope))
        .layer(middleware::from_fn(request_id::carry))
        .with_state(api)
}
