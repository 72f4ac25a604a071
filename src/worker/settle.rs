//! Finds out what became of a call whose worker died.
//!
//! The object's name was known before the call was made, so storage is the witness: an object that
//! is there and decodes was bought, and is recorded as stored. So is the spool of this machine: what
//! lies there was bought, and is left to [`super::spool`]. Otherwise nobody knows, and the call is
//! ambiguous. Local storage renames whole files into place; what is found is whole.

use std::time::Duration;

use uuid::Uuid;

use super::{Attempt, Context, drift, lines, spool};
use crate::db::ledger::{self, CallState, DeadCall, EndedCall, Lost, OrphanedCall, StoredPicture};
use crate::db::steps::{self, Found};
use crate::db::{DbError, persist};
use crate::domain::failure::{Failure, Usage};
use crate::domain::{ImageState, JobType, Target, Tenant};
use crate::pipeline::publish::{self, Place, Published};

/// A storage that has not answered by then is away; the call is settled later.
const STORAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a call could not be settled now. Without storage nobody can say what happened: better later
/// than wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettleError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error("{0}")]
    Storage(Failure),
}

/// Settles the call that a dead lease of this job left behind, under the new lease. One whose picture
/// lies in the spool goes on as `calling`.
pub(super) async fn call_of_dead_lease(
    attempt: Attempt<'_>,
    target: Target,
    dead: &DeadCall,
) -> Result<ImageState, SettleError> {
    let tools = &attempt.context.tools;
    let call = dead.id;
    let place = Place::of(target, &dead.tenant, dead.job_uuid, call);
    if let Some(place) = place {
        if spool::has(attempt.context, place).await? {
            lines::abandoned_call_settled(target, call, "spooled", ImageState::Calling);
            return Ok(ImageState::Calling);
        }
        if let Some(found) = find(attempt.context, place).await? {
            let of_job = (attempt.lease.job(), dead.job_uuid, &dead.tenant);
            let found = match target {
                Target::Image(1) if JobType::named(&attempt.job.kind) == Some(JobType::TryOn) => {
                    drift::chosen(attempt.context, of_job, found).await?
                }
                Target::Image(_) | Target::Step(_) => found,
            };
            record(
                attempt,
                target,
                call,
                &found.into(),
                (Usage::default(), None),
            )
            .await?;
            let stored = ImageState::Stored;
            lines::abandoned_call_settled(target, call, stored.as_str(), stored);
            return Ok(stored);
        }
    }
    let failure = Failure::worker_lost();
    let end = EndedCall {
        state: CallState::Ambiguous,
        accepted: None,
        image: None,
        failure: &failure,
        provider_request_id: None,
    };
    let image = persist(|| ledger::ended(&tools.db, attempt.lease, call, &end)).await?;
    lines::abandoned_call_settled(target, call, CallState::Ambiguous.as_str(), image);
    Ok(image)
}

/// Says that the picture of a call is in the storage, where it belongs: among the images, or in its step.
pub(super) async fn record(
    attempt: Attempt<'_>,
    target: Target,
    call: Uuid,
    picture: &StoredPicture,
    (usage, request_id): (Usage, Option<&str>),
) -> Result<(), DbError> {
    let (db, lease) = (attempt.context.db(), attempt.lease);
    match target {
        Target::Image(_) => {
            persist(|| ledger::stored(db, lease, call, picture, usage, request_id)).await
        }
        Target::Step(_) => {
            let found = Found::Picture(&picture.key);
            persist(|| steps::stored(db, lease, call, found, usage, request_id)).await
        }
    }
}

/// Settles a call that no attempt will: its job has ended or is gone, or only waits; or the spool that
/// has its picture is gone.
pub(super) async fn orphan(context: &Context, call: &OrphanedCall) -> Result<(), SettleError> {
    let tools = &context.tools;
    let tenant = Tenant::from_stored(&call.tenant);
    let found = match place_of(call, &tenant) {
        Some(place) if spool::has(context, place).await? => return Ok(()),
        Some(place) => find(context, place).await?,
        None => None,
    };
    let found = match found {
        Some(first) if call.target() == Some(Target::Image(1)) => {
            let of_job = (call.job, call.job_uuid, &tenant);
            Some(drift::chosen(context, of_job, first).await?.into())
        }
        found => found.map(Into::into),
    };
    if ledger::settle_orphan(&tools.db, call, found.as_ref(), Lost::Worker).await? {
        let state = match found {
            Some(_) => ImageState::Stored.as_str(),
            None => CallState::Ambiguous.as_str(),
        };
        lines::orphan_settled(call, state);
    }
    Ok(())
}

/// What the picture of such a call is called, if it makes one; `tenant` is the call's.
pub(super) fn place_of<'a>(call: &OrphanedCall, tenant: &'a Tenant) -> Option<Place<'a>> {
    Place::of(call.target()?, tenant, call.job_uuid, call.id)
}

pub(super) async fn find(
    context: &Context,
    place: Place<'_>,
) -> Result<Option<Published>, SettleError> {
    let tools = &context.tools;
    let found = publish::find(&tools.decoder, &tools.storage, place);
    match tokio::time::timeout(STORAGE_TIMEOUT, found).await {
        Ok(found) => found.map_err(SettleError::Storage),
        Err(_) => Err(SettleError::Storage(Failure::retry(
            "storage_failed",
            "The storage does not answer.",
        ))),
    }
}
