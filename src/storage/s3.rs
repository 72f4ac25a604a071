//! A bucket of an S3-compatible storage.

use std::time::{Duration, SystemTime};

use super::remote::Chunks;
use super::{Link, Listed, ObjectKey, Secret, StorageError};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use url::Url;

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
#[derive(Clone, Debug)]
pub struct S3 {}

impl S3 {
    pub(super) fn new(settings: S3Settings) -> Result<Self, StorageError> {
        let _ = settings;
        Err(not_there())
    }

    pub(super) async fn probe(&self) -> Result<(), StorageError> {
        Err(not_there())
    }

    pub(super) async fn put(&self, _key: &ObjectKey, _bytes: Bytes) -> Result<(), StorageError> {
        Err(not_there())
    }

    pub(super) async fn len(&self, _key: &ObjectKey) -> Result<u64, StorageError> {
        Err(not_there())
    }

    /// The object's bytes from `from` on.
    pub(super) async fn stream(
        &self,
        _key: &ObjectKey,
        _from: u64,
    ) -> Result<Chunks, StorageError> {
        Err(not_there())
    }

    pub(super) async fn links(
        &self,
        _keys: &[ObjectKey],
        _begin: SystemTime,
        _end: SystemTime,
    ) -> Result<Vec<Link>, StorageError> {
        Err(not_there())
    }

    pub(super) fn shown(&self, key: &ObjectKey) -> String {
        key.to_string()
    }

    pub(super) async fn delete(&self, _keys: &[ObjectKey]) -> Result<(), StorageError> {
        Err(not_there())
    }

    pub(super) async fn delete_older(
        &self,
        _key: &ObjectKey,
        _age: Duration,
    ) -> Result<(), StorageError> {
        Err(not_there())
    }

    pub(super) fn list(&self) -> BoxStream<'static, Result<Listed, StorageError>> {
        Box::pin(futures_util::stream::once(async { Err(not_there()) }))
    }
}

fn not_there() -> StorageError {
    StorageError::Refused("not built yet".to_owned())
}
