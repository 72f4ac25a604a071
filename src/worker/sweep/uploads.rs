//! Removes pictures that were uploaded over HTTP and that no job has named for a day.
//!
//! The row is marked first, so that no job can claim what is about to go; then the object goes, unless it
//! was put again a moment ago; then the row. A worker that dies in between leaves the mark, and another one
//! goes on from there.

use std::time::Duration;

use super::Context;
use crate::db::DbError;
use crate::db::uploads::{self, UNUSED_AFTER, Upload};
use crate::storage::ObjectKey;

/// Uploads that are looked at in one round.
const AT_ONCE: i64 = 50;
/// Rounds of one sweep; the next one goes on.
const ROUNDS: usize = 20;
/// An object that is younger was put again after its row was found: half of what makes one old, so that
/// clocks of storages may differ by hours.
const OLD: Duration = Duration::from_secs(UNUSED_AFTER.as_secs() / 2);

/// Round after round, until none is left or one did not shrink what there is.
pub(super) async fn remove_unused(context: &Context) -> Result<(), DbError> {
    for _ in 0..ROUNDS {
        let unused = uploads::unused(context.db(), AT_ONCE).await?;
        for upload in &unused {
            look_at(context, upload).await?;
        }
        if i64::try_from(unused.len()).is_ok_and(|found| found < AT_ONCE) {
            break;
        }
    }
    Ok(())
}

async fn look_at(context: &Context, upload: &Upload) -> Result<(), DbError> {
    let db = context.db();
    if uploads::is_named(db, upload).await? {
        return uploads::keep(db, upload).await;
    }
    if !uploads::begin_removal(db, upload).await? {
        return Ok(());
    }
    // A name that was written by hand and names no object has none to be removed.
    if let Ok(key) = ObjectKey::upload_named(&upload.tenant, &upload.name)
        && let Err(error) = context.tools.storage.delete_older(&key, OLD).await
    {
        tracing::warn!(%error, "could not remove an unused upload, trying again");
        return Ok(());
    }
    uploads::end_removal(db, upload).await
}
