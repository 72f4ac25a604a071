//! What a request says, read strictly: a mistake is told, never guessed at.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::error::ApiError;
use super::request_id::RequestId;
use crate::domain::hex;

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Bytes of an idempotency key; an index takes no more than some 2700.
const LONGEST_KEY: usize = 255;
/// No answer is held back for longer.
pub(super) const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// A body of JSON, and a hash of it as it was sent.
pub(super) struct Body<T> {
    pub(super) content: T,
    pub(super) hash: String,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        // A form or plain text can be sent by a foreign web page without being asked for leave.
        if !is_json(request.headers()) {
            return Err(ApiError::WrongType(
                "The body must be JSON, with Content-Type: application/json.".to_owned(),
            ));
        }
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge("1 MB"),
            _ => ApiError::Invalid("The body broke off.".to_owned()),
        })?;
        let content = serde_json::from_slice(&bytes)
            .map_err(|error| ApiError::Invalid(format!("The body is not as expected: {error}.")))?;
        Ok(Self {
            content,
            hash: hex(&Sha256::digest(&bytes)),
        })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// The pairs of a query, decoded, in their order.
pub(super) struct Query(pub(super) Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let pairs: Vec<_> = pairs.into_owned().collect();
        // No text of the database can hold one, so it would refuse to compare with it.
        let has_null = |text: &String| text.contains('\0');
        if pairs
            .iter()
            .any(|(name, value)| has_null(name) || has_null(value))
        {
            return Err(ApiError::Invalid(
                "A query cannot hold the character NUL.".to_owned(),
            ));
        }
        Ok(Self(pairs))
    }
}

/// The key that makes a request safe to be sent twice.
pub(super) struct IdempotencyKey(pub(super) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(key) = parts.headers.get(IDEMPOTENCY_KEY) else {
            return Ok(Self(None));
        };
        let key = key.to_str().ok().map(str::trim);
        let sane = key.filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
        sane.map(|key| Self(Some(key.to_owned()))).ok_or_else(|| {
            ApiError::Invalid(format!(
                "Idempotency-Key must have 1 to {LONGEST_KEY} characters of plain ASCII."
            ))
        })
    }
}

/// How long the caller wants an answer to be held back: `Prefer: wait=10` (RFC 7240).
pub(super) struct Wait(pub(super) Option<Duration>);

impl<S: Send + Sync> FromRequestParts<S> for Wait {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let wishes = parts.headers.get_all(PREFER).iter();
        let wishes = wishes.filter_map(|wish| wish.to_str().ok());
        let wait = wishes
            .flat_map(|wishes| wishes.split([',', ';']))
            .find_map(|wish| wish.trim().strip_prefix("wait="));
        // What is no number is a preference that we do not know, which is ignored.
        let seconds = wait.and_then(|seconds| seconds.trim_matches('"').parse().ok());
        Ok(Self(seconds.map(|seconds| {
            Duration::from_secs(seconds).min(LONGEST_WAIT)
        })))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let id = parts.extensions.get::<Self>().cloned();
        id.ok_or_else(|| ApiError::Internal("a request without an id".to_owned()))
    }
}
