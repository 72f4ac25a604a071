//! `POST /api/tick`: work while this request is open.
//!
//! For hosts that give a process time only while it answers (Cloud Run), called by a timer or by
//! `pg_cron`: the worker of this process looks at once, and the answer comes when there is nothing left
//! to do or the time is up. What is left then goes on at the next tick.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::Api;
use super::caller::Caller;
use super::error::{ApiError, ErrorBody};
use super::openapi::one_of;
use super::vitals::WorkerHandle;

/// Below the minute after which a timer calls again, and most proxies lose their patience.
const LONGEST: Duration = Duration::from_secs(50);

/// How the worker stands at the end.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Tick {
    /// `idle`: nothing is due. `working`: the time was up.
    #[schema(schema_with = standings)]
    status: &'static str,
    /// Jobs that run here.
    running: usize,
}

fn standings() -> Object {
    one_of(&["idle", "working"])
}

/// Work while this request is open
#[utoipa::path(post, path = "/api/tick", tag = "extra", responses(
    (status = 200, body = Tick, description = "How the worker stands"),
    (status = 409, body = ErrorBody, description = "`no_worker`: this process has none"),
))]
pub(super) async fn tick(State(api): State<Api>, caller: Caller) -> Result<Json<Tick>, ApiError> {
    caller.must_be_service()?;
    let worker = api.vitals().worker().ok_or_else(|| {
        ApiError::Conflict(
            "no_worker",
            "No worker runs in this process; start it with: safelight run".to_owned(),
        )
    })?;
    tokio::select! {
        () = until_idle(worker) => {}
        () = tokio::time::sleep(LONGEST) => {}
        () = api.stop().cancelled() => {}
    }
    let now = *worker.occupation.borrow();
    Ok(Json(Tick {
        status: if now.is_idle() { "idle" } else { "working" },
        running: now.running,
    }))
}

/// Wakes the worker and waits until nothing is due and nothing runs here.
async fn until_idle(worker: &WorkerHandle) {
    let mut occupation = worker.occupation.clone();
    // Twice: a look that goes on while the bell rings may have begun before the caller's row was there.
    for _ in 0..2 {
        let looks = occupation.borrow_and_update().looks;
        worker.bell.ring();
        if occupation.wait_for(|now| now.looks > looks).await.is_err() {
            return;
        }
    }
    // It fails when the worker has ended, with nothing left here either.
    let _ = occupation.wait_for(|now| now.is_idle()).await;
}

#[cfg(test)]
mod tests;
