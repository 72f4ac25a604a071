//! An answer that is an error: whose fault it is, and for how long.
//!
//! `{"error": {"message", "type", "param", "code"}}` is read as loose JSON: in its place may stand
//! the HTML of a load balancer, a text, or half of it. What cannot be read falls back to what the
//! status alone says.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::domain::failure::{BlockReason, CallResult, Failure, Limit, excerpt};
use crate::providers::openai::{quota, wait};
use crate::providers::quote::{quoted, says_limit_zero, with_quote};

/// The codes of a refusal by its rules, the older word last.
const MODERATION: [&str; 2] = ["moderation_blocked", "content_policy_violation"];
/// The codes and types of an account without money. They come as 429 and as 400, and no wait helps.
const NO_CREDIT: [&str; 4] = [
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_limit_user_error",
];
const MODEL_UNKNOWN: &str = "model_not_found";
/// What a model says that may not be told how closely to keep to its pictures. Others, and gateways, only
/// name the field.
const NO_FIDELITY: &str = "invalid_input_fidelity_model";
const FIDELITY: &str = "input_fidelity";
const REJECTED: &str = "provider_rejected";
/// What its clients obey before anything else.
const SHOULD_RETRY: &str = "x-should-retry";
/// What a refusal by its rules names, between brackets after this.
const VIOLATIONS: &str = "safety_violations=[";

pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CallResult {
    let error = ErrorBody::parse(body);
    let blocked = |reason| CallResult::Limited(error.blocked(reason, status));
    if error.is_one_of(&MODERATION) {
        return moderated(&error.message);
    }
    if error.is_one_of(&NO_CREDIT) {
        return blocked(BlockReason::NoCredit);
    }
    match status.as_u16() {
        429 if says_limit_zero(&error.message) => blocked(BlockReason::NotOnPlan),
        429 => CallResult::Limited(Limit::Short {
            wait: wait::stated(headers, &error.message),
            per_minute: quota::per_minute(&error.message),
        }),
        402 => blocked(BlockReason::NoCredit),
        401 => blocked(BlockReason::BadKey),
        // An organization that is not verified, a country, a project without this model.
        403 => blocked(BlockReason::NotOnPlan),
        404 => blocked(BlockReason::ModelGone),
        400 if error.is_about_fidelity() && should_retry(headers) != Some(true) => {
            unfaithful(&error, status)
        }
        400 if error.is_about_the_model() => blocked(BlockReason::ModelGone),
        300..=399 => CallResult::Failed {
            failure: Failure::retry(
                "provider_error",
                "The provider's address leads elsewhere; safelight follows no redirects.",
            ),
            accepted: Some(false),
        },
        408 | 409 | 500.. => troubled(&error, status, should_retry(headers).unwrap_or(true)),
        _ => rejected(&error, status, should_retry(headers).unwrap_or(false)),
    }
}

/// By its rules. The words around them are for OpenAI's support, with ids that help nobody else.
fn moderated(message: &str) -> CallResult {
    let named = message
        .split_once(VIOLATIONS)
        .and_then(|(_, rest)| rest.split_once(']'))
        .map(|(named, _)| named.trim())
        .filter(|named| !named.is_empty());
    let why = named.map_or_else(String::new, |named| format!(" ({})", excerpt(named)));
    CallResult::Refused(Failure::never(
        "moderation_input",
        format!(
            "The provider refused the prompt, an input image or what came of them because of its rules{why}. Change them and try again."
        ),
    ))
}

/// The provider's own problem; whether it made and billed the picture is unknown.
fn troubled(error: &ErrorBody, status: StatusCode, retry: bool) -> CallResult {
    let sentence = format!(
        "The provider had a problem of its own (HTTP {})",
        status.as_u16()
    );
    CallResult::Failed {
        failure: failure("provider_error", &sentence, error, retry),
        accepted: None,
    }
}

fn rejected(error: &ErrorBody, status: StatusCode, retry: bool) -> CallResult {
    CallResult::Failed {
        failure: failure(REJECTED, &rejection(status), error, retry),
        accepted: Some(false),
    }
}

/// The wish for fidelity, and nothing else.
fn unfaithful(error: &ErrorBody, status: StatusCode) -> CallResult {
    let message = with_quote(&rejection(status), Some(&error.message));
    CallResult::Failed {
        failure: Failure::without_fidelity(REJECTED, message),
        accepted: Some(false),
    }
}

fn rejection(status: StatusCode) -> String {
    format!(
        "The provider rejected the request (HTTP {})",
        status.as_u16()
    )
}

fn failure(code: &'static str, sentence: &str, error: &ErrorBody, retry: bool) -> Failure {
    let message = with_quote(sentence, Some(&error.message));
    if retry {
        Failure::retry(code, message)
    } else {
        Failure::never(code, message)
    }
}

fn should_retry(headers: &HeaderMap) -> Option<bool> {
    match headers.get(SHOULD_RETRY)?.as_bytes() {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// `{"error": {...}}`, as far as it is there.
struct ErrorBody {
    message: String,
    kind: String,
    code: String,
    param: String,
}

impl ErrorBody {
    fn parse(body: &[u8]) -> Self {
        let whole: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = whole.get("error").unwrap_or(&Value::Null);
        let field = |name| error.get(name).map_or("", text).to_owned();
        // Gateways send a text in its place.
        let message = error.get("message").unwrap_or(error);
        Self {
            message: text(message).to_owned(),
            kind: field("type"),
            code: field("code"),
            param: field("param"),
        }
    }

    fn is_one_of(&self, codes: &[&str]) -> bool {
        codes.contains(&self.code.as_str()) || codes.contains(&self.kind.as_str())
    }

    /// The images API answers 400 to the name of a model that it does not have.
    fn is_about_the_model(&self) -> bool {
        self.code == MODEL_UNKNOWN || self.param == "model"
    }

    fn is_about_fidelity(&self) -> bool {
        self.code == NO_FIDELITY || self.param == FIDELITY || self.message.contains(FIDELITY)
    }

    fn blocked(&self, reason: BlockReason, status: StatusCode) -> Limit {
        let detail = quoted(&self.message).unwrap_or_else(|| format!("HTTP {}", status.as_u16()));
        Limit::Blocked { reason, detail }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

#[cfg(test)]
mod tests;
