//! One picture of the spool: into the storage, into the ledger, and then its file goes.

use crate::db::ledger::{self, Lost, OrphanedCall, StoredPicture};
use crate::domain::{JobId, Tenant};
use crate::pipeline::publish;
use crate::pipeline::spool::File;
use crate::storage::StorageError;
use crate::worker::settle::place_of;
use crate::worker::{Context, lines};

use super::SpoolError;

/// What became of one picture.
pub(super) enum Ended {
    Stored,
    /// It is looked at again in the next round.
    Left,
    NotTaken(StorageError),
}

/// Stores one picture, settles its call, removes the file.
pub(super) async fn store(context: &Context, file: &File, call: &OrphanedCall) -> Ended {
    match try_to_store(context, file, call).await {
        Ok(ended) => ended,
        Err(error) => {
            tracing::warn!(%error, call = %call.id, "could not store a photo of the spool, trying again");
            Ended::Left
        }
    }
}

async fn try_to_store(
    context: &Context,
    file: &File,
    call: &OrphanedCall,
) -> Result<Ended, SpoolError> {
    let tools = &context.tools;
    let bytes = match tools.spool.get(&file.key).await {
        Ok(bytes) => bytes,
        // Another worker that shares this spool was faster.
        Err(StorageError::NotFound) => return Ok(Ended::Left),
        Err(error) => return Err(error.into()),
    };
    let tenant = Tenant::from_stored(&call.tenant);
    let Some(place) = place_of(call, &tenant) else {
        // Another version's; it knows what to do with it.
        return Ok(Ended::Left);
    };
    let found: Option<StoredPicture> = if let Ok(published) =
        publish::measure(&tools.decoder, &tools.storage, place, bytes.clone()).await
    {
        if let Err(error) = tools.storage.put(&published.key, bytes).await {
            return Ok(Ended::NotTaken(error));
        }
        Some(published.into())
    } else {
        tracing::error!(call = %call.id, "a photo in the spool cannot be read any more");
        None
    };
    if !ledger::settle_orphan(context.db(), call, found.as_ref(), Lost::Worker).await? {
        return Ok(Ended::Left);
    }
    match &found {
        Some(picture) => lines::spooled_image_stored(call, &picture.key),
        None => lines::orphan_settled(call, "ambiguous"),
    }
    bring_forward(context, call.job).await;
    tools.spool.remove(file).await?;
    Ok(Ended::Stored)
}

/// A job that waits for nothing but its pictures may end when they are stored. If it cannot be said now,
/// the job ends a little later.
pub(in crate::worker) async fn bring_forward(context: &Context, job: JobId) {
    match ledger::bring_forward(context.db(), job).await {
        Ok(true) => context.tools.presence.bell.ring(),
        Ok(false) => {}
        Err(error) => tracing::debug!(%error, job, "could not bring a job forward"),
    }
}
