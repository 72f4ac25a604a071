//! One job, polled, and the same for frontends that know other words.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::time::Instant;

use super::looked_at;
use super::rendered::{Reader, Rendered};
use super::status::StatusView;
use super::view::JobView;
use crate::api::Api;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::extract::Wait;
use crate::api::hub::Seen;
use crate::api::links::Links;
use crate::api::signing::Moment;

/// When to poll an unfinished job again: what the frontends that we know do by themselves.
const POLL_AGAIN: u64 = 2;
/// A private copy may be kept, and asked about with its tag.
const CACHE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Look at a job
///
/// Images appear as they finish. With `If-None-Match` and the `ETag` of before, 304 says that nothing
/// has changed. `Prefer: wait=30` holds the answer back until the job has ended or, with
/// `If-None-Match`, until anything has changed.
#[utoipa::path(get, path = "/api/generations/{jobId}", tag = "core",
    params(("jobId" = String, Path, description = "The job's uuid or number"),
           ("Prefer" = Option<String>, Header, description = "wait=SECONDS, 60 at most"),
           ("If-None-Match" = Option<String>, Header, description = "The ETag of the last answer")),
    responses((status = 200, body = JobView, description = "The job",
               headers(("ETag" = String, description = "Changes whenever the job does"),
                       ("Retry-After" = i64, description = "Seconds; while it has not ended"),
                       ("Preference-Applied" = String, description = "The wait, where one was wished"))),
              (status = 304, description = "Nothing has changed",
               headers(("ETag" = String, description = "Of what the caller has"),
                       ("Retry-After" = i64, description = "Seconds; while it has not ended"),
                       ("Preference-Applied" = String, description = "The wait, where one was wished")))))]
pub(in crate::api) async fn poll(
    State(api): State<Api>,
    caller: Caller,
    Path(job): Path<String>,
    Wait(wait): Wait,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mut seen = looked_at(&api, &caller, &job).await?;
    let reader = Reader::of(&caller);
    let known = headers.get(header::IF_NONE_MATCH);
    if let Some(wait) = wait {
        seen = match known {
            None => {
                let has_ended = |seen: &Seen| seen.job().status.is_final();
                api.hub().wait(seen, wait, has_ended).await
            }
            Some(_) => news(&api, seen, reader, known, wait).await,
        };
    }
    let mut response = rendered(&api, &seen, reader, known).await?;
    if let Some(wait) = wait {
        applied(&mut response, wait);
    }
    Ok(response)
}

/// The job as an answer; 304 for whoever has it.
pub(in crate::api) async fn rendered(
    api: &Api,
    seen: &Seen,
    reader: Reader,
    known: Option<&HeaderValue>,
) -> Result<Response, ApiError> {
    let rendered = Rendered::of(api, seen, reader).await?;
    let mut response = if matches(known, &rendered.tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let json = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, json)], rendered.body).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, rendered.tag);
    headers.insert(header::CACHE_CONTROL, CACHE);
    if !seen.job().status.is_final() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(POLL_AGAIN));
    }
    Ok(response)
}

/// Says that the answer was held back as wished (RFC 7240).
pub(in crate::api) fn applied(response: &mut Response, wait: Duration) {
    if let Ok(value) = HeaderValue::from_str(&format!("wait={}", wait.as_secs())) {
        response.headers_mut().insert("preference-applied", value);
    }
}

/// The job once it is not as the caller knows it, or as it stands when the time is over or the server ends.
async fn news(
    api: &Api,
    mut seen: Arc<Seen>,
    reader: Reader,
    known: Option<&HeaderValue>,
    wait: Duration,
) -> Arc<Seen> {
    let until = Instant::now() + wait;
    loop {
        let rendered = Rendered::of(api, &seen, reader).await;
        if !rendered.is_ok_and(|rendered| matches(known, &rendered.tag)) {
            return seen;
        }
        let left = until.saturating_duration_since(Instant::now());
        let before = seen.clone();
        let is_another = |seen: &Seen| !std::ptr::eq(seen, before.as_ref());
        seen = api.hub().wait(seen, left, is_another).await;
        if Arc::ptr_eq(&seen, &before) {
            return seen;
        }
    }
}

/// Whether a list of tags has this one. Weak or not makes no difference here (RFC 9110, 13.1.2).
fn matches(known: Option<&HeaderValue>, tag: &HeaderValue) -> bool {
    let plain = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Some(known) = known.and_then(|known| known.to_str().ok()) else {
        return false;
    };
    let tag = tag.to_str().map(plain).unwrap_or_default();
    known
        .split(',')
        .any(|known| known.trim() == "*" || plain(known) == tag)
}

/// A job in the words of a frontend that was written for a Redis queue
///
/// `pending | active | completed | failed`, and the progress as one number.
#[utoipa::path(get, path = "/api/generations/{jobId}/status", tag = "extra",
    params(("jobId" = String, Path, description = "The job's uuid or number")),
    responses((status = 200, body = StatusView, description = "The job")))]
pub(in crate::api) async fn status(
    State(api): State<Api>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<Json<StatusView>, ApiError> {
    let seen = looked_at(&api, &caller, &job).await?;
    let links = Links::of(&api, seen.images(), Moment::now()).await;
    Ok(Json(StatusView::of(&seen, &links)))
}
