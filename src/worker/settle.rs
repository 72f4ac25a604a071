//! Finds out what became of a call whose worker died.
//!
//! The object's name was known before the call was made, so storage is the witness: an object that
//! is there and decodes was bought, and is recorded as stored. So is the spool of this machine: what
//! lies there was bought, and is left to [`super::spool`]. Otherwise nobody knows, and the call is
//! ambiguous. Local storage renames whole files into place; what is found is whole.

use std::time::Duration;

use super::{Attempt, Context, lines, spool};
use crate::db::ledger::{self, CallState, DeadCall, EndedCall, OrphanedCall};
use crate::db::{DbError, persist};
use crate::domain::failure::{Failure, Usage};
use crate::domain::{ImageState, Tenant};
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
    index: i32,
    dead: &DeadCall,
) -> Result<ImageState, SettleError> {
    let tools = &attempt.context.tools;
    let call = dead.id;
    let place = Place {
        tenant: &dead.tenant,
        job_id: dead.job_uuid,
        index,
        call,
    };
    if spool::has(attempt.context, place).await? {
        lines::abandoned_call_settled(index, call, "spooled", ImageState::Calling);
        return Ok(ImageState::Calling);
    }
    let found = find(attempt.context, place).await?;
    if let Some(found) = found {
        let picture = found.into();
        persist(|| {
            ledger::stored(
                &tools.db,
                attempt.lease,
                call,
                &picture,
                Usage::default(),
                None,
            )
        })
        .await?;
        lines::abandoned_call_settled(index, call, ImageState::Stored.as_str(), ImageState::Stored);
        return Ok(ImageState::Stored);
    }
    let failure = Failure::retry(
        "worker_lost",
        "The worker stopped before the answer was recorded.",
    );
    let end = EndedCall {
        state: CallState::Ambiguous,
        accepted: None,
        image: None,
        failure: &failure,
        provider_request_id: None,
    };
    let image = persist(|| ledger::ended(&tools.db, attempt.lease, call, &end)).await?;
    lines::abandoned_call_settled(index, call, CallState::Ambiguous.as_str(), image);
    Ok(image)
}

/// Settles a call that no attempt will: its job has ended or is gone, or only waits; or the spool that
/// has its picture is gone.
pub(super) async fn orphan(context: &Context, call: &OrphanedCall) -> Result<(), SettleError> {
    let tools = &context.tools;
    let tenant = Tenant::from_stored(&call.tenant);
    let place = place_of(call, &tenant);
    if spool::has(context, place).await? {
        return Ok(());
    }
    let found = find(context, place).await?.map(Into::into);
    if ledger::settle_orphan(&tools.db, call, found.as_ref()).await? {
        let state = match found {
            Some(_) => ImageState::Stored.as_str(),
            None => CallState::Ambiguous.as_str(),
        };
        lines::orphan_settled(call, state);
    }
    Ok(())
}

/// What the picture of such a call is called; `tenant` is the call's.
pub(super) fn place_of<'a>(call: &OrphanedCall, tenant: &'a Tenant) -> Place<'a> {
    Place {
        tenant,
        job_id: call.job_uuid,
        index: call.index,
        call: call.id,
    }
}

async fn find(context: &Context, place: Place<'_>) -> Result<Option<Published>, SettleError> {
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
