//! OpenAI's image models over the Images API.
//!
//! A prompt alone goes to `/images/generations` as JSON; with input pictures it goes to
//! `/images/edits` as a form, each picture a file of its own. Always one picture for one call: the
//! ledger counts calls. What an answer means is `classify`'s to say, what goes over the wire is in
//! `wire`. Nothing here makes a call safe to repeat: image calls have no idempotency key.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use url::Url;

use super::ImageRequest;
use super::examine::{self, KeyFinding};
use super::exchange::{account_unknown, never_sent, read_result, within};
use super::keyring::Keyrings;
use super::keys::{Account, Secret};
use crate::domain::{CallResult, Model, Provider};

mod classify;
mod quota;
mod wait;
mod wire;

/// Where OpenAI serves the API, written as its own clients take it.
pub const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";
/// The path of the API where an address has none, as that of the simulator.
const VERSION: &str = "/v1";

/// Calls OpenAI with the keys of one or more accounts.
#[derive(Debug)]
pub struct OpenAi {
    http: reqwest::Client,
    /// Without a slash at its end.
    base_url: String,
    keyrings: Keyrings,
}

impl OpenAi {
    /// `http` is the client of [`super::http_client`].
    pub fn new(http: reqwest::Client, base_url: Url, accounts: Vec<Account>) -> Self {
        let has_path = base_url.path() != "/";
        let mut base_url = String::from(base_url).trim_end_matches('/').to_owned();
        if !has_path {
            base_url.push_str(VERSION);
        }
        Self {
            http,
            base_url,
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
        within(deadline, Provider::OpenAi, self.exchange(key, request)).await
    }

    async fn exchange(
        &self,
        key: &Secret,
        request: &ImageRequest,
    ) -> Result<CallResult, reqwest::Error> {
        let response = if request.pictures.is_empty() {
            self.generation(key, request).await?
        } else {
            // Taking megabytes out of base64 is not for a thread that other calls share.
            let pictures = request.pictures.clone();
            let files = tokio::task::spawn_blocking(move || wire::files(&pictures)).await;
            let Ok(Some(files)) = files else {
                return Ok(never_sent(
                    "internal_error",
                    "Something went wrong on our side.",
                ));
            };
            self.edit(key, request, files).await?
        };
        read_result(response, key, classify::classify).await
    }

    async fn generation(
        &self,
        key: &Secret,
        request: &ImageRequest,
    ) -> Result<Response, reqwest::Error> {
        self.http
            .post(format!("{}/images/generations", self.base_url))
            .header(AUTHORIZATION, bearer(key))
            .json(&wire::Fields::of(request))
            .send()
            .await
    }

    async fn edit(
        &self,
        key: &Secret,
        request: &ImageRequest,
        files: Vec<wire::File>,
    ) -> Result<Response, reqwest::Error> {
        self.http
            .post(format!("{}/images/edits", self.base_url))
            .header(AUTHORIZATION, bearer(key))
            .multipart(wire::form(&wire::Fields::of(request), files)?)
            .send()
            .await
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

    /// A model's name is safe in a path: [`Model::from_name`] sees to that.
    fn description(&self, key: &Secret, model: &Model) -> RequestBuilder {
        let url = format!("{}/models/{model}", self.base_url);
        self.http.get(url).header(AUTHORIZATION, bearer(key))
    }
}

fn bearer(key: &Secret) -> HeaderValue {
    key.header_after("Bearer ")
}

/// `{"id": "gpt-image-1.5", "object": "model", ...}`.
fn describes_a_model(text: &str) -> bool {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    answer.get("object").and_then(Value::as_str) == Some("model")
}

#[cfg(test)]
mod tests;
