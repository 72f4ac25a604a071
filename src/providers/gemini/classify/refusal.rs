//! An answer that is an error: whose fault it is, and for how long.
//!
//! The body is read as loose JSON, not into types: it is an object, or an array with one, or the
//! HTML of a load balancer, or cut off; `details` differ by error. What cannot be read falls back
//! to what the status alone says.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use crate::domain::failure::{BlockReason, CallResult, Failure, Limit};
use crate::providers::quote::{MAX_STATED_WAIT, quoted, says_limit_zero, with_quote};

/// What 429 says when a plan does not hold the model at all, beside "limit: 0".
const NOT_ON_PLAN_WORDS: &str = "have a free quota tier";
/// What 429 says when money, not speed, is the limit.
const NO_CREDIT_WORDS: [&str; 2] = ["prepayment credits", "spending cap"];
/// What 400 says of a bad key where it gives no `reason`.
const BAD_KEY_WORDS: [&str; 2] = ["api key not valid", "api key expired"];

pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CallResult {
    let error = ErrorBody::parse(body);
    let blocked = |reason| CallResult::Limited(error.blocked(reason, status));
    match status.as_u16() {
        429 => CallResult::Limited(limit(&error, headers, status)),
        400 if error.is_bad_key() => blocked(BlockReason::BadKey),
        400 if error.status == "FAILED_PRECONDITION" => blocked(BlockReason::NoCredit),
        402 => blocked(BlockReason::NoCredit),
        403 if error.reasons().any(|reason| reason == "BILLING_DISABLED") => {
            blocked(BlockReason::NoCredit)
        }
        401 | 403 => blocked(BlockReason::BadKey),
        404 => blocked(BlockReason::ModelGone),
        300..=399 => CallResult::Failed {
            failure: Failure::retry(
                "provider_error",
                "The provider's address leads elsewhere; safelight follows no redirects.",
            ),
            accepted: Some(false),
        },
        408 | 500.. => CallResult::Failed {
            failure: Failure::retry(
                "provider_error",
                with_quote(
                    &format!(
                        "The provider had a problem of its own (HTTP {})",
                        status.as_u16()
                    ),
                    Some(&error.message),
                ),
            ),
            accepted: None,
        },
        _ => CallResult::Failed {
            failure: Failure::never(
                "provider_rejected",
                with_quote(
                    &format!(
                        "The provider rejected the request (HTTP {})",
                        status.as_u16()
                    ),
                    Some(&error.message),
                ),
            ),
            accepted: Some(false),
        },
    }
}

/// The kinds of 429, the longest-lasting first: an answer may name several quotas at once.
fn limit(error: &ErrorBody, headers: &HeaderMap, status: StatusCode) -> Limit {
    if error.is_not_on_plan() {
        error.blocked(BlockReason::NotOnPlan, status)
    } else if error.says_one_of(&NO_CREDIT_WORDS) {
        error.blocked(BlockReason::NoCredit, status)
    } else if error.quota_ids().any(|id| id.contains("PerDay")) {
        Limit::Daily
    } else {
        let wait = error.stated_wait().max(retry_after(headers));
        Limit::Short {
            wait: wait.map(|wait| wait.min(MAX_STATED_WAIT)),
            per_minute: error.calls_per_minute(),
        }
    }
}

/// In seconds. The header's other form, a date, is not read: it would need a clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    seconds(value.trim())
}

/// "3.299376739".
fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// `{"error": {"code", "message", "status", "details": [...]}}`, as far as it is there.
struct ErrorBody {
    message: String,
    /// The canonical code: `FAILED_PRECONDITION` and its like.
    status: String,
    details: Vec<Value>,
}

impl ErrorBody {
    fn parse(body: &[u8]) -> Self {
        let whole: Value = serde_json::from_slice(body).unwrap_or_default();
        let object = whole.get(0).unwrap_or(&whole);
        let error = object.get("error").unwrap_or(&Value::Null);
        // Gateways send a text in its place.
        let message = error.get("message").unwrap_or(error);
        Self {
            message: text(message).to_owned(),
            status: error.get("status").map_or("", text).to_owned(),
            details: list(error.get("details")).to_vec(),
        }
    }

    fn blocked(&self, reason: BlockReason, status: StatusCode) -> Limit {
        let detail = quoted(&self.message).unwrap_or_else(|| format!("HTTP {}", status.as_u16()));
        Limit::Blocked { reason, detail }
    }

    /// `ErrorInfo.reason`.
    fn reasons(&self) -> impl Iterator<Item = &str> {
        self.details
            .iter()
            .filter_map(|it| it.get("reason")?.as_str())
    }

    fn is_bad_key(&self) -> bool {
        self.reasons().any(|reason| reason == "API_KEY_INVALID") || self.says_one_of(&BAD_KEY_WORDS)
    }

    fn says_one_of(&self, words: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        words.iter().any(|words| message.contains(words))
    }

    /// `QuotaFailure.violations[]`.
    fn violations(&self) -> impl Iterator<Item = &Value> {
        self.details
            .iter()
            .flat_map(|it| list(it.get("violations")))
    }

    /// `GenerateRequestsPerDayPerProjectPerModel-FreeTier` and its like.
    fn quota_ids(&self) -> impl Iterator<Item = &str> {
        self.violations()
            .filter_map(|it| it.get("quotaId")?.as_str())
    }

    /// A quota of nothing, by number or in words.
    fn is_not_on_plan(&self) -> bool {
        let is_zero = |value: &Value| value.as_i64() == Some(0) || text(value) == "0";
        self.violations()
            .filter_map(|it| it.get("quotaValue"))
            .any(is_zero)
            || says_limit_zero(&self.message)
            || self.says_one_of(&[NOT_ON_PLAN_WORDS])
    }

    /// `quotaValue` of a quota of requests. Where it is one of all models of the project, it is the most that
    /// can be.
    fn calls_per_minute(&self) -> Option<i32> {
        let mut of_requests = self.violations().filter(|it| {
            let id = it.get("quotaId").map_or("", text);
            id.contains("RequestsPerMinute")
        });
        let value = of_requests.find_map(|it| it.get("quotaValue"))?;
        let number = value.as_i64().or_else(|| text(value).parse().ok())?;
        i32::try_from(number).ok().filter(|number| *number > 0)
    }

    /// `RetryInfo.retryDelay`: "3.299376739s".
    fn stated_wait(&self) -> Option<Duration> {
        let mut delays = self
            .details
            .iter()
            .filter_map(|it| it.get("retryDelay")?.as_str());
        delays.find_map(|delay| seconds(delay.strip_suffix('s')?))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests;
