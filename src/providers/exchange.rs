//! One exchange with a provider, whoever it is: an answer read whole and within bounds, or the
//! reason why there is none, as a [`CallResult`].
//!
//! What an answer means is each provider's to say (`classify`); what it means that there is none is
//! the same for all, and decided here: only a call that never got a connection certainly never
//! reached the provider.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};

use super::keys::Secret;
use crate::domain::{CallResult, Failure, Provider};

/// A 4K PNG is some 30 MB of base64, and a model that thinks may send a draft beside it.
pub(super) const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// An error says what it has to say in the first few hundred bytes; the rest is not read.
pub(super) const MAX_ERROR_BYTES: usize = 64 * 1024;

/// What an answer means: a function of nothing but the answer.
pub(super) type Classify = fn(StatusCode, &HeaderMap, &[u8]) -> CallResult;

/// The end of an exchange that must be over within `deadline`, connecting and reading included.
pub(super) async fn within(
    deadline: Duration,
    provider: Provider,
    exchange: impl Future<Output = Result<CallResult, reqwest::Error>>,
) -> CallResult {
    match tokio::time::timeout(deadline, exchange).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => broken_off(provider, error),
        Err(_) => CallResult::Ambiguous(Failure::retry(
            "call_timeout",
            "The provider did not answer in time; whether it made the image is unknown.",
        )),
    }
}

/// Reads an answer and says what it means.
pub(super) async fn read_result(
    response: Response,
    key: &Secret,
    classify: Classify,
) -> Result<CallResult, reqwest::Error> {
    if response.status().is_success() {
        read_answer(response, classify).await
    } else {
        read_error(response, key, classify).await
    }
}

async fn read_answer(response: Response, classify: Classify) -> Result<CallResult, reqwest::Error> {
    let (status, headers) = (response.status(), response.headers().clone());
    if announced(&response) > MAX_ANSWER_BYTES {
        return Ok(too_large());
    }
    let body = read(response, MAX_ANSWER_BYTES).await?;
    if body.cut {
        return Ok(too_large());
    }
    // Parsing and decoding megabytes takes milliseconds, too long for a thread that other calls
    // and the renewal of leases share.
    let classified = tokio::task::spawn_blocking(move || classify(status, &headers, &body.bytes));
    Ok(classified.await.unwrap_or_else(|_| unreadable_answer()))
}

fn too_large() -> CallResult {
    CallResult::Empty(Failure::retry(
        "answer_too_large",
        "The provider's answer was larger than any image should be.",
    ))
}

/// A success whose body makes no sense: it may hold half a picture that we paid for.
pub(super) fn unreadable_answer() -> CallResult {
    CallResult::Ambiguous(Failure::retry(
        "unreadable_answer",
        "The provider's answer could not be read; whether it made the image is unknown.",
    ))
}

async fn read_error(
    response: Response,
    key: &Secret,
    classify: Classify,
) -> Result<CallResult, reqwest::Error> {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read(response, MAX_ERROR_BYTES).await?;
    let text = key.struck_from(&String::from_utf8_lossy(&body.bytes));
    Ok(classify(status, &headers, text.as_bytes()))
}

/// What was read of a body.
pub(super) struct ReadBody {
    pub(super) bytes: Vec<u8>,
    /// There is more than the limit.
    pub(super) cut: bool,
}

pub(super) async fn read(mut response: Response, limit: usize) -> Result<ReadBody, reqwest::Error> {
    let mut bytes = Vec::with_capacity(announced(&response).min(limit));
    while let Some(chunk) = response.chunk().await? {
        let room = limit - bytes.len();
        if chunk.len() > room {
            bytes.extend_from_slice(&chunk[..room]);
            return Ok(ReadBody { bytes, cut: true });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(ReadBody { bytes, cut: false })
}

/// The length that the answer's header states, 0 if it states none.
fn announced(response: &Response) -> usize {
    let length = response.content_length().unwrap_or(0);
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// The exchange ended without a whole answer.
fn broken_off(provider: Provider, error: reqwest::Error) -> CallResult {
    let before_sending = error.is_connect() || error.is_builder();
    tracing::warn!(
        cause = causes(error),
        before_sending,
        %provider,
        "a call to the provider broke off"
    );
    if before_sending {
        never_sent("provider_unreachable", "The provider could not be reached.")
    } else {
        CallResult::Ambiguous(Failure::retry(
            "connection_lost",
            "The connection to the provider broke; whether it made the image is unknown.",
        ))
    }
}

/// The call was planned for an account that this worker has no key for.
pub(super) fn account_unknown() -> CallResult {
    never_sent(
        "account_unknown",
        "This worker has no key for the provider account that the call was planned for.",
    )
}

/// Certainly not paid.
pub(super) fn never_sent(code: &'static str, message: &str) -> CallResult {
    CallResult::Failed {
        failure: Failure::retry(code, message),
        accepted: Some(false),
    }
}

/// For the operator's log: the error and what caused it, without the URL.
pub(super) fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
