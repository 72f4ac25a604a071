//! Gemini's image models over the Generative Language API.
//!
//! This file owns the exchange: one POST, one answer read whole and within bounds, or the reason
//! why there is none. What an answer means is `classify`'s to say, what goes over the wire is
//! in `wire`. The key travels in a header, never in the URL, which ends up in logs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Response;
use url::Url;

use super::ImageRequest;
use super::keys::{Account, Secret};
use crate::domain::{CallResult, Failure, Model};

mod classify;
mod examine;
mod wire;

pub use examine::KeyFinding;

/// Where Google serves the API.
pub const DEFAULT_BASE_URL: &str = "https://generativelanguage.googleapis.com";
/// A 4K PNG is some 30 MB of base64, and a model that thinks may send a draft beside it.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// An error says what it has to say in the first few hundred bytes; the rest is not read.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// Calls Gemini with the keys of one or more accounts.
#[derive(Debug)]
pub struct Gemini {
    http: reqwest::Client,
    /// Without a slash at its end.
    base_url: String,
    accounts: Vec<Keyring>,
}

/// The keys of one account, used in turn.
#[derive(Debug)]
struct Keyring {
    account: String,
    /// Never empty.
    keys: Vec<Secret>,
    turn: AtomicUsize,
}

impl Gemini {
    /// `http` is the client of [`super::http_client`].
    pub fn new(http: reqwest::Client, base_url: Url, accounts: Vec<Account>) -> Self {
        let mut keyrings: Vec<Keyring> = Vec::new();
        for Account { name, key } in accounts {
            match keyrings.iter_mut().find(|ring| ring.account == name) {
                Some(ring) => ring.keys.push(key),
                None => keyrings.push(Keyring {
                    account: name,
                    keys: vec![key],
                    turn: AtomicUsize::new(0),
                }),
            }
        }
        Self {
            http,
            base_url: String::from(base_url).trim_end_matches('/').to_owned(),
            accounts: keyrings,
        }
    }

    /// The accounts in the order they were configured, each once.
    pub fn accounts(&self) -> impl Iterator<Item = &str> {
        self.accounts.iter().map(|ring| ring.account.as_str())
    }

    /// Makes one paid call. It ends within `deadline`, connecting and reading included.
    pub async fn generate(
        &self,
        account: &str,
        request: &ImageRequest,
        deadline: Duration,
    ) -> CallResult {
        let Some(key) = self.key_of(account) else {
            return never_sent(
                "account_unknown",
                "This worker has no key for the provider account that the call was planned for.",
            );
        };
        match tokio::time::timeout(deadline, self.exchange(key, request)).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => broken_off(error),
            Err(_) => CallResult::Ambiguous(Failure::retry(
                "call_timeout",
                "The provider did not answer in time; whether it made the image is unknown.",
            )),
        }
    }

    async fn exchange(
        &self,
        key: &Secret,
        request: &ImageRequest,
    ) -> Result<CallResult, reqwest::Error> {
        let response = self
            .http
            .post(self.endpoint(&request.model))
            .header("x-goog-api-key", key.header())
            .json(&wire::Body::of(request))
            .send()
            .await?;
        if response.status().is_success() {
            read_answer(response).await
        } else {
            read_error(response, key).await
        }
    }

    /// A model's name is safe in a path: [`Model::from_name`] sees to that.
    fn endpoint(&self, model: &Model) -> String {
        format!("{}/v1beta/models/{model}:generateContent", self.base_url)
    }

    fn key_of(&self, account: &str) -> Option<&Secret> {
        let ring = self.accounts.iter().find(|ring| ring.account == account)?;
        let turn = ring.turn.fetch_add(1, Ordering::Relaxed);
        ring.keys.get(turn % ring.keys.len())
    }
}

async fn read_answer(response: Response) -> Result<CallResult, reqwest::Error> {
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
    let classified =
        tokio::task::spawn_blocking(move || classify::classify(status, &headers, &body.bytes));
    Ok(classified
        .await
        .unwrap_or_else(|_| classify::unreadable_answer()))
}

fn too_large() -> CallResult {
    CallResult::Empty(Failure::retry(
        "answer_too_large",
        "The provider's answer was larger than any image should be.",
    ))
}

async fn read_error(response: Response, key: &Secret) -> Result<CallResult, reqwest::Error> {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read(response, MAX_ERROR_BYTES).await?;
    let text = key.struck_from(&String::from_utf8_lossy(&body.bytes));
    Ok(classify::classify(status, &headers, text.as_bytes()))
}

/// What was read of a body.
struct ReadBody {
    bytes: Vec<u8>,
    /// There is more than the limit.
    cut: bool,
}

async fn read(mut response: Response, limit: usize) -> Result<ReadBody, reqwest::Error> {
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

/// The exchange ended without a whole answer. Only a call that never got a connection certainly
/// never reached the provider.
fn broken_off(error: reqwest::Error) -> CallResult {
    let before_sending = error.is_connect() || error.is_builder();
    tracing::warn!(
        cause = causes(error),
        before_sending,
        "a call to Gemini broke off"
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

fn never_sent(code: &'static str, message: &str) -> CallResult {
    CallResult::Failed {
        failure: Failure::retry(code, message),
        accepted: Some(false),
    }
}

/// For the operator's log: the error and what caused it, without the URL.
fn causes(error: reqwest::Error) -> String {
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
