//! What stands around every route: whatever a handler does, the answer has the request's id, one shape
//! for errors, and headers that keep browsers from doing what they should not.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;

use super::{error, metrics, request_id, waits};

/// A hundred prompts of the longest kind are far below; uploads set their own.
const LARGEST_BODY: usize = 1024 * 1024;

/// How long a body may take: who sends a byte now and then must not hold a connection for ever.
#[derive(Debug, Clone, Copy)]
struct BodyPatience {
    /// Until it is there.
    first: Duration,
    /// What arrives buys time: as slow as this, and no slower, in bytes a second.
    slowest: u64,
}

/// A picture of 10 MB over a bad mobile line takes five minutes.
const BODY_PATIENCE: BodyPatience = BodyPatience {
    first: Duration::from_secs(30),
    slowest: 32 * 1024,
};

/// Headers of every answer; what a handler has set stays. Tokens stand in URLs, so no page that one leads
/// to may learn where it was linked from.
const ALWAYS: [(HeaderName, HeaderValue); 4] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Puts them around routes, the outermost last.
pub fn layered(router: Router) -> Router {
    router
        .layer(middleware::from_fn(arrive_in_time))
        .layer(middleware::from_fn(waits::bound))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(error::envelope))
        .layer(middleware::from_fn(with_headers))
        .layer(middleware::from_fn(told))
        .layer(middleware::from_fn(request_id::carry))
}

/// 408 for a body that does not come.
async fn arrive_in_time(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let late = Arc::new(AtomicBool::new(false));
    let request = request.map(|body| patient(body, BODY_PATIENCE, late.clone()));
    let response = next.run(request).await;
    if late.load(Ordering::Relaxed) {
        return StatusCode::REQUEST_TIMEOUT.into_response();
    }
    response
}

/// The same body, broken off when it comes too slowly.
fn patient(body: Body, patience: BodyPatience, late: Arc<AtomicBool>) -> Body {
    let until = Instant::now() + patience.first;
    let rest = (body.into_data_stream(), until);
    let chunks = stream::unfold(Some(rest), move |rest| {
        let late = late.clone();
        async move {
            let (mut body, until) = rest?;
            match tokio::time::timeout_at(until, body.next()).await {
                Ok(chunk) => {
                    let chunk: Result<Bytes, axum::Error> = chunk?;
                    let bytes = chunk.as_ref().map_or(0, Bytes::len) as u64;
                    let bought = Duration::from_millis(bytes * 1000 / patience.slowest);
                    Some((chunk, Some((body, until + bought))))
                }
                Err(too_late) => {
                    late.store(true, Ordering::Relaxed);
                    Some((Err(axum::Error::new(too_late)), None))
                }
            }
        }
    });
    Body::from_stream(chunks)
}

/// The text of a panic is for us.
#[expect(clippy::needless_pass_by_value, reason = "so it is called")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(error = text.unwrap_or("no text"), "a request panicked");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

async fn with_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    add_missing(response.headers_mut());
    response
}

fn add_missing(headers: &mut HeaderMap) {
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(value);
    }
}

/// One line and one count per request: by the route's pattern, never by the URL, which may hold a token.
async fn told(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = known(request.method());
    let path = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = path.as_ref().map_or("none", MatchedPath::as_str);
    let (status, took) = (response.status(), began.elapsed());
    metrics::request_ended(route, method, status, took);
    let elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let status = status.as_u16();
    match status {
        500.. => tracing::warn!(method, route, status, elapsed_ms, "request failed"),
        _ if method == "GET" || method == "HEAD" || method == "OPTIONS" => {
            tracing::debug!(method, route, status, elapsed_ms, "request");
        }
        _ => tracing::info!(method, route, status, elapsed_ms, "request"),
    }
    response
}

/// Anybody may send any word as a method.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests;
