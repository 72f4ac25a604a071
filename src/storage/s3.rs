//! A bucket of an S3-compatible storage: Cloudflare R2, Supabase Storage's S3 endpoint, `MinIO`, AWS.
//!
//! What these understand in common is less than what AWS does: buckets are named in the path; no
//! checksums that nobody asked for, no `Content-MD5` (so objects are removed one by one), no
//! conditional writes. The prefix is known here only; the rest of the program knows keys.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use url::Url;

use self::error::{Complaint, complaint};
use super::budget::Budget;
use super::remote::{IMMUTABLE, Opened, is_older};
use super::{Link, ObjectKey, Secret, StorageError};

mod client;
mod error;
mod list;
mod multipart;

/// Above this many bytes an object is sent in parts, so that a break costs a part and not the whole.
/// Most pictures are smaller, and one request is the fastest.
const MULTIPART_ABOVE: usize = 16 * 1024 * 1024;
/// Objects that are removed at a time.
const DELETES_AT_ONCE: usize = 8;
/// What a signature of this kind can live.
const LONGEST_LINK: Duration = Duration::from_hours(7 * 24);

/// A bucket and how to get there.
#[derive(Clone, Debug)]
pub struct S3Settings {
    pub bucket: String,
    /// Put before each key, with a slash between; empty for none.
    pub prefix: String,
    /// `None`: AWS.
    pub endpoint: Option<Url>,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: Secret,
    /// Where everybody can read the bucket.
    pub public_url: Option<Url>,
}

/// An open bucket. Cheap to clone.
#[derive(Clone)]
pub struct S3(Arc<Inner>);

struct Inner {
    client: Client,
    bucket: String,
    /// Empty, or with a slash at its end.
    prefix: String,
    /// Without a slash at its end.
    public_url: Option<String>,
    budget: Budget,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3(s3://{}/{})", self.0.bucket, self.0.prefix)
    }
}

impl S3 {
    pub(super) fn new(settings: S3Settings, budget: Budget) -> Self {
        let client = client::client(&settings, &budget);
        let prefix = match settings.prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let public_url = settings.public_url.as_ref().map(Url::as_str);
        Self(Arc::new(Inner {
            client,
            bucket: settings.bucket,
            prefix,
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
            budget,
        }))
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.0.budget
    }

    pub(super) async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StorageError> {
        if bytes.len() > MULTIPART_ABOVE {
            return multipart::put(self, key, &bytes).await;
        }
        self.client()
            .put_object()
            .bucket(self.bucket())
            .key(self.name(key))
            .content_type(key.media_type())
            .cache_control(IMMUTABLE)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(|error| self.unwritten(&error))?;
        Ok(())
    }

    pub(super) async fn len(&self, key: &ObjectKey) -> Result<u64, StorageError> {
        Ok(self.head(key).await?.bytes)
    }

    /// The object's bytes from `from` on.
    pub(super) async fn stream(&self, key: &ObjectKey, from: u64) -> Result<Opened, StorageError> {
        let range = (from > 0).then(|| format!("bytes={from}-"));
        let request = self.client().get_object().bucket(self.bucket());
        let request = request.key(self.name(key)).set_range(range);
        match request.send().await {
            Ok(found) => {
                let length = found
                    .content_length
                    .and_then(|length| length.try_into().ok());
                Opened::new(
                    from,
                    found.content_range.as_deref(),
                    length,
                    client::chunks(found.body),
                )
            }
            Err(error) => Err(self.unread(complaint(&error)).await),
        }
    }

    pub(super) async fn links(
        &self,
        keys: &[ObjectKey],
        begin: SystemTime,
        end: SystemTime,
    ) -> Result<Vec<Link>, StorageError> {
        if let Some(url) = &self.0.public_url {
            let public = |key| Link::Public(format!("{url}/{}", self.name(key)));
            return Ok(keys.iter().map(public).collect());
        }
        let signing = signing(begin, end)?;
        let mut links = Vec::with_capacity(keys.len());
        for key in keys {
            let request = self.client().get_object().bucket(self.bucket());
            let request = request.key(self.name(key)).presigned(signing.clone());
            let signed = request.await.map_err(|error| self.unwritten(&error))?;
            links.push(Link::Signed(signed.uri().to_owned()));
        }
        Ok(links)
    }

    pub(super) fn shown(&self, key: &ObjectKey) -> String {
        match &self.0.public_url {
            Some(url) => format!("{url}/{}", self.name(key)),
            None => self.name(key),
        }
    }

    pub(super) async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StorageError> {
        stream::iter(keys.iter().cloned())
            .map(|key| {
                let s3 = self.clone();
                async move { s3.delete_one(&key).await }
            })
            .buffer_unordered(DELETES_AT_ONCE)
            .try_collect()
            .await
    }

    /// What is put again between the look and the removal is removed: a bucket knows no condition for that.
    pub(super) async fn delete_older(
        &self,
        key: &ObjectKey,
        age: Duration,
    ) -> Result<(), StorageError> {
        match self.head(key).await {
            Ok(found) if is_older(found.modified, age) => self.delete_one(key).await,
            Ok(_) | Err(StorageError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn head(&self, key: &ObjectKey) -> Result<Head, StorageError> {
        let request = self.client().head_object().bucket(self.bucket());
        match request.key(self.name(key)).send().await {
            Ok(head) => Ok(Head {
                bytes: head
                    .content_length
                    .and_then(|bytes| bytes.try_into().ok())
                    .ok_or_else(|| error::unreadable("an object without a length"))?,
                modified: head.last_modified.and_then(|at| at.try_into().ok()),
            }),
            Err(error) => Err(self.unread(complaint(&error)).await),
        }
    }

    async fn delete_one(&self, key: &ObjectKey) -> Result<(), StorageError> {
        let request = self.client().delete_object().bucket(self.bucket());
        match request.key(self.name(key)).send().await {
            Ok(_) => Ok(()),
            Err(error) => match complaint(&error) {
                Complaint::NoObject => Ok(()),
                complaint => Err(complaint.told(self.bucket())),
            },
        }
    }

    /// What a refused read means. That nothing was found is true only of a bucket that is there: a HEAD
    /// says 404 for either, and who takes a lost bucket for a lost picture buys it again.
    async fn unread(&self, complaint: Complaint) -> StorageError {
        if !matches!(complaint, Complaint::NoObject) {
            return complaint.told(self.bucket());
        }
        let bucket = self.client().head_bucket().bucket(self.bucket());
        match bucket.send().await.as_ref().map_err(error::complaint) {
            // Who may not ask, or asks one who does not know the question, has the first answer.
            Ok(_) | Err(Complaint::Denied | Complaint::Other(_)) => StorageError::NotFound,
            Err(Complaint::NoObject) => Complaint::NoBucket.told(self.bucket()),
            Err(complaint) => complaint.told(self.bucket()),
        }
    }

    fn unwritten<E: aws_sdk_s3::error::ProvideErrorMetadata + std::error::Error + 'static>(
        &self,
        error: &error::Refusal<E>,
    ) -> StorageError {
        match complaint(error) {
            // Nobody asked for an object.
            Complaint::NoObject => Complaint::NoBucket.told(self.bucket()),
            complaint => complaint.told(self.bucket()),
        }
    }

    fn client(&self) -> &Client {
        &self.0.client
    }

    fn bucket(&self) -> &str {
        &self.0.bucket
    }

    /// The object's name in the bucket.
    fn name(&self, key: &ObjectKey) -> String {
        format!("{}{key}", self.0.prefix)
    }
}

/// What is known of an object without its bytes.
struct Head {
    bytes: u64,
    modified: Option<SystemTime>,
}

/// Signatures count whole seconds.
fn signing(begin: SystemTime, end: SystemTime) -> Result<PresigningConfig, StorageError> {
    let since_1970 = |moment: SystemTime| moment.duration_since(SystemTime::UNIX_EPOCH);
    let begin = Duration::from_secs(since_1970(begin).unwrap_or_default().as_secs());
    let life = since_1970(end).unwrap_or_default().saturating_sub(begin);
    let life = Duration::from_secs(life.as_secs() + u64::from(life.subsec_nanos() > 0));
    let too_long = || {
        StorageError::Refused(format!(
            "a URL signed by S3 lives at most {} days; set a smaller SIGNED_URL_SECONDS",
            LONGEST_LINK.as_secs() / 86_400
        ))
    };
    PresigningConfig::builder()
        .start_time(SystemTime::UNIX_EPOCH + begin)
        .expires_in(life)
        .build()
        .map_err(|_| too_long())
}

#[cfg(test)]
mod tests;
