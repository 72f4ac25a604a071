//! Jobs over HTTP: enqueue, look, act.

pub(super) mod act;
pub(super) mod body;
pub(super) mod enqueue;
pub(super) mod events;
pub(super) mod list;
pub(super) mod poll;
pub(super) mod rendered;
pub(super) mod status;
pub(super) mod view;

use std::sync::Arc;

use super::Api;
use super::caller::Caller;
use super::error::ApiError;
use super::hub::Seen;
use crate::db::jobs::{self, Job, JobRef};
use crate::domain::Tenant;

/// The job that a path names, if it is the caller's: by uuid or number.
///
/// # Errors
/// 404 for what is not there and for what is somebody else's.
pub(super) async fn named(api: &Api, caller: &Caller, named: &str) -> Result<Job, ApiError> {
    let job = jobs::find(api.db(), reference(named)?).await?;
    job.filter(|job| caller.sees(job.job_id, &job.tenant()))
        .ok_or_else(not_found)
}

/// The same for somebody who looks: as it stood at most half a second ago.
pub(super) async fn looked_at(
    api: &Api,
    caller: &Caller,
    named: &str,
) -> Result<Arc<Seen>, ApiError> {
    let seen = api.hub().look(reference(named)?).await?;
    visible(caller, seen)
}

/// The same as it stands now.
pub(super) async fn read(api: &Api, caller: &Caller, job: JobRef) -> Result<Arc<Seen>, ApiError> {
    let seen = api.hub().read(job).await?;
    visible(caller, seen)
}

fn visible(caller: &Caller, seen: Option<Arc<Seen>>) -> Result<Arc<Seen>, ApiError> {
    seen.filter(|seen| caller.sees(seen.job().job_id, &seen.job().tenant()))
        .ok_or_else(not_found)
}

fn reference(named: &str) -> Result<JobRef, ApiError> {
    named.parse().map_err(|_| not_found())
}

fn not_found() -> ApiError {
    ApiError::NotFound("Job")
}

/// Refuses what would fill the queue of one tenant beyond its bound.
pub(super) async fn make_room(
    api: &Api,
    tenant: &Tenant,
    coming: &jobs::NewJob,
    jobs_coming: usize,
) -> Result<(), ApiError> {
    let most = i64::from(api.settings().max_waiting);
    if most == 0 {
        return Ok(());
    }
    let coming_jobs = i64::try_from(jobs_coming).unwrap_or(i64::MAX);
    let waiting = jobs::waiting(api.db(), tenant, coming, most).await?;
    if waiting.saturating_add(coming_jobs) > most {
        return Err(ApiError::QueueFull);
    }
    Ok(())
}
