use super::Api;
use super::signing::{Moment, Scope};
use crate::db::jobs::Image;
use crate::storage::ObjectKey;
use uuid::Uuid;
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) key: ObjectKey,
    pub(super) bytes: u64,
}
pub(super) fn entries(images: &[Image]) -> Vec<Entry> {
    images
        .iter()
        .filter_map(|image| {
            Some(Entry {
                name: format!("image-{}.png", image.index),
                key: ObjectKey::parse(image.storage_key.as_deref()?).ok()?,
                bytes: 1,
            })
        })
        .collect()
}
pub(super) fn size(entries: &[Entry]) -> u64 {
    entries
        .iter()
        .map(|entry| entry.bytes + entry.name.len() as u64 + entry.key.as_str().len() as u64)
        .sum()
}
pub(super) fn url(api: &Api, job: Uuid, now: Moment) -> String {
    format!(
        "{}/api/generations/{job}/download?token={}",
        api.settings().public_url,
        api.signer()
            .token(Scope::Zip, job, now.end_of(api.settings().signed_url_life))
    )
}
pub(super) fn batch_url(api: &Api, batch: i64, _: Moment) -> String {
    format!("{}/api/batches/{batch}/download", api.settings().public_url)
}
