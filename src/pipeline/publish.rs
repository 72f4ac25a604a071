//! From the bytes that a provider sent to a whole object in storage, or in the spool until it is back.
//!
//! A picture is decoded before it counts: truncated ones exist, and declared types lie. The name of
//! the object is known before the call but for its extension, so that [`find`] can tell later
//! whether a call that nobody saw the end of was stored.

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::Spool;
use crate::domain::{Failure, Step, Target, Tenant, hex};
use crate::images::{DecodeError, Decoder, PictureFormat};
use crate::storage::{ObjectKey, ObjectPrefix, Storage, StorageError};

/// Waits between tries to store a picture that is paid for and that the spool does not take either.
/// Longer outages of both end the attempt.
const STORE_AGAIN: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Which call's picture it is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    tenant: &'a Tenant,
    pub call: Uuid,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Image { job_id: Uuid, index: i32 },
    Garment,
}

impl<'a> Place<'a> {
    /// `None`: such a call makes no picture.
    pub fn of(target: Target, tenant: &'a Tenant, job_id: Uuid, call: Uuid) -> Option<Self> {
        let kind = match target {
            Target::Image(index) => Kind::Image { job_id, index },
            Target::Step(Step::Garment(_)) => Kind::Garment,
            // It may come to be the image.
            Target::Step(Step::Redraw) => Kind::Image { job_id, index: 1 },
            Target::Step(Step::Face | Step::Check | Step::Recheck) => return None,
        };
        Some(Self { tenant, call, kind })
    }

    /// What its object will be called but for the extension.
    pub fn prefix(self) -> ObjectPrefix {
        match self.kind {
            Kind::Image { job_id, index } => {
                ObjectKey::generated_prefix(self.tenant, job_id, index, self.call)
            }
            Kind::Garment => ObjectKey::garment_prefix(self.tenant, self.call),
        }
    }
}

/// A picture as it lies in storage, measured from its bytes.
#[derive(Clone, Debug)]
pub struct Published {
    pub key: ObjectKey,
    /// That made it.
    pub call: Uuid,
    /// What apps are shown of it, if that is not the key.
    pub url: Option<String>,
    pub format: PictureFormat,
    pub bytes: usize,
    pub width: u32,
    pub height: u32,
    /// Lower-case hex.
    pub sha256: String,
}

/// Where a picture is.
#[derive(Clone, Debug)]
pub enum Publication {
    Stored(Published),
    /// In the spool of this name: the storage does not take it now.
    Kept(Published, Uuid),
}

/// Why an answer did not become an object. Either way it was paid for.
#[derive(Debug)]
pub enum PublishError {
    /// The bytes are no picture.
    Unreadable(Failure),
    /// Neither the storage nor the spool took it.
    NotStored(Failure),
}

/// Checks and names a picture, and stores it, or keeps it until it can be stored. A storage that is away
/// is not asked again for each picture.
pub async fn publish(
    decoder: &Decoder,
    storage: &Storage,
    spool: &Spool,
    place: Place<'_>,
    bytes: Bytes,
) -> Result<Publication, PublishError> {
    let published = measure(decoder, storage, place, bytes.clone())
        .await
        .map_err(|_| PublishError::Unreadable(unreadable()))?;
    let mut waits = STORE_AGAIN.into_iter();
    let mut ask_storage = !spool.storage_is_away();
    loop {
        if ask_storage {
            match storage.put(&published.key, bytes.clone()).await {
                Ok(()) => {
                    spool.storage_works();
                    return Ok(Publication::Stored(published));
                }
                Err(error) => spool.storage_failed(&error),
            }
        }
        let error = match spool.keep(&published.key, bytes.clone()).await {
            Ok(id) => return Ok(Publication::Kept(published, id)),
            Err(error) => error,
        };
        tracing::warn!(%error, key = %published.key, "neither the storage nor the spool takes a picture");
        match waits.next() {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(PublishError::NotStored(error.into())),
        }
        ask_storage = true;
    }
}

/// The picture of a call whose worker died, if it was stored. An object that does not decode is
/// none.
pub async fn find(
    decoder: &Decoder,
    storage: &Storage,
    place: Place<'_>,
) -> Result<Option<Published>, Failure> {
    let Some(key) = storage.find(&place.prefix()).await? else {
        return Ok(None);
    };
    let bytes: Bytes = match storage.get(&key).await {
        Ok(bytes) => bytes.into(),
        Err(StorageError::NotFound) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(measure(decoder, storage, place, bytes).await.ok())
}

/// What a picture is, and what its object will be called.
pub async fn measure(
    decoder: &Decoder,
    storage: &Storage,
    place: Place<'_>,
    bytes: Bytes,
) -> Result<Published, DecodeError> {
    let picture = decoder.inspect(bytes.clone()).await?;
    let key = place.prefix().with(picture.format);
    let shown = storage.shown(&key);
    Ok(Published {
        url: (shown != key.as_str()).then_some(shown),
        key,
        call: place.call,
        format: picture.format,
        bytes: bytes.len(),
        width: picture.width,
        height: picture.height,
        sha256: hex(&Sha256::digest(&bytes)),
    })
}

fn unreadable() -> Failure {
    Failure::retry(
        "unreadable_picture",
        "The provider's answer held a picture that cannot be read.",
    )
}
