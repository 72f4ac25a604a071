//! Where pictures are kept: generated ones and uploads, by [`ObjectKey`].
//!
//! An object is whole or not there: nobody finds half a picture, not even after a crash. That is
//! what lets a paid call of a dead worker be settled by looking for its object.
//!
//! Storage knows keys and bytes, nothing of jobs; whether a tenant may read an object is decided
//! where the key is made.

use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::domain::Failure;

pub mod key;
mod local;

pub use key::{InvalidKey, ObjectKey, ObjectPrefix};
pub use local::Local;

/// An open storage. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Storage {
    Local(Local),
}

/// What `STORAGE` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageTarget {
    /// `local:DIR`: a directory of this machine.
    Local(PathBuf),
}

/// A `STORAGE` that cannot be used, in one line for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    #[error(
        "STORAGE=\"{0}\": {1} storage is not built in this version; use STORAGE=local:DIR, for instance local:./photos"
    )]
    NotBuiltIn(String, &'static str),
    #[error("STORAGE=\"{0}\" is not a storage; use STORAGE=local:DIR, for instance local:./photos")]
    Unknown(String),
}

/// Why an object could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no such object.
    #[error("the object does not exist")]
    NotFound,
    /// The storage itself fails: full, read-only, gone. Worth another try.
    #[error("the storage cannot be used: {source}")]
    Unavailable { source: io::Error },
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
        };
        Self::retry("storage_failed", message)
    }
}

impl FromStr for StorageTarget {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_built_in = |name| Err(InvalidTarget::NotBuiltIn(text.to_owned(), name));
        match text.trim().split_once(':') {
            Some(("local", directory)) if !directory.is_empty() => {
                Ok(Self::Local(PathBuf::from(directory)))
            }
            Some(("s3", _)) => not_built_in("S3"),
            Some(("supabase", _)) => not_built_in("Supabase"),
            _ => Err(InvalidTarget::Unknown(text.to_owned())),
        }
    }
}

impl StorageTarget {
    /// Opens the storage without touching it; [`Storage::probe`] tells whether it works.
    pub fn open(self) -> Storage {
        match self {
            Self::Local(directory) => Storage::Local(Local::new(directory)),
        }
    }
}

impl Storage {
    /// Writes and removes something, so that a start can fail instead of the first paid picture.
    pub async fn probe(&self) -> Result<(), StorageError> {
        match self {
            Self::Local(local) => local.probe().await,
        }
    }

    /// Writes something, reads it back and removes it; nothing stays, not even a folder. Its error
    /// says more than that of a start, for somebody who wants to know.
    pub async fn examine(&self) -> Result<(), StorageError> {
        match self {
            Self::Local(local) => local.examine().await,
        }
    }

    /// Stores an object, durably once this returns. The same key again is the same object again.
    pub async fn put(
        &self,
        key: &ObjectKey,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<(), StorageError> {
        match self {
            Self::Local(local) => local.put(key, bytes).await,
        }
    }

    /// The whole object.
    pub async fn get(&self, key: &ObjectKey) -> Result<Vec<u8>, StorageError> {
        match self {
            Self::Local(local) => local.get(key).await,
        }
    }

    /// Its length in bytes; [`StorageError::NotFound`] if it does not exist.
    pub async fn len(&self, key: &ObjectKey) -> Result<u64, StorageError> {
        match self {
            Self::Local(local) => local.len(key).await,
        }
    }

    pub async fn exists(&self, key: &ObjectKey) -> Result<bool, StorageError> {
        match self.len(key).await {
            Ok(_) => Ok(true),
            Err(StorageError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads an object piece by piece. Blocks.
    pub fn open(&self, key: &ObjectKey) -> Result<impl io::Read + use<>, StorageError> {
        match self {
            Self::Local(local) => local.open(key),
        }
    }

    /// Where an object lies on this machine. A storage elsewhere has no such place, and hands its objects
    /// out by itself.
    pub fn local_path(&self, key: &ObjectKey) -> Option<PathBuf> {
        match self {
            Self::Local(local) => Some(local.path(key)),
        }
    }

    /// Removes an object that was put at least this long ago; one that is not there is removed. What was
    /// put again meanwhile stays, which lets somebody remove who looked a while before.
    pub async fn delete_older(&self, key: &ObjectKey, age: Duration) -> Result<(), StorageError> {
        match self {
            Self::Local(local) => local.delete_older(key, age).await,
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
