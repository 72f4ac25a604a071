//! Jobs over HTTP.

use super::Api;
use super::caller::Caller;
use super::error::ApiError;
use crate::db::jobs::{self, Job, JobRef};

/// The job that a path names, if it is the caller's: by uuid or number.
///
/// # Errors
/// 404 for what is not there and for what is somebody else's.
pub(super) async fn named(api: &Api, caller: &Caller, named: &str) -> Result<Job, ApiError> {
    let not_found = || ApiError::NotFound("Job");
    let reference: JobRef = named.parse().map_err(|_| not_found())?;
    let found = jobs::find(api.db(), reference).await?;
    found
        .filter(|job| caller.sees(job.job_id, &job.tenant()))
        .ok_or_else(not_found)
}
