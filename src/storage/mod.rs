//! Where pictures are kept: generated ones and uploads, by [`ObjectKey`].
//!
//! An object is whole or not there: nobody finds half a picture, not even after a crash. That is
//! what lets a paid call of a dead worker be settled by looking for its object.
//!
//! Storage knows keys and bytes, nothing of jobs; whether a tenant may read an object is decided
//! where the key is made.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::domain::Failure;

mod budget;
pub mod key;
mod local;
mod remote;
mod s3;
mod supabase;
mod target;

pub use budget::Budget;
pub use key::{InvalidKey, ObjectKey, ObjectPrefix, Origin};
pub use local::Local;
pub use s3::{S3, S3Settings};
pub use supabase::{Supabase, SupabaseSettings};
pub use target::{InvalidTarget, Secret, StorageSettings, StorageTarget};

use remote::{Elsewhere, Reader};

/// An open storage. Cheap to clone.
///
/// What goes elsewhere is boxed: the clients' futures are large, and every job would carry them.
#[derive(Clone, Debug)]
pub enum Storage {
    Local(Local),
    S3(S3),
    Supabase(Supabase),
}

/// Why an object could not be written or read. None of them says a key or a signature.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no such object.
    #[error("the object does not exist")]
    NotFound,
    /// The storage itself fails: full, away, slow, overloaded. Worth another try.
    #[error("the storage cannot be used: {source}")]
    Unavailable { source: io::Error },
    /// The storage answers and does not let us: no such bucket, a wrong key. Somebody has to mend it;
    /// worth another try then.
    #[error("the storage refuses: {0}")]
    Refused(String),
    /// Found at start, and told to the operator only.
    #[error(
        "the directory {} of STORAGE cannot be written: {source}; create it, or allow this user to write there",
        directory.display()
    )]
    Unusable {
        directory: PathBuf,
        source: io::Error,
    },
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        let message = match error {
            StorageError::NotFound => "The picture is no longer in the storage.".to_owned(),
            // The kind of an IO error is words only; its text may hold a path.
            StorageError::Unavailable { source } | StorageError::Unusable { source, .. } => {
                format!("The storage could not be used: {}.", source.kind())
            }
            StorageError::Refused(_) => "The storage does not let us in.".to_owned(),
        };
        Self::retry("storage_failed", message)
    }
}

/// A URL by which anybody sees an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Of a storage that everybody can read; it does not expire.
    Public(String),
    /// Signed by the storage, until the end that was asked for.
    Signed(String),
}

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Perhaps of no object of ours: parse it.
    pub name: String,
    pub bytes: u64,
    pub modified: SystemTime,
}

impl Storage {
    /// Writes and removes something, so that a start can fail instead of the first paid picture.
    pub async fn probe(&self) -> Result<(), StorageError> {
        match self {
            Self::Local(local) => local.probe().await,
            Self::S3(s3) => Box::pin(Elsewhere::from(s3).probe()).await,
            Self::Supabase(supabase) => Box::pin(Elsewhere::from(supabase).probe()).await,
        }
    }

    /// Writes something, reads it back and removes it; nothing stays, not even a folder. Its error
    /// says more than that of a start, for somebody who wants to know.
    pub async fn examine(&self) -> Result<(), StorageError> {
        match self {
            Self::Local(local) => local.examine().await,
            Self::S3(s3) => Box::pin(Elsewhere::from(s3).examine()).await,
            Self::Supabase(supabase) => Box::pin(Elsewhere::from(supabase).examine()).await,
        }
    }

    /// Stores an object, durably once this returns. The same key again is the same object again.
    pub async fn put(&self, key: &ObjectKey, bytes: impl Into<Bytes>) -> Result<(), StorageError> {
        match self {
            Self::Local(local) => local.put(key, bytes.into()).await,
            Self::S3(s3) => Box::pin(s3.put(key, bytes.into())).await,
            Self::Supabase(supabase) => Box::pin(supabase.put(key, bytes.into())).await,
        }
    }

    /// The whole object.
    pub async fn get(&self, key: &ObjectKey) -> Result<Vec<u8>, StorageError> {
        match self {
            Self::Local(local) => local.get(key).await,
            Self::S3(s3) => Box::pin(Elsewhere::from(s3).get(key)).await,
            Self::Supabase(supabase) => Box::pin(Elsewhere::from(supabase).get(key)).await,
        }
    }

    /// Its length in bytes; [`StorageError::NotFound`] if it does not exist.
    pub async fn len(&self, key: &ObjectKey) -> Result<u64, StorageError> {
        match self {
            Self::Local(local) => local.len(key).await,
            Self::S3(s3) => Box::pin(s3.len(key)).await,
            Self::Supabase(supabase) => Box::pin(supabase.len(key)).await,
        }
    }

    pub async fn exists(&self, key: &ObjectKey) -> Result<bool, StorageError> {
        match self.len(key).await {
            Ok(_) => Ok(true),
            Err(StorageError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads an object piece by piece, in constant memory. Blocks: only for a thread that may, within
    /// the runtime.
    pub fn open(&self, key: &ObjectKey) -> Result<impl io::Read + use<>, StorageError> {
        let elsewhere = match self {
            Self::Local(local) => return local.open(key).map(Reader::File),
            Self::S3(s3) => Elsewhere::from(s3),
            Self::Supabase(supabase) => Elsewhere::from(supabase),
        };
        Ok(Reader::Remote(Box::new(elsewhere.open(key)?)))
    }

    /// Where an object lies on this machine. A storage elsewhere has no such place, and hands its objects
    /// out by itself.
    pub fn local_path(&self, key: &ObjectKey) -> Option<PathBuf> {
        match self {
            Self::Local(local) => Some(local.path(key)),
            Self::S3(_) | Self::Supabase(_) => None,
        }
    }

    /// URLs of objects, one each, in their order; they open them from `begin` to `end` at least. The same
    /// moments give the same URLs. `None`: the storage hands out nothing by itself.
    pub async fn links(
        &self,
        keys: &[ObjectKey],
        begin: SystemTime,
        end: SystemTime,
    ) -> Result<Option<Vec<Link>>, StorageError> {
        match self {
            Self::Local(_) => Ok(None),
            Self::S3(s3) => Box::pin(s3.links(keys, begin, end)).await.map(Some),
            Self::Supabase(supabase) => Box::pin(supabase.links(keys, begin, end)).await.map(Some),
        }
    }

    /// What apps are shown of an object: its public URL if there is one, else its key in the bucket, as
    /// `createSignedUrl` takes it.
    pub fn shown(&self, key: &ObjectKey) -> String {
        match self {
            Self::Local(_) | Self::Supabase(_) => key.to_string(),
            Self::S3(s3) => s3.shown(key),
        }
    }

    /// Removes objects; those that are not there are removed.
    pub async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StorageError> {
        match self {
            Self::Local(local) => local.delete(keys).await,
            Self::S3(s3) => Box::pin(s3.delete(keys)).await,
            Self::Supabase(supabase) => Box::pin(supabase.delete(keys)).await,
        }
    }

    /// Removes an object that was put at least this long ago; one that is not there is removed. What was
    /// put again meanwhile stays, which lets somebody remove who looked a while before.
    pub async fn delete_older(&self, key: &ObjectKey, age: Duration) -> Result<(), StorageError> {
        match self {
            Self::Local(local) => local.delete_older(key, age).await,
            Self::S3(s3) => Box::pin(s3.delete_older(key, age)).await,
            Self::Supabase(supabase) => Box::pin(supabase.delete_older(key, age)).await,
        }
    }

    /// All objects there are, in no particular order, page by page.
    pub fn list(&self) -> BoxStream<'static, Result<Listed, StorageError>> {
        match self {
            Self::Local(local) => local.list(),
            Self::S3(s3) => s3.list(),
            Self::Supabase(supabase) => supabase.list(),
        }
    }

    /// What a call that nobody saw the end of has stored, if anything.
    pub async fn find(&self, prefix: &ObjectPrefix) -> Result<Option<ObjectKey>, StorageError> {
        for format in crate::images::PictureFormat::ALL {
            let key = prefix.with(format);
            if self.exists(&key).await? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
