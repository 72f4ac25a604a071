//! Pictures by URLs that need no header, for `<img>` and for links that are passed on.
//!
//! A URL names one object and an end, and is signed; whoever has it sees the picture until then, and no
//! other. Only a storage whose objects lie on this machine is served from here: any other makes such URLs
//! itself, see [`super::links`].
//!
//! What is served came from strangers in the end, so a browser is told to take it for nothing but a picture.

use std::io;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use tower_http::services::ServeFile;
use utoipa::IntoParams;

use super::error::{ApiError, ErrorBody};
use super::links::PictureUrl;
use super::{Api, Moment, Settings, Signer};
use crate::storage::{ObjectKey, StorageError};

/// Headers of every picture: it is what it is declared as, runs nothing, and any page may show it.
const GUARDS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; sandbox",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "cross-origin",
    ),
];

/// The URL of this server for a picture that lies on this machine.
pub(super) fn served_here(
    settings: &Settings,
    signer: &Signer,
    key: &ObjectKey,
    now: Moment,
) -> PictureUrl {
    let expires = now.end_of(settings.signed_url_life);
    let signature = signer.sign(&text(key.as_str(), expires));
    let Settings { public_url, .. } = settings;
    PictureUrl {
        url: format!(
            "{public_url}/files/{key}?expires={}&signature={signature}",
            expires.0
        ),
        expires: Some(expires),
    }
}

/// What is signed.
fn text(key: &str, expires: Moment) -> String {
    format!("file\n{key}\n{}", expires.0)
}

/// What lets somebody in.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Signature {
    /// In seconds since 1970.
    expires: Option<String>,
    signature: Option<String>,
}

impl Signature {
    /// Until when this opens `key`.
    fn end(&self, signer: &Signer, key: &str, now: Moment) -> Result<Moment, ApiError> {
        let refused = |why: &str| ApiError::Forbidden(why.to_owned());
        let end = self.expires.as_ref().and_then(|end| end.parse().ok());
        let (Some(end), Some(signature)) = (end.map(Moment), &self.signature) else {
            return Err(refused("This URL is not signed by this server."));
        };
        if !signer.is_signed(&text(key, end), signature) {
            Err(refused("This URL is not signed by this server."))
        } else if end <= now {
            Err(refused(
                "This URL has expired; ask for its job again to get a new one.",
            ))
        } else {
            Ok(end)
        }
    }
}

/// A stored picture.
#[utoipa::path(
    get, path = "/files/{*key}", tag = "extra", security(()),
    params(("key" = String, Path, description = "Of the object, with its slashes"), Signature,
           ("Range" = Option<String>, Header, description = "bytes=FIRST-LAST: a part of it")),
    responses(
        (status = 200, description = "The picture", content_type = "image/*", body = Vec<u8>),
        (status = 206, description = "The part of it that Range asked for", content_type = "image/*", body = Vec<u8>),
        (status = 304, description = "It is what the caller has"),
        (status = 403, description = "The URL is altered, or has expired", body = ErrorBody),
        (status = 404, description = "There is no such picture any more", body = ErrorBody),
        (status = 416, description = "It has no such part", body = ErrorBody),
        (status = 502, description = "The storage fails", body = ErrorBody),
    )
)]
pub(super) async fn file(
    State(api): State<Api>,
    Path(key): Path<String>,
    Query(signature): Query<Signature>,
    request: Request,
) -> Result<Response, ApiError> {
    let not_found = || ApiError::NotFound("Picture");
    let now = Moment::now();
    let end = signature.end(api.signer(), &key, now)?;
    let key = ObjectKey::parse(&key).map_err(|_| not_found())?;
    match api.storage().len(&key).await {
        Ok(_) => {}
        Err(StorageError::NotFound) => return Err(not_found()),
        Err(error) => return Err(error.into()),
    }
    let path = api.storage().local_path(&key).ok_or_else(not_found)?;
    let served = ServeFile::new(path).try_call(request).await;
    let mut response = served.map_err(unreadable)?.map(Body::new);
    let status = response.status();
    if status == StatusCode::NOT_FOUND {
        return Err(not_found());
    }
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        guard(response.headers_mut(), &key, end.0 - now.0)?;
    }
    Ok(response)
}

/// Says what it is and how long it may be kept.
fn guard(headers: &mut HeaderMap, key: &ObjectKey, seconds: u64) -> Result<(), ApiError> {
    for (name, value) in GUARDS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let name = key.as_str().rsplit('/').next().unwrap_or_default();
    let kind = HeaderValue::from_static(key.media_type());
    headers.insert(header::CONTENT_TYPE, kind);
    let written = |text: String| {
        HeaderValue::try_from(text).map_err(|error| ApiError::Internal(error.to_string()))
    };
    headers.insert(
        header::CONTENT_DISPOSITION,
        written(format!("inline; filename=\"{name}\""))?,
    );
    headers.insert(
        header::CACHE_CONTROL,
        written(format!("private, max-age={seconds}, immutable"))?,
    );
    Ok(())
}

fn unreadable(source: io::Error) -> ApiError {
    ApiError::Storage(StorageError::Unavailable { source })
}

#[cfg(test)]
mod tests;
