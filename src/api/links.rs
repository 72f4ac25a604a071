//! URLs by which the pictures of jobs are seen without a header, made when they are read and never kept in
//! a table.
//!
//! A storage of this machine has none of its own: this server signs URLs of itself, see [`files`]. Any other
//! storage signs its own, or everybody can read it. A storage that cannot be asked leaves a job without URLs
//! for the moment: whoever polls still sees how far it is.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::timeout;

use super::{Api, Moment, files};
use crate::db::jobs::Image;
use crate::domain::ImageState;
use crate::storage::{Link, ObjectKey};

/// A storage that takes longer to sign is away: nobody's poll waits for it.
const DEADLINE: Duration = Duration::from_secs(3);

/// A URL that opens one picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PictureUrl {
    pub(super) url: String,
    /// `None`: for ever.
    pub(super) expires: Option<Moment>,
}

/// The URLs of some pictures, by the keys that the table has.
#[derive(Debug, Default)]
pub(super) struct Links {
    urls: HashMap<String, PictureUrl>,
    /// The storage did not tell; ask again soon.
    pub(super) are_missing: bool,
}

/// The key of a picture that can be seen.
pub(super) fn key_of(image: &Image) -> Option<&str> {
    let key = image.storage_key.as_deref();
    key.filter(|_| image.state == ImageState::Stored)
}

impl Links {
    /// Of all stored pictures among these.
    pub(super) async fn of<'a>(
        api: &Api,
        images: impl IntoIterator<Item = &'a Image> + Send,
        now: Moment,
    ) -> Self {
        // A text of the table may name no object.
        let keys: Vec<ObjectKey> = images
            .into_iter()
            .filter_map(key_of)
            .filter_map(|key| ObjectKey::parse(key).ok())
            .collect();
        Self::to(api, keys, now).await
    }

    async fn to(api: &Api, keys: Vec<ObjectKey>, now: Moment) -> Self {
        if keys.is_empty() {
            return Self::default();
        }
        let settings = api.settings();
        let (begin, end) = now.span_of(settings.signed_url_life);
        let asked = api.storage().links(&keys, at(begin), at(end));
        let urls: Vec<PictureUrl> = match timeout(DEADLINE, asked).await {
            Ok(Ok(Some(links))) => links.into_iter().map(|link| until(link, end)).collect(),
            Ok(Ok(None)) => keys
                .iter()
                .map(|key| files::served_here(settings, api.signer(), key, now))
                .collect(),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the storage signs no URLs; jobs are shown without");
                return Self::missing();
            }
            Err(_) => {
                tracing::warn!("the storage takes too long to sign URLs; jobs are shown without");
                return Self::missing();
            }
        };
        let keys = keys.into_iter().map(|key| key.to_string());
        Self {
            urls: keys.zip(urls).collect(),
            are_missing: false,
        }
    }

    fn missing() -> Self {
        Self {
            urls: HashMap::new(),
            are_missing: true,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&PictureUrl> {
        self.urls.get(key)
    }
}

fn until(link: Link, end: Moment) -> PictureUrl {
    match link {
        Link::Public(url) => PictureUrl { url, expires: None },
        Link::Signed(url) => PictureUrl {
            url,
            expires: Some(end),
        },
    }
}

fn at(moment: Moment) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(moment.0)
}
