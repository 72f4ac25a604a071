//! Finds out what became of a call whose worker died.
//!
//! The object's name was known before the call was made, so storage is the witness: an object that
//! is there and decodes was bought, and is recorded as stored. Otherwise nobody knows, and the call
//! is ambiguous. Local storage renames whole files into place; what is found is whole.

use uuid::Uuid;

use super::Context;
use super::attempt::Attempt;
use crate::db::ledger::{self, CallState, EndedCall, OrphanedCall};
use crate::db::{DbError, persist};
use crate::domain::failure::{Failure, Usage};
use crate::domain::{ImageState, Tenant};
use crate::pipeline::publish::{self, Place};

/// Why a call could not be settled now. Without storage nobody can say what happened: better later
/// than wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettleError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error("{0}")]
    Storage(Failure),
}

/// Settles the call that a dead lease of this job left behind, under the new lease.
pub(super) async fn call_of_dead_lease(
    attempt: Attempt<'_>,
    index: i32,
    call: Uuid,
) -> Result<ImageState, SettleError> {
    let tools = &attempt.context.tools;
    let place = Place {
        tenant: &attempt.job.tenant,
        job_id: attempt.job.job_id,
        index,
        call,
    };
    let found = publish::find(&tools.decoder, &tools.storage, place)
        .await
        .map_err(SettleError::Storage)?;
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
        tracing::info!(image = index, %call, "found the picture of a call whose worker died");
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
    tracing::warn!(image = index, %call, "a call whose worker died is ambiguous");
    Ok(persist(|| ledger::ended(&tools.db, attempt.lease, call, &end)).await?)
}

/// Settles a call that no attempt will: its job has ended or is gone, or only waits.
pub(super) async fn orphan(context: &Context, call: &OrphanedCall) -> Result<(), SettleError> {
    let tools = &context.tools;
    let tenant = Tenant::from_stored(&call.tenant);
    let place = Place {
        tenant: &tenant,
        job_id: call.job_uuid,
        index: call.index,
        call: call.id,
    };
    let found = publish::find(&tools.decoder, &tools.storage, place)
        .await
        .map_err(SettleError::Storage)?
        .map(Into::into);
    if ledger::settle_orphan(&tools.db, call, found.as_ref()).await? {
        let state = if found.is_some() {
            "stored"
        } else {
            "ambiguous"
        };
        tracing::warn!(job = call.job, image = call.index, call = %call.id, state, "settled a call of a dead lease");
    }
    Ok(())
}
