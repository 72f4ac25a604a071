//! Which web pages of other origins may call: those in the settings, and without settings none.

use std::time::Duration;

use axum::http::Method;
use axum::http::header::{
    AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH,
    LOCATION, RANGE, RETRY_AFTER,
};
use tower_http::cors::CorsLayer;

use super::{auth, request_id};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// How long a browser remembers what it may send: a change of the settings is seen after it.
const REMEMBER: Duration = Duration::from_mins(10);

/// Nothing without origins: then no answer says a word of it, and browsers keep pages out.
pub(super) fn layer(origins: &[String]) -> Option<CorsLayer> {
    let origins = origins.iter().map(|origin| HeaderValue::from_str(origin));
    // Origins in ASCII are checked when the settings are read.
    let origins: Vec<_> = origins.filter_map(Result::ok).collect();
    (!origins.is_empty()).then(|| {
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([
                AUTHORIZATION,
                CONTENT_TYPE,
                IDEMPOTENCY_KEY,
                auth::API_KEY,
                request_id::HEADER,
                PREFER,
                IF_NONE_MATCH,
                LAST_EVENT_ID,
                RANGE,
            ])
            .expose_headers([
                ETAG,
                LOCATION,
                RETRY_AFTER,
                request_id::HEADER,
                CONTENT_DISPOSITION,
                PREFERENCE_APPLIED,
            ])
            .max_age(REMEMBER)
    })
}
