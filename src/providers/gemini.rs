//! Gemini's models over the Generative Language API.
//!
//! One POST makes one picture, or answers one question, with its input pictures inside the JSON. What an answer means is
//! `classify`'s to say, what goes over the wire is in `wire`. The key travels in a header, never in
//! the URL, which ends up in logs.

use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::Value;
use url::Url;

use super::examine::{self, KeyFinding};
use super::exchange::{Classify, account_unknown, read_result, within};
use super::keyring::Keyrings;
use super::keys::{Account, Secret};
use super::{ImageRequest, Question};
use crate::domain::{CallResult, Model, Provider};

mod classify;
mod wire;

/// Carries the key; never the URL, which ends up in logs.
const KEY_HEADER: &str = "x-goog-api-key";
/// Where Google serves the API.
pub const DEFAULT_BASE_URL: &str = "https://generativelanguage.googleapis.com";

/// Calls Gemini with the keys of one or more accounts.
#[derive(Debug)]
pub struct Gemini {
    http: reqwest::Client,
    /// Without a slash at its end.
    base_url: String,
    keyrings: Keyrings,
}

impl Gemini {
    /// `http` is the client of [`super::http_client`].
    pub fn new(http: reqwest::Client, base_url: Url, accounts: Vec<Account>) -> Self {
        Self {
            http,
            base_url: String::from(base_url).trim_end_matches('/').to_owned(),
            keyrings: Keyrings::new(accounts),
        }
    }

    /// The accounts in the order they were configured, each once.
    pub fn accounts(&self) -> impl Iterator<Item = &str> {
        self.keyrings.accounts()
    }

    /// Makes one paid call. It ends within `deadline`, connecting and reading included.
    pub async fn generate(
        &self,
        account: &str,
        request: &ImageRequest,
        deadline: Duration,
    ) -> CallResult {
        let Some(key) = self.keyrings.key_of(account) else {
            return account_unknown();
        };
        let exchange = self.exchange(
            key,
            &request.model,
            wire::Body::of(request),
            classify::classify,
        );
        within(deadline, Provider::Gemini, exchange).await
    }

    /// The same for an answer in words.
    pub async fn answer(
        &self,
        account: &str,
        question: &Question,
        deadline: Duration,
    ) -> CallResult {
        let Some(key) = self.keyrings.key_of(account) else {
            return account_unknown();
        };
        let body = wire::Body::of_question(question);
        let exchange = self.exchange(key, &question.model, body, classify::classify_words);
        within(deadline, Provider::Gemini, exchange).await
    }

    async fn exchange(
        &self,
        key: &Secret,
        model: &Model,
        body: wire::Body<'_>,
        classify: Classify,
    ) -> Result<CallResult, reqwest::Error> {
        let response = self
            .http
            .post(self.endpoint(model))
            .header(KEY_HEADER, key.header())
            .json(&body)
            .send()
            .await?;
        read_result(response, key, classify).await
    }

    /// A model's name is safe in a path: [`Model::from_name`] sees to that.
    fn endpoint(&self, model: &Model) -> String {
        format!("{}/v1beta/models/{model}:generateContent", self.base_url)
    }

    /// Asks for the description of `model` with each key of an account, in their order.
    pub async fn examine(
        &self,
        account: &str,
        model: &Model,
        deadline: Duration,
    ) -> Vec<KeyFinding> {
        let mut findings = Vec::new();
        for key in self.keyrings.keys_of(account) {
            let question = self.description(key, model);
            let classify = classify::classify;
            let finding = examine::finding(key, question, deadline, classify, describes_a_model);
            findings.push(finding.await);
        }
        findings
    }

    fn description(&self, key: &Secret, model: &Model) -> RequestBuilder {
        let url = format!("{}/v1beta/models/{model}", self.base_url);
        self.http.get(url).header(KEY_HEADER, key.header())
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
