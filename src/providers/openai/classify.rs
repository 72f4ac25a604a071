//! What an answer of OpenAI means: the one place that knows its statuses, codes and words.
//!
//! Pure: a status, headers and a body go in, a [`CallResult`] comes out, so that each fault seen in
//! the wild is one row of a table test. Moderation, a rate limit and an empty account are three
//! different things, although two of them are 429 and two of them 400. Shapes: the API's reference
//! and clients, and threads of their users, as of 2026.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::domain::CallResult;
use crate::domain::failure::excerpt;

mod answer;
mod refusal;

/// Names the call at the provider's, also where it failed.
const REQUEST_ID: &str = "x-request-id";

/// `body` is whole if the status is a success; of an error it may be just the beginning.
pub(super) fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CallResult {
    let id = headers
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .map(excerpt);
    if status.is_success() {
        answer::read(body, id)
    } else {
        refusal::read(status, headers, body).called(id)
    }
}

#[cfg(test)]
mod tests;
