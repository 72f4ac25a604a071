//! What an answer of Gemini means: the one place that knows its statuses, reasons and words.
//!
//! Pure: a status, headers and a body go in, a [`CallResult`] comes out, so that each fault seen
//! in the wild is one row of a table test. What never becomes an answer (no connection, broken
//! connection, deadline) is the caller's. Shapes: the API's reference and clients, and threads of
//! their users, as of 2026.
//!
//! What the provider says is quoted to people; the caller has struck out the key before.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::domain::CallResult;

mod answer;
mod refusal;

/// `body` is whole if the status is a success; of an error it may be just the beginning.
pub(super) fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CallResult {
    if status.is_success() {
        answer::read(body)
    } else {
        refusal::read(status, headers, body)
    }
}

/// The same of a call that asked for words.
pub(super) fn classify_words(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CallResult {
    if status.is_success() {
        answer::read_words(body)
    } else {
        refusal::read(status, headers, body)
    }
}

#[cfg(test)]
mod tests;
