//! The id that follows a request into the logs and its job into every line of a worker's.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;
use uuid::Uuid;

pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ones are no ids.
const LONGEST: usize = 128;

/// Taken from the caller if it is a sane one, else made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestId(String);

impl RequestId {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn of(request: &Request) -> Self {
        let sent = request
            .headers()
            .get(HEADER)
            .and_then(|id| id.to_str().ok());
        let sane = sent.filter(|id| {
            (1..=LONGEST).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
        });
        Self(sane.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned))
    }
}

/// Outermost but for nothing: every answer has the id, and every log line of the request.
pub(super) async fn carry(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(&request);
    let span = tracing::info_span!("request", request_id = id.as_str());
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).instrument(span).await;
    // It is graphic ASCII.
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}
