//! Whether a key is good, without paying: the description of a model is free.
//!
//! A refusal is read by `classify`, as those of paid calls are. That an account has credit, or how
//! much is left of its quota, only a paid call tells.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};

use super::exchange::{Classify, MAX_ERROR_BYTES, causes, read};
use super::keys::Secret;
use crate::domain::CallResult;
use crate::domain::failure::{BlockReason, Limit};

/// What OpenAI says to a key that is restricted to other questions.
const MISSING_SCOPES: &str = "Missing scopes";

/// What the provider says to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFinding {
    /// It is accepted, and the model is there.
    Good,
    /// A person has to mend the account, the key or the name of the model.
    Blocked { reason: BlockReason, detail: String },
    /// It is known, and may not read descriptions of models: what else it may is not known.
    Untold(String),
    /// Too many requests, or the provider is in trouble: nothing is known of the key.
    Busy(String),
    /// There is an answer, but it is not the provider's.
    Stranger(String),
    /// There is none.
    Unreachable(String),
}

/// Asks with one key for the description of a model; `is_description` knows one when it reads it.
pub(super) async fn finding(
    key: &Secret,
    question: RequestBuilder,
    deadline: Duration,
    classify: Classify,
    is_description: fn(&str) -> bool,
) -> KeyFinding {
    let asked = ask(key, question, classify, is_description);
    match tokio::time::timeout(deadline, asked).await {
        Ok(Ok(finding)) => finding,
        Ok(Err(error)) => KeyFinding::Unreachable(causes(error)),
        Err(_) => KeyFinding::Unreachable(format!("no answer within {deadline:?}")),
    }
}

async fn ask(
    key: &Secret,
    question: RequestBuilder,
    classify: Classify,
    is_description: fn(&str) -> bool,
) -> Result<KeyFinding, reqwest::Error> {
    let response = question.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read(response, MAX_ERROR_BYTES).await?;
    let text = key.struck_from(&String::from_utf8_lossy(&body.bytes));
    if status.is_success() {
        return Ok(if is_description(&text) {
            KeyFinding::Good
        } else {
            stranger(status)
        });
    }
    Ok(of_refusal(
        classify(status, &headers, text.as_bytes()),
        status,
    ))
}

fn of_refusal(refusal: CallResult, status: StatusCode) -> KeyFinding {
    match refusal {
        CallResult::Limited(Limit::Blocked { detail, .. }) if detail.contains(MISSING_SCOPES) => {
            KeyFinding::Untold(detail)
        }
        CallResult::Limited(Limit::Blocked { reason, detail }) => {
            KeyFinding::Blocked { reason, detail }
        }
        CallResult::Limited(Limit::Short { .. } | Limit::Daily) => {
            KeyFinding::Busy("HTTP 429: too many requests".to_owned())
        }
        CallResult::Failed { failure, accepted } => match accepted {
            // A problem of the provider's own.
            None => KeyFinding::Busy(failure.message),
            Some(_) => KeyFinding::Stranger(failure.message),
        },
        // Not what an error is read as.
        CallResult::Picture(_)
        | CallResult::Words(_)
        | CallResult::Refused(_)
        | CallResult::Empty(_)
        | CallResult::Ambiguous(_) => stranger(status),
    }
}

fn stranger(status: StatusCode) -> KeyFinding {
    KeyFinding::Stranger(format!("HTTP {}", status.as_u16()))
}
