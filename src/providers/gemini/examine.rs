//! Whether a key is good, without paying: the description of a model is free.
//!
//! A refusal is read by `classify`, as those of paid calls are. That an account has credit, or how
//! much is left of its quota, only a paid call tells.

use std::time::Duration;

use serde_json::Value;

use super::{Gemini, MAX_ERROR_BYTES, Secret, causes, classify, read};
use crate::domain::failure::{BlockReason, Limit};
use crate::domain::{CallResult, Model};

/// What the provider says to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFinding {
    /// It is accepted, and the model is there.
    Good,
    /// A person has to mend the account, the key or the name of the model.
    Blocked { reason: BlockReason, detail: String },
    /// Too many requests, or the provider is in trouble: nothing is known of the key.
    Busy(String),
    /// There is an answer, but it is not Gemini's.
    Stranger(String),
    /// There is none.
    Unreachable(String),
}

impl Gemini {
    /// Asks for the description of `model` with each key of an account, in their order.
    pub async fn examine(
        &self,
        account: &str,
        model: &Model,
        deadline: Duration,
    ) -> Vec<KeyFinding> {
        let rings = self.accounts.iter().filter(|ring| ring.account == account);
        let mut findings = Vec::new();
        for key in rings.flat_map(|ring| &ring.keys) {
            let asked = tokio::time::timeout(deadline, self.ask(key, model)).await;
            findings.push(match asked {
                Ok(Ok(finding)) => finding,
                Ok(Err(error)) => KeyFinding::Unreachable(causes(error)),
                Err(_) => KeyFinding::Unreachable(format!("no answer within {deadline:?}")),
            });
        }
        findings
    }

    async fn ask(&self, key: &Secret, model: &Model) -> Result<KeyFinding, reqwest::Error> {
        let response = self
            .http
            .get(format!("{}/v1beta/models/{model}", self.base_url))
            .header("x-goog-api-key", key.header())
            .send()
            .await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response, MAX_ERROR_BYTES).await?;
        let text = key.struck_from(&String::from_utf8_lossy(&body.bytes));
        if status.is_success() {
            return Ok(if describes_a_model(&text) {
                KeyFinding::Good
            } else {
                KeyFinding::Stranger(format!("HTTP {}", status.as_u16()))
            });
        }
        Ok(
            match classify::classify(status, &headers, text.as_bytes()) {
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
                | CallResult::Refused(_)
                | CallResult::Empty(_)
                | CallResult::Ambiguous(_) => {
                    KeyFinding::Stranger(format!("HTTP {}", status.as_u16()))
                }
            },
        )
    }
}

/// `{"name": "models/gemini-2.5-flash-image", ...}`.
fn describes_a_model(text: &str) -> bool {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    let name = answer.get("name").and_then(Value::as_str);
    name.is_some_and(|name| name.starts_with("models/"))
}

#[cfg(test)]
mod tests;
