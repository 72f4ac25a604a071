//! What `STORAGE` names, and what is needed to open it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{
    Budget, Local, ObjectKey, S3, S3Settings, Storage, StorageError, Supabase, SupabaseSettings,
};

/// Longest prefix: with the longest key of ours it stays below what S3 takes.
const MAX_PREFIX: usize = 256;

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
#[error("STORAGE=\"{text}\" {wrong}")]
pub struct InvalidTarget {
    text: String,
    wrong: Wrong,
}

/// What is wrong with a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Wrong {
    #[error(
        "is not a storage; use local:DIR, s3://BUCKET/PREFIX or supabase:BUCKET, for instance local:./photos"
    )]
    Kind,
    #[error("names no bucket; write s3://BUCKET, or s3://BUCKET/PREFIX for a folder in it")]
    NoBucket,
    #[error(
        "names a bucket that cannot be: 3 to 63 letters, digits, dots, hyphens and underscores; the address of the service goes into S3_ENDPOINT"
    )]
    Bucket,
    #[error("has a prefix that cannot be: letters, digits, _ - = and dots, with slashes between")]
    Prefix,
    #[error(
        "names more than a bucket of Supabase; there is no prefix there, write supabase:BUCKET"
    )]
    NotOnlyBucket,
}

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

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

/// As it is read from a setting; copied ones often end with a line break.
impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text.trim())
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
        let text = text.trim();
        let target = match text.split_once(':') {
            Some(("local", directory)) if !directory.is_empty() => {
                Ok(Self::Local(PathBuf::from(directory)))
            }
            Some(("s3", rest)) => s3(rest),
            Some(("supabase", bucket)) if bucket.contains('/') => Err(Wrong::NotOnlyBucket),
            Some(("supabase", bucket)) if !bucket.is_empty() => Ok(Self::Supabase {
                bucket: bucket.to_owned(),
            }),
            _ => Err(Wrong::Kind),
        };
        target.map_err(|wrong| InvalidTarget {
            text: text.to_owned(),
            wrong,
        })
    }
}

/// What stands behind `s3:`.
fn s3(rest: &str) -> Result<StorageTarget, Wrong> {
    let place = rest.strip_prefix("//").ok_or(Wrong::NoBucket)?;
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = prefix.trim_end_matches('/');
    if bucket.is_empty() {
        Err(Wrong::NoBucket)
    } else if !is_bucket(bucket) {
        Err(Wrong::Bucket)
    } else if !prefix.is_empty() && (prefix.len() > MAX_PREFIX || ObjectKey::parse(prefix).is_err())
    {
        Err(Wrong::Prefix)
    } else {
        Ok(StorageTarget::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

/// Wider than the rules for new buckets: old ones of AWS have underscores and large letters.
fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

impl StorageSettings {
    /// Opens the storage without touching it; [`Storage::probe`] tells whether it works.
    pub fn open(self) -> Result<Storage, StorageError> {
        self.open_within(Budget::default())
    }

    /// The same, with another budget for a storage elsewhere.
    pub fn open_within(self, budget: Budget) -> Result<Storage, StorageError> {
        Ok(match self {
            Self::Local(directory) => Storage::Local(Local::new(directory)),
            Self::S3(settings) => Storage::S3(S3::new(settings, budget)),
            Self::Supabase(settings) => Storage::Supabase(Supabase::new(settings, budget)?),
        })
    }
}

#[cfg(test)]
mod tests;
