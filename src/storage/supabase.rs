//! A bucket of a Supabase project, by the REST interface of its storage: an app that has the project has
//! the key for it, and needs no other.
//!
//! Its servers answer most errors with the status 400 and say in JSON what was meant (`error`). What they
//! sign differs each time they are asked, so that is kept (`links`). Nothing is done here that the
//! dashboard's buckets do not all bear: no resumable uploads, no transformations.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chrono::DateTime;
use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, LAST_MODIFIED, RANGE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use self::error::Complaint;
use self::links::Known;
use super::budget::Budget;
use super::remote::{IMMUTABLE, Opened, broken, is_older};
use super::{Link, ObjectKey, StorageError};
use crate::images::SupabaseAccess;

mod error;
mod links;
mod list;
mod send;

/// Keys in one request that signs or removes: what nobody has to wait for long.
const KEYS_AT_ONCE: usize = 100;
/// A bucket and how to get there.
#[derive(Clone, Debug)]
pub struct SupabaseSettings {
    pub bucket: String,
    pub access: SupabaseAccess,
}

/// An open bucket. Cheap to clone.
#[derive(Clone)]
pub struct Supabase(Arc<Inner>);

struct Inner {
    /// Shows the key with every request.
    client: Client,
    /// Only its scheme, host and port count.
    project: Url,
    bucket: String,
    budget: Budget,
    known: Mutex<Known>,
}

impl fmt::Debug for Supabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Supabase({})", self.0.bucket)
    }
}

impl Supabase {
    pub(super) fn new(settings: SupabaseSettings, budget: Budget) -> Result<Self, StorageError> {
        let SupabaseSettings { bucket, access } = settings;
        let client = access.client(budget.connect).map_err(|_| {
            StorageError::Refused(
                "no client can be made with the key in SUPABASE_SERVICE_ROLE_KEY; copy it again from the dashboard"
                    .to_owned(),
            )
        })?;
        Ok(Self(Arc::new(Inner {
            client,
            project: access.url,
            bucket,
            budget,
            known: Mutex::default(),
        })))
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.0.budget
    }

    pub(super) async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StorageError> {
        let request = self
            .request(Method::POST, &["object"], Some(key))
            .header("x-upsert", "true")
            .header(CONTENT_TYPE, key.media_type())
            .header(CACHE_CONTROL, IMMUTABLE)
            .body(bytes);
        self.read(&request).await.map_err(|it| self.unwritten(it))?;
        Ok(())
    }

    pub(super) async fn len(&self, key: &ObjectKey) -> Result<u64, StorageError> {
        Ok(self.head(key).await?.bytes)
    }

    /// The object's bytes from `from` on.
    pub(super) async fn stream(&self, key: &ObjectKey, from: u64) -> Result<Opened, StorageError> {
        let request = self.request(Method::GET, &["object", "authenticated"], Some(key));
        let request = match from {
            0 => request,
            from => request.header(RANGE, format!("bytes={from}-")),
        };
        match self.send(&request).await {
            Ok(answer) => {
                let range = text(&answer, &CONTENT_RANGE);
                let length = answer.content_length();
                let chunks = answer.bytes_stream();
                let chunks = chunks.map_err(|error| broken(&error.without_url()));
                Opened::new(from, range.as_deref(), length, chunks.boxed())
            }
            Err(complaint) => Err(self.unread(complaint).await),
        }
    }

    /// URLs for the objects, each asked for once for the same end: the next poll gets the same.
    pub(super) async fn links(
        &self,
        keys: &[ObjectKey],
        _begin: SystemTime,
        end: SystemTime,
    ) -> Result<Vec<Link>, StorageError> {
        let mut urls = self.known().of(keys, end);
        let unknown: BTreeSet<_> = keys.iter().filter(|key| !urls.contains_key(*key)).collect();
        let unknown: Vec<_> = unknown.into_iter().collect();
        for keys in unknown.chunks(KEYS_AT_ONCE) {
            let signed = self.sign(keys, end).await?;
            urls.extend(self.known().learn(end, signed));
        }
        // The storage signs nothing for an object that is gone. As with every other storage, its URL is
        // one that finds nothing.
        let nothing = |key| self.url(&["object", "sign"], Some(key)).into();
        let link = |key| urls.get(key).cloned().unwrap_or_else(|| nothing(key));
        Ok(keys.iter().map(|key| Link::Signed(link(key))).collect())
    }

    pub(super) async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StorageError> {
        for keys in keys.chunks(KEYS_AT_ONCE) {
            let names: Vec<_> = keys.iter().map(ObjectKey::as_str).collect();
            let request = self
                .request(Method::DELETE, &["object"], None)
                .json(&json!({ "prefixes": names }));
            match self.read(&request).await {
                Ok(_) | Err(Complaint::NoObject) => {}
                Err(complaint) => return Err(self.unwritten(complaint)),
            }
        }
        Ok(())
    }

    /// What is put again between the look and the removal is removed: there is no condition for that.
    pub(super) async fn delete_older(
        &self,
        key: &ObjectKey,
        age: Duration,
    ) -> Result<(), StorageError> {
        match self.head(key).await {
            Ok(found) if is_older(found.modified, age) => {
                self.delete(std::slice::from_ref(key)).await
            }
            Ok(_) | Err(StorageError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn sign(
        &self,
        keys: &[&ObjectKey],
        end: SystemTime,
    ) -> Result<Vec<(ObjectKey, String)>, StorageError> {
        let names: Vec<_> = keys.iter().map(|key| key.as_str()).collect();
        let request = self
            .request(Method::POST, &["object", "sign"], None)
            .json(&json!({ "expiresIn": seconds_until(end), "paths": names }));
        let answer = self.read(&request).await;
        let signed: Vec<SignedPath> = answer
            .and_then(|body| error::json(&body))
            .map_err(|complaint| self.unwritten(complaint))?;
        let whole = signed.into_iter().filter_map(|signed| {
            let key = ObjectKey::parse(&signed.path?).ok()?;
            let url = format!("/storage/v1/{}", signed.signed_url?.trim_start_matches('/'));
            Some((key, self.0.project.join(&url).ok()?.into()))
        });
        Ok(whole.collect())
    }

    /// By asking for its first byte: that is answered with the length and, unlike HEAD, with the reason
    /// where there is none. No picture is empty.
    async fn head(&self, key: &ObjectKey) -> Result<Head, StorageError> {
        let request = self
            .request(Method::GET, &["object", "authenticated"], Some(key))
            .header(RANGE, "bytes=0-0");
        let answer = match self.send(&request).await {
            Ok(answer) => answer,
            Err(complaint) => return Err(self.unread(complaint).await),
        };
        let modified = text(&answer, &LAST_MODIFIED);
        let modified = modified.and_then(|at| DateTime::parse_from_rfc2822(&at).ok());
        let bytes = match answer.status() {
            StatusCode::PARTIAL_CONTENT => text(&answer, &CONTENT_RANGE)
                .and_then(|range| range.rsplit_once('/')?.1.parse().ok()),
            _ => answer.content_length(),
        };
        Ok(Head {
            bytes: bytes.ok_or_else(|| error::unreadable().told(&self.0.bucket))?,
            modified: modified.map(SystemTime::from),
        })
    }

    /// What a refused read means. That nothing was found is true only of a bucket that is there; older
    /// servers say the same of both.
    async fn unread(&self, complaint: Complaint) -> StorageError {
        if !matches!(complaint, Complaint::NoObject) {
            return complaint.told(&self.0.bucket);
        }
        let request = self.request(Method::GET, &["bucket"], None);
        match self.read(&request).await {
            Ok(_) => StorageError::NotFound,
            Err(complaint) => self.unwritten(complaint),
        }
    }

    fn unwritten(&self, complaint: Complaint) -> StorageError {
        match complaint {
            // Nobody asked for an object.
            Complaint::NoObject => Complaint::NoBucket.told(&self.0.bucket),
            complaint => complaint.told(&self.0.bucket),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        // What is in there is whole even if somebody panicked.
        self.0
            .known
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn request(&self, method: Method, verb: &[&str], key: Option<&ObjectKey>) -> RequestBuilder {
        self.0.client.request(method, self.url(verb, key))
    }

    /// `/storage/v1/{verb}/{bucket}`, and an object's key behind that.
    fn url(&self, verb: &[&str], key: Option<&ObjectKey>) -> Url {
        let mut url = self.0.project.clone();
        url.set_query(None);
        url.set_fragment(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(["storage", "v1"]).extend(verb);
            path.push(&self.0.bucket);
            path.extend(key.iter().flat_map(|key| key.as_str().split('/')));
        }
        url
    }
}

#[derive(Deserialize)]
struct SignedPath {
    path: Option<String>,
    /// Below `/storage/v1`; `None` if there is no such object.
    #[serde(rename = "signedURL")]
    signed_url: Option<String>,
}

/// What is known of an object without its bytes.
struct Head {
    bytes: u64,
    modified: Option<SystemTime>,
}

/// Rounded up, and never none: the storage signs for whole seconds.
fn seconds_until(end: SystemTime) -> u64 {
    let left = end.duration_since(SystemTime::now()).unwrap_or_default();
    (left.as_secs() + u64::from(left.subsec_nanos() > 0)).max(1)
}

fn text(answer: &Response, name: &reqwest::header::HeaderName) -> Option<String> {
    let value = answer.headers().get(name)?;
    value.to_str().ok().map(str::to_owned)
}
