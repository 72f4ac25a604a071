//! Requests that keep their connection for long: streams of events, and answers that are held back.
//!
//! They share half of the server's connections, so that however many wait, there is room for those who
//! want an answer now. Beyond that a stream is refused, and a wish to wait is answered at once, which a
//! preference bears (RFC 7240).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use super::extract::PREFER;

/// How the route of a stream of events ends.
const EVENTS: &str = "/events";

/// The waits that one server bears; on each of its requests.
#[derive(Debug, Clone)]
pub(super) struct Waits(Arc<Semaphore>);

impl Waits {
    /// Half of so many connections.
    pub(super) fn among(connections: usize) -> Self {
        Self(Arc::new(Semaphore::new(connections.div_ceil(2))))
    }
}

/// Counts what waits.
pub(super) async fn bound(mut request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let is_stream = path.is_some_and(|path| path.as_str().ends_with(EVENTS));
    if !is_stream && !request.headers().contains_key(PREFER) {
        return next.run(request).await;
    }
    let Some(Waits(turns)) = request.extensions().get().cloned() else {
        return next.run(request).await;
    };
    match turns.try_acquire_owned() {
        // An answer that was held back is given: what is left of it is like any other.
        Ok(_turn) if !is_stream => next.run(request).await,
        Ok(turn) => next.run(request).await.map(|body| {
            let body = Waiting { body, _turn: turn };
            Body::new(body)
        }),
        Err(_) if is_stream => ApiError::Busy.into_response(),
        Err(_) => {
            request.headers_mut().remove(PREFER);
            next.run(request).await
        }
    }
}

/// The body of a stream, which holds its turn until it ends.
struct Waiting {
    body: Body,
    _turn: OwnedSemaphorePermit,
}

impl HttpBody for Waiting {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
