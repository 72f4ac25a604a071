//! Server-sent events: what becomes of a job, as it happens.
//!
//! `progress` and `image` may come again, after a reconnect for instance: each says how things stand, none
//! what to add. `done` is the last; who connects again after it gets 204, which ends an `EventSource`.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::looked_at;
use super::rendered::{Reader, Rendered};
use super::view::{ImageView, JobView, ProgressEvent};
use crate::api::Api;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::hub::Seen;
use crate::api::links::Links;
use crate::api::openapi::one_of;
use crate::api::signing::Moment;

/// Silence that proxies bear; a comment breaks it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// When to come back after a stream has ended, the server's own end included.
const RECONNECT: Duration = Duration::from_secs(2);
/// A stream that is older ends: whoever comes back must still be allowed to.
const LONGEST: Duration = Duration::from_mins(10);
/// The id of the last event.
const DONE: &str = "done";

/// One event of the stream.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is written by hand")]
struct Told {
    #[schema(schema_with = kinds)]
    event: String,
    /// JSON: how the job stands, an image, or the whole job.
    data: String,
    /// `done`, of the last one.
    #[schema(nullable = false)]
    id: Option<String>,
}

fn kinds() -> Object {
    one_of(&["progress", "image", DONE])
}

/// Follow a job
///
/// `progress` when anything changes, `image` for each stored picture, `done` with the whole job when it
/// has ended. Browsers cannot send a header here: use `?token=`.
#[utoipa::path(get, path = "/api/generations/{jobId}/events", tag = "extra",
    params(("jobId" = String, Path, description = "The job's uuid or number"),
           ("Last-Event-ID" = Option<String>, Header, description = "Sent by browsers that come back")),
    responses((status = 200, content_type = "text/event-stream", body = Told, description = "Events"),
              (status = 204, description = "It was told to the end before")))]
pub(in crate::api) async fn events(
    State(api): State<Api>,
    caller: Caller,
    Path(job): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let seen = looked_at(&api, &caller, &job).await?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    if last == Some(DONE) && seen.job().status.is_final() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let mut changes = api.hub().follow(&seen);
    // It may have changed since it was looked at, and what is new by then is no news later.
    let seen = changes
        .as_mut()
        .map_or(seen, |changes| changes.borrow_and_update().clone());
    let stream = tell(Teller {
        api,
        reader: Reader::of(&caller),
        seen,
        changes,
        told: None,
        images: BTreeSet::new(),
        queue: vec![Event::default().retry(RECONNECT).comment("safelight")],
        ended: false,
        until: Instant::now() + LONGEST,
    });
    let alive = KeepAlive::new().interval(KEEP_ALIVE);
    let mut response = Sse::new(stream).keep_alive(alive).into_response();
    // nginx would collect the events of half a minute.
    response.headers_mut().insert(
        "x-accel-buffering",
        axum::http::HeaderValue::from_static("no"),
    );
    Ok(response)
}

/// One stream.
struct Teller {
    api: Api,
    reader: Reader,
    seen: Arc<Seen>,
    /// `None`: nobody follows it any more.
    changes: Option<watch::Receiver<Arc<Seen>>>,
    /// The tag of what was told last.
    told: Option<axum::http::HeaderValue>,
    images: BTreeSet<i32>,
    /// Events to be sent, the next one last.
    queue: Vec<Event>,
    ended: bool,
    until: Instant,
}

fn tell(teller: Teller) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(teller, |mut teller| async move {
        loop {
            if let Some(event) = teller.queue.pop() {
                return Some((Ok(event), teller));
            }
            if teller.ended {
                return None;
            }
            if teller.told.is_some() && !teller.changed().await {
                return None;
            }
            teller.describe().await;
        }
    })
}

impl Teller {
    /// Waits for a change; `false` when the stream ends: the job is deleted, the server ends, or it is time.
    async fn changed(&mut self) -> bool {
        let Some(changes) = self.changes.as_mut() else {
            return false;
        };
        tokio::select! {
            changed = changes.changed() => {
                self.seen = changes.borrow_and_update().clone();
                changed.is_ok()
            }
            () = self.api.stop().cancelled() => false,
            () = tokio::time::sleep_until(self.until) => false,
        }
    }

    /// Puts into the queue what is new.
    async fn describe(&mut self) {
        let Ok(rendered) = Rendered::of(&self.api, &self.seen, self.reader).await else {
            self.ended = true;
            return;
        };
        if self.told.as_ref() == Some(&rendered.tag) {
            return;
        }
        let now = Moment::now();
        let links = Links::of(&self.api, self.seen.images(), now).await;
        let view = JobView::of(&self.api, &self.seen, &links, now).for_reader(self.reader);
        let job = self.seen.job();
        let mut events = vec![event("progress", &ProgressEvent::of(&view))];
        for image in self.seen.images() {
            let view = ImageView::of(job, image, &links);
            if view.is_stored() && self.images.insert(image.index) {
                events.push(event("image", &view));
            }
        }
        if job.status.is_final() {
            events.push(event(DONE, &view).id(DONE));
            self.ended = true;
        }
        events.reverse();
        self.queue = events;
        self.told = Some(rendered.tag);
    }
}

fn event(name: &str, content: &impl Serialize) -> Event {
    let event = Event::default().event(name);
    // Our own structs are JSON.
    event.json_data(content).unwrap_or_default()
}
