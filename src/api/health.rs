//! `GET /health` says what works; `GET /ready` says whether to send requests here.
//!
//! Health is always 200: who restarts a process because its database is away makes nothing better.
//! Neither waits longer than its checks may take.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::error::Whole;
use super::openapi::one_of;
use super::vitals::Vitals;
use crate::db::vitals::Reach;

/// One flag for each thing that this process needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a flag for each thing is what is asked for"
)]
pub(super) struct Health {
    /// `ok` if all of these are true, else `degraded`.
    #[schema(schema_with = words)]
    status: &'static str,
    /// Postgres answers.
    database: bool,
    /// The tables are those of this version.
    schema: bool,
    /// Pictures can be stored.
    storage: bool,
    /// A worker lives: the one of this process, or, where it has none, any.
    worker: bool,
    /// New rows wake the worker of this process; without, it looks every few seconds. Null where it has
    /// none, or nothing to listen on.
    listener: Option<bool>,
    version: &'static str,
}

fn words() -> Object {
    one_of(&["ok", "degraded"])
}

/// What works
#[utoipa::path(get, path = "/health", tag = "core", security(()),
    responses((status = 200, body = Health, description = "Always")))]
pub(super) async fn health(State(vitals): State<Vitals>) -> Json<Health> {
    let (reach, alive, storage) = tokio::join!(vitals.database(), vitals.fleet(), vitals.storage());
    let here = vitals.worker();
    let listening = here.filter(|_| vitals.db().can_listen());
    let health = Health {
        status: "degraded",
        database: reach != Reach::Away,
        schema: reach == Reach::Good,
        storage,
        worker: alive && here.is_none_or(|worker| worker.occupation.has_changed().is_ok()),
        listener: listening.map(|worker| worker.bell.is_connected()),
        version: env!("CARGO_PKG_VERSION"),
    };
    Json(health.judged())
}

impl Health {
    fn judged(self) -> Self {
        let all = self.database
            && self.schema
            && self.storage
            && self.worker
            && self.listener != Some(false);
        let status = if all { "ok" } else { "degraded" };
        Self { status, ..self }
    }
}

/// Whether requests should be sent here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Readiness {
    ready: bool,
    /// Why not.
    reason: Option<&'static str>,
}

/// Whether to send requests here
#[utoipa::path(get, path = "/ready", tag = "extra", security(()), responses(
    (status = 200, body = Readiness, description = "Yes"),
    (status = 503, body = Readiness, description = "No"),
))]
pub(super) async fn ready(State(vitals): State<Vitals>) -> Response {
    let reason = obstacle(&vitals).await;
    let status = if reason.is_none() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let readiness = Readiness {
        ready: reason.is_none(),
        reason,
    };
    let mut response = (status, Json(readiness)).into_response();
    response.extensions_mut().insert(Whole);
    response
}

async fn obstacle(vitals: &Vitals) -> Option<&'static str> {
    if vitals.is_leaving() {
        return Some("This process is told to end.");
    }
    let (reach, storage) = tokio::join!(vitals.database(), vitals.storage());
    match reach {
        Reach::Away => Some("The database cannot be reached."),
        Reach::Foreign => {
            Some("The database has not the tables of this version: safelight migrate")
        }
        Reach::Good if storage => None,
        Reach::Good => Some("The storage cannot be written."),
    }
}
