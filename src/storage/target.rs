//! What `STORAGE` names, and what is needed to open it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Local, S3, S3Settings, Storage, StorageError, Supabase, SupabaseSettings};

/// What `STORAGE` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageTarget {
    /// `local:DIR`: a directory of this machine.
    Local(PathBuf),
    /// `s3://BUCKET/PREFIX`; the prefix may be empty.
    S3 { bucket: String, prefix: String },
    /// `supabase:BUCKET`: a bucket of the project of `SUPABASE_URL`, by its REST interface.
    Supabase { bucket: String },
}

/// A `STORAGE` that cannot be used, in one line for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "STORAGE=\"{0}\" is not a storage; use local:DIR, s3://BUCKET/PREFIX or supabase:BUCKET, for instance local:./photos"
)]
pub struct InvalidTarget(String);

/// A storage with all that is needed to open it.
#[derive(Clone, Debug)]
pub enum StorageSettings {
    Local(PathBuf),
    S3(S3Settings),
    Supabase(SupabaseSettings),
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl FromStr for StorageTarget {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().split_once(':') {
            Some(("local", directory)) if !directory.is_empty() => {
                Ok(Self::Local(PathBuf::from(directory)))
            }
            Some(("supabase", bucket)) if !bucket.is_empty() => Ok(Self::Supabase {
                bucket: bucket.to_owned(),
            }),
            _ => Err(InvalidTarget(text.to_owned())),
        }
    }
}

impl StorageSettings {
    /// Opens the storage without touching it; [`Storage::probe`] tells whether it works.
    pub fn open(self) -> Result<Storage, StorageError> {
        Ok(match self {
            Self::Local(directory) => Storage::Local(Local::new(directory)),
            Self::S3(settings) => Storage::S3(S3::new(settings)?),
            Self::Supabase(settings) => Storage::Supabase(Supabase::new(settings)?),
        })
    }
}
