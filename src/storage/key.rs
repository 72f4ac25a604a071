//! Names of objects. An [`ObjectKey`] is the only way to name one, and whatever it was made from,
//! it stays below the storage's root and works in every storage: no `..`, no hidden files, no
//! byte that Supabase refuses.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::{Tenant, hex};
use crate::images::PictureFormat;

/// Longest part between two slashes; file systems end at 255 bytes.
const MAX_PART: usize = 200;
/// Longest key that S3 and Supabase take.
const MAX_KEY: usize = 1024;
/// The folder of what tenants uploaded. No tenant's own folder is called so: those hold a `=3A`,
/// or are `none`.
const UPLOADS: &str = "uploads";
/// The folder of the garments that were cut out of their pictures, for the same reason.
const GARMENTS: &str = "garments";

/// The name of one object, for instance `team=3A7/{jobId}/1-{callId}.png`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

/// The name of a generated object but for its extension, which is known only after the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPrefix(String);

/// What an object is, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The picture of one paid call.
    Generated { job_id: Uuid, call_id: Uuid },
    /// A garment that one paid call cut out of its picture.
    Garment { call_id: Uuid },
    /// What a tenant uploaded, by the name that jobs give.
    Upload { tenant: Tenant, name: String },
}

/// A text that names no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the name of a stored object")]
pub struct InvalidKey;

impl ObjectPrefix {
    /// The whole name, once the format is known.
    pub fn with(&self, format: PictureFormat) -> ObjectKey {
        ObjectKey(format!("{}.{}", self.0, format.extension()))
    }
}

impl ObjectKey {
    /// Where the picture of one paid call is stored.
    pub fn generated(
        tenant: &Tenant,
        job_id: Uuid,
        index: i32,
        call_id: Uuid,
        format: PictureFormat,
    ) -> Self {
        Self::generated_prefix(tenant, job_id, index, call_id).with(format)
    }

    /// The same before the call, for whoever must find out later whether it was stored.
    pub fn generated_prefix(
        tenant: &Tenant,
        job_id: Uuid,
        index: i32,
        call_id: Uuid,
    ) -> ObjectPrefix {
        ObjectPrefix(format!("{}/{job_id}/{index}-{call_id}", folder_of(tenant)))
    }

    /// Where a garment is stored that one paid call cuts out of its picture.
    pub fn garment_prefix(tenant: &Tenant, call_id: Uuid) -> ObjectPrefix {
        ObjectPrefix(format!(
            "{GARMENTS}/{}/garment-{call_id}",
            folder_of(tenant)
        ))
    }

    /// Where a tenant's upload is stored, by the hash of its content in 64 small hex digits.
    pub fn upload(
        tenant: &Tenant,
        sha256_hex: &str,
        format: PictureFormat,
    ) -> Result<Self, InvalidKey> {
        Self::upload_named(tenant, &format!("{sha256_hex}.{}", format.extension()))
    }

    /// The same by the name that a job gives: `{sha256}.{ext}`.
    pub fn upload_named(tenant: &Tenant, name: &str) -> Result<Self, InvalidKey> {
        let (hash, extension) = name.split_once('.').ok_or(InvalidKey)?;
        let is_hash = hash.len() == 64
            && hash
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_hash && PictureFormat::with_extension(extension).is_some() {
            Ok(Self(format!("{UPLOADS}/{}/{name}", folder_of(tenant))))
        } else {
            Err(InvalidKey)
        }
    }

    /// A name that was read from a table. Anybody may have written there.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        if text.len() <= MAX_KEY && text.split('/').all(is_part) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidKey)
        }
    }

    /// Of no picture: what a storage is tried out with. Its name is hidden, so that nobody takes it for
    /// an object, and ends as a picture's, as some buckets take only those.
    pub(super) fn probe() -> Self {
        Self(format!(".safelight-{}.png", Uuid::new_v4()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is, if it is named as our objects are; else it is somebody else's.
    pub fn origin(&self) -> Option<Origin> {
        let parts: Vec<&str> = self.0.split('/').collect();
        let &[folder, middle, name] = parts.as_slice() else {
            return None;
        };
        if folder == UPLOADS {
            // Of a folder whose name was cut nobody can tell whose it is.
            let tenant = Tenant::from_key_segment(middle)?;
            let name = name.to_owned();
            return (Self::upload_named(&tenant, &name).ok()? == *self)
                .then_some(Origin::Upload { tenant, name });
        }
        let (number, rest) = name.split_once('-')?;
        let (call, extension) = rest.split_once('.')?;
        let is_a_picture = PictureFormat::with_extension(extension).is_some();
        let call_id = call.parse::<Uuid>().ok()?;
        if folder == GARMENTS {
            let as_we_write_it = format!("{GARMENTS}/{middle}/garment-{call_id}.{extension}");
            return (is_a_picture && is_folder(middle) && as_we_write_it == self.0)
                .then_some(Origin::Garment { call_id });
        }
        let job_id = middle.parse::<Uuid>().ok()?;
        let number: u32 = number.parse().ok()?;
        let as_we_write_it = format!("{folder}/{job_id}/{number}-{call_id}.{extension}");
        (is_a_picture && is_folder(folder) && as_we_write_it == self.0)
            .then_some(Origin::Generated { job_id, call_id })
    }

    /// What the object is, told by its extension: that was given by the picture's bytes.
    pub fn media_type(&self) -> &'static str {
        let extension = self.0.rsplit('.').next();
        extension
            .and_then(PictureFormat::with_extension)
            .map_or("application/octet-stream", PictureFormat::mime)
    }
}

/// Of a tenant, cut or not.
fn is_folder(folder: &str) -> bool {
    Tenant::from_key_segment(folder).is_some() || folder.contains("==")
}

/// A leading dot would be `.`, `..` or one of our own unfinished files.
fn is_part(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= MAX_PART
        && !part.starts_with('.')
        && part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'=' | b'.'))
}

/// A tenant's folder. Apps choose ids of any length: one that would be too long for a file system
/// is cut and told apart by its hash. `==` occurs in no uncut name.
fn folder_of(tenant: &Tenant) -> String {
    const KEPT: usize = 100;
    let mut segment = tenant.as_key_segment();
    if segment.len() > MAX_PART {
        segment.truncate(KEPT);
        segment.push_str("==");
        segment.push_str(&hex(&Sha256::digest(tenant.as_str())));
    }
    segment
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ObjectKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests;
