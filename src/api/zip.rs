//! Zips of stored pictures: what is in them, and the URLs that open them without a header.
//!
//! What an archive looks like is in `archive`, how it leaves in `stream`; who may have it is decided in
//! `download`.

mod archive;
mod stream;

use uuid::Uuid;

use super::{Api, Moment, Scope};
use crate::db::jobs::Image;
use crate::domain::ImageState;
use crate::images::PictureFormat;
use crate::storage::ObjectKey;

pub(super) use archive::size;
pub(super) use stream::stream;

/// One picture of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// In the archive.
    pub(super) name: String,
    pub(super) key: ObjectKey,
    /// As recorded when it was stored.
    pub(super) bytes: u64,
}

impl Entry {
    /// `None` for a row that names no object or no picture of ours, which only hands can write.
    pub(super) fn of(name: &str, key: &str, mime: &str, bytes: i64) -> Option<Self> {
        let extension = PictureFormat::with_mime(mime)?.extension();
        Some(Self {
            name: format!("{name}.{extension}"),
            key: ObjectKey::parse(key).ok()?,
            bytes: u64::try_from(bytes).ok()?,
        })
    }
}

/// What the zip of a job holds: its stored images, `image-1.png` and so on.
pub(super) fn entries(images: &[Image]) -> Vec<Entry> {
    let stored = images
        .iter()
        .filter(|image| image.state == ImageState::Stored);
    let entry = |image: &Image| {
        let (key, mime) = (image.storage_key.as_ref()?, image.mime_type.as_ref()?);
        Entry::of(&format!("image-{}", image.index), key, mime, image.bytes?)
    };
    stored.filter_map(entry).collect()
}

/// Where a browser gets the zip of a job without a header.
pub(super) fn url(api: &Api, job: Uuid, now: Moment) -> String {
    let end = now.end_of(api.settings().signed_url_life);
    let token = api.signer().token(Scope::Zip, job, end);
    let base = &api.settings().public_url;
    format!("{base}/api/generations/{job}/download?token={token}")
}

/// The same for a batch.
pub(super) fn batch_url(api: &Api, batch: i64, now: Moment) -> String {
    let end = now.end_of(api.settings().signed_url_life);
    let token = api.signer().token(Scope::BatchZip, batch_uuid(batch), end);
    let base = &api.settings().public_url;
    format!("{base}/api/batches/{batch}/download?token={token}")
}

/// A batch as tokens name it.
pub(super) fn batch_uuid(batch: i64) -> Uuid {
    Uuid::from_u128(u128::from(batch.unsigned_abs()))
}
