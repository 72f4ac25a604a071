//! What an answer of Gemini means: the one place that knows its statuses, reasons and words.
//!
//! Pure: a status, headers and a body go in, a [`CallResult`] comes out, so that each fault seen
//! in the wild is one row of a table test. What never becomes an answer (no connection, broken
//! connection, deadline) is the caller's. Shapes: the API's reference and clients, and threads of
//! their users, as of 2026.
//!
//! What the provider says is quoted to people, so [`quoted`] takes links and line breaks out; the
//! caller has struck out the key before.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::domain::failure::excerpt;
use crate::domain::{CallResult, Failure};

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

/// A success whose body makes no sense: it may hold half a picture that we paid for.
pub(super) fn unreadable_answer() -> CallResult {
    CallResult::Ambiguous(Failure::retry(
        "unreadable_answer",
        "The provider's answer could not be read; whether it made the image is unknown.",
    ))
}

/// A provider's own words, fit for one line of a table that customers read; `None` if there are
/// none. Links go: they lead to a console that is not the customer's. So do pictures spelled in
/// base64, which some gateways send as text.
fn quoted(text: &str) -> Option<String> {
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| !word.contains("://") && !word.contains(";base64,"))
        .collect();
    (!words.is_empty()).then(|| excerpt(&words.join(" ")))
}

/// `sentence`, then what the provider said to it, if anything.
fn with_quote(sentence: &str, quote: Option<&str>) -> String {
    match quote.and_then(quoted) {
        Some(quote) => format!("{sentence}: {quote}"),
        None => format!("{sentence}."),
    }
}

#[cfg(test)]
mod tests;
