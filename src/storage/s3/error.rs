//! What S3 complains about, and what that means to us. The only place that decides it.
//!
//! The SDK's own errors hold whole requests, signatures among them, and are shown to nobody: of an answer
//! its code counts, of a broken connection the innermost reason.

use std::error::Error;
use std::io;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::storage::StorageError;
use crate::storage::remote::broken;

/// Longest code of an error that is repeated.
const LONGEST_CODE: usize = 48;

/// Any refusal by the SDK.
pub(super) type Refusal<E> = SdkError<E, HttpResponse>;

/// What was wrong.
#[derive(Debug)]
pub(super) enum Complaint {
    /// No such object, or, where only a status said so, perhaps no such bucket.
    NoObject,
    NoBucket,
    /// The key is known, and may not do this.
    Denied,
    UnknownKey,
    WrongSecret,
    ElsewhereRegion,
    WrongClock,
    /// No request could be made of the settings.
    Unsendable,
    /// The upload was ended, by us or in its time.
    NoUpload,
    /// An answer we have no word for.
    Other(String),
    /// It has trouble of its own, or cannot be reached.
    Away(io::Error),
}

pub(super) fn complaint<E>(error: &Refusal<E>) -> Complaint
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            of_answer(answer.err().code(), answer.raw().status().as_u16())
        }
        SdkError::ResponseError(answer) => of_answer(None, answer.raw().status().as_u16()),
        SdkError::TimeoutError(_) => Complaint::Away(io::ErrorKind::TimedOut.into()),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            Complaint::Away(io::ErrorKind::TimedOut.into())
        }
        SdkError::ConstructionFailure(_) => Complaint::Unsendable,
        // Also what the SDK may add: no answer of the storage.
        SdkError::DispatchFailure(_) | _ => Complaint::Away(broken(error)),
    }
}

fn of_answer(code: Option<&str>, status: u16) -> Complaint {
    match (code.unwrap_or_default(), status) {
        ("NoSuchBucket", _) => Complaint::NoBucket,
        ("NoSuchUpload", _) => Complaint::NoUpload,
        ("NoSuchKey" | "NotFound", _) | ("", 404) => Complaint::NoObject,
        ("InvalidAccessKeyId" | "NotSignedUp" | "InvalidToken", _) => Complaint::UnknownKey,
        ("SignatureDoesNotMatch", _) => Complaint::WrongSecret,
        ("RequestTimeTooSkewed", _) => Complaint::WrongClock,
        (
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "InvalidRegionName",
            _,
        )
        | (_, 301 | 302 | 307 | 308) => Complaint::ElsewhereRegion,
        ("AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "Unauthorized", _)
        | (_, 401 | 403) => Complaint::Denied,
        (code, 408 | 425 | 429 | 500..) => {
            Complaint::Away(io::Error::other(answered(code, status)))
        }
        (code, status) => Complaint::Other(answered(code, status)),
    }
}

fn answered(code: &str, status: u16) -> String {
    let is_word =
        code.len() <= LONGEST_CODE && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match code {
        code if is_word && !code.is_empty() => format!("it answers {status} {code}"),
        _ => format!("it answers {status}"),
    }
}

/// An answer that makes no sense.
pub(super) fn unreadable(what: &str) -> StorageError {
    StorageError::Unavailable {
        source: io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it answers with {what}"),
        ),
    }
}

impl Complaint {
    /// As everybody is told who stores something, with what the operator should look at.
    pub(super) fn told(self, bucket: &str) -> StorageError {
        let refused = |text: String| StorageError::Refused(text);
        match self {
            Self::NoObject => StorageError::NotFound,
            Self::NoBucket => refused(format!(
                "there is no bucket {bucket}; create it, or mend its name in STORAGE or the address in S3_ENDPOINT"
            )),
            Self::Denied => refused(format!(
                "the key of S3_ACCESS_KEY_ID may not do this in the bucket {bucket}; give it the right to read, write, list and delete objects there"
            )),
            Self::UnknownKey => refused(
                "it does not know the key of S3_ACCESS_KEY_ID; look at that and at S3_ENDPOINT"
                    .to_owned(),
            ),
            Self::WrongSecret => refused(
                "S3_SECRET_ACCESS_KEY is not the secret of the key in S3_ACCESS_KEY_ID".to_owned(),
            ),
            Self::ElsewhereRegion => refused(format!(
                "the bucket {bucket} is in another region; mend S3_REGION, and S3_ENDPOINT if it names one"
            )),
            Self::WrongClock => refused(
                "the clock of this machine is wrong by minutes; set it, for instance by NTP"
                    .to_owned(),
            ),
            Self::Unsendable => refused(format!(
                "no request can be made for the bucket {bucket}; look at STORAGE, S3_ENDPOINT and S3_REGION"
            )),
            Self::NoUpload => StorageError::Unavailable {
                source: io::Error::other("it ended an upload by itself"),
            },
            Self::Other(text) => StorageError::Unavailable {
                source: io::Error::other(text),
            },
            Self::Away(source) => StorageError::Unavailable { source },
        }
    }
}

#[cfg(test)]
mod tests;
