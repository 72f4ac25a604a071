//! A bucket of a Supabase project, by the REST interface of its storage.

use std::time::{Duration, SystemTime};

use super::remote::Chunks;
use super::{Link, Listed, ObjectKey, StorageError};
use crate::images::SupabaseAccess;
use bytes::Bytes;
use futures_util::stream::BoxStream;

/// A bucket and how to get there.
#[derive(Clone, Debug)]
pub struct SupabaseSettings {
    pub bucket: String,
    pub access: SupabaseAccess,
}

/// An open bucket. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Supabase {}

impl Supabase {
    pub(super) fn new(settings: SupabaseSettings) -> Result<Self, StorageError> {
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
