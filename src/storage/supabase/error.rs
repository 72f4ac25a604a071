//! What Supabase Storage complains about, and what that means to us. The only place that decides it.
//!
//! The true status and the reason stand in the body, in words that changed over the years: `code` is the
//! newest, `error` and `message` are older.

use std::io;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::storage::StorageError;

/// Longest code of an error that is repeated.
const LONGEST_CODE: usize = 48;

/// What was wrong.
#[derive(Debug)]
pub(super) enum Complaint {
    NoObject,
    NoBucket,
    /// The key is none, or of no rights.
    Denied,
    TooLarge,
    /// The bucket takes other types of files only.
    WrongType,
    /// Whoever answered is no storage.
    NoStorage(u16),
    /// No request could be made of the settings.
    Unsendable,
    /// An answer we have no word for.
    Other(String),
    /// It has trouble of its own, or cannot be reached.
    Away(io::Error),
}

/// The body of an error.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    /// A number, as one or as text.
    #[serde(rename = "statusCode")]
    status_code: Value,
    code: Option<String>,
    error: Option<String>,
    message: Option<String>,
}

impl Body {
    fn status(&self) -> Option<u16> {
        match &self.status_code {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_u64()?.try_into().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    fn says(&self, words: &[&str]) -> bool {
        [&self.code, &self.error, &self.message]
            .into_iter()
            .flatten()
            .any(|text| words.iter().any(|word| text.eq_ignore_ascii_case(word)))
    }

    /// Words that stand in a sentence of an older server.
    fn mentions(&self, word: &str) -> bool {
        [&self.error, &self.message]
            .into_iter()
            .flatten()
            .any(|text| text.to_ascii_lowercase().contains(word))
    }
}

/// What an answer means that is no success.
pub(super) fn complaint(http: u16, body: &[u8]) -> Complaint {
    let body: Body = serde_json::from_slice(body).unwrap_or_default();
    let meant = body.status();
    let status = meant.unwrap_or(http);
    if body.says(&["NoSuchBucket", "Bucket not found"]) {
        return Complaint::NoBucket;
    }
    if body.says(&["NoSuchKey", "not_found", "Object not found"]) {
        return Complaint::NoObject;
    }
    if http >= 500 || status >= 500 || [http, status].contains(&429) || body.says(&["SlowDown"]) {
        return Complaint::Away(io::Error::other(answered(&body, status)));
    }
    if body.says(&["EntityTooLarge", "Payload too large"]) {
        return Complaint::TooLarge;
    }
    if body.says(&["InvalidMimeType", "invalid_mime_type"]) {
        return Complaint::WrongType;
    }
    let is_of_key = body.says(&[
        "InvalidJWT",
        "AccessDenied",
        "Unauthorized",
        "invalid signature",
    ]) || ["jwt", "jws", "api key"]
        .iter()
        .any(|word| body.mentions(word));
    match (status, meant) {
        (401 | 403, _) => Complaint::Denied,
        _ if is_of_key => Complaint::Denied,
        (404, Some(_)) => Complaint::NoObject,
        (413, _) => Complaint::TooLarge,
        (415, _) => Complaint::WrongType,
        (300..=399 | 404, None) => Complaint::NoStorage(status),
        (status, _) => Complaint::Other(answered(&body, status)),
    }
}

fn answered(body: &Body, status: u16) -> String {
    let is_word = |code: &str| {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b' ');
        !code.is_empty() && code.len() <= LONGEST_CODE && code.bytes().all(word)
    };
    match body.code.as_deref().or(body.error.as_deref()) {
        Some(code) if is_word(code) => format!("it answers {status} {code}"),
        Some(_) | None => format!("it answers {status}"),
    }
}

/// An answer that makes no sense.
pub(super) fn unreadable() -> Complaint {
    Complaint::Away(io::Error::new(
        io::ErrorKind::InvalidData,
        "its answer cannot be read",
    ))
}

pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Complaint> {
    serde_json::from_slice(body).map_err(|_| unreadable())
}

impl Complaint {
    /// Whether the same request may be answered otherwise soon.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Away(_) => true,
            Self::NoObject
            | Self::NoBucket
            | Self::Denied
            | Self::TooLarge
            | Self::WrongType
            | Self::NoStorage(_)
            | Self::Unsendable
            | Self::Other(_) => false,
        }
    }

    /// As everybody is told who stores something, with what the operator should look at.
    pub(super) fn told(self, bucket: &str) -> StorageError {
        StorageError::Refused(match self {
            Self::NoObject => return StorageError::NotFound,
            Self::Away(source) => return StorageError::Unavailable { source },
            Self::Other(text) => {
                return StorageError::Unavailable {
                    source: io::Error::other(text),
                };
            }
            Self::NoBucket => format!(
                "the project has no bucket {bucket}; create it (Dashboard, Storage), or mend its name in STORAGE or the project in SUPABASE_URL"
            ),
            Self::Denied => {
                "it does not take the key; put the project's service_role or secret key (Dashboard, Project Settings, API keys) into SUPABASE_SERVICE_ROLE_KEY".to_owned()
            }
            Self::TooLarge => format!(
                "the picture is larger than the bucket {bucket} or the project takes (Dashboard, Storage, Settings)"
            ),
            Self::WrongType => format!(
                "the bucket {bucket} takes no such pictures; let it take image/png, image/jpeg and image/webp (Dashboard, Storage, the bucket's settings)"
            ),
            Self::NoStorage(status) => format!(
                "no storage answers at SUPABASE_URL but a {status}; look whether that is the project's address and the project runs"
            ),
            Self::Unsendable => {
                "no request can be made; look at SUPABASE_URL and the bucket in STORAGE".to_owned()
            }
        })
    }
}

#[cfg(test)]
mod tests;
