//! Gemini's answers: pictures, refusals and errors, word for word as they were seen.

use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Tokens that Gemini counts for one picture, drawn or sent.
const TOKENS_OUT: u32 = 1290;
const TOKENS_IN: u32 = 258;

/// An error as Gemini tells it.
#[derive(Clone, Debug)]
pub(in super::super) struct ApiError {
    pub(in super::super) status: StatusCode,
    name: &'static str,
    message: String,
    details: Vec<Value>,
    /// The whole error inside an array of one, as some gateways send it.
    in_array: bool,
}

impl ApiError {
    fn new(status: StatusCode, name: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            name,
            message: message.into(),
            details: Vec::new(),
            in_array: false,
        }
    }

    pub(in super::super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message)
    }

    pub(in super::super) fn bad_key() -> Self {
        let message = "API key not valid. Please pass a valid API key.";
        Self {
            details: vec![
                json!({
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "API_KEY_INVALID",
                    "domain": "googleapis.com",
                    "metadata": {"service": "generativelanguage.googleapis.com"},
                }),
                json!({
                    "@type": "type.googleapis.com/google.rpc.LocalizedMessage",
                    "locale": "en-US",
                    "message": message,
                }),
            ],
            ..Self::invalid(message)
        }
    }

    pub(in super::super) fn no_credit() -> Self {
        let message =
            "Billing is not enabled for this project. Please enable billing in Google AI Studio.";
        Self::new(StatusCode::BAD_REQUEST, "FAILED_PRECONDITION", message)
    }

    pub(in super::super) fn unauthenticated() -> Self {
        let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.";
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message)
    }

    pub(in super::super) fn forbidden() -> Self {
        let message = "Your API key was reported as leaked. Please use another API key.";
        Self::new(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message)
    }

    pub(in super::super) fn unknown_model(model: &str, method: &str) -> Self {
        let message = format!(
            "models/{model} is not found for API version v1beta, or is not supported for {method}. Call ListModels to see the list of available models and their supported methods."
        );
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    pub(in super::super) fn no_such_path(path: &str) -> Self {
        let message = format!("The requested URL {path} was not found on this server.");
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    pub(in super::super) fn internal() -> Self {
        let message = "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", message)
    }

    pub(in super::super) fn timeout() -> Self {
        let message = "The request timed out. Please try again.";
        Self::new(StatusCode::REQUEST_TIMEOUT, "DEADLINE_EXCEEDED", message)
    }

    pub(in super::super) fn overloaded() -> Self {
        let message = "The model is overloaded. Please try again later.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message)
    }

    pub(in super::super) fn deadline() -> Self {
        let message = "Deadline expired before operation could complete.";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED", message)
    }

    /// The minute's quota, with the wait that it states.
    pub(in super::super) fn minute_quota(model: &str, wait: Duration) -> Self {
        let wait = seconds(wait);
        let mut error = Self::exhausted(format!("{QUOTA_EXCEEDED} Please retry in {wait}."));
        error.details = vec![
            violation("GenerateRequestsPerMinutePerProjectPerModel", model),
            json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": wait}),
        ];
        error
    }

    pub(in super::super) fn daily_quota(model: &str) -> Self {
        let mut error = Self::exhausted(QUOTA_EXCEEDED);
        // Gemini states a wait of seconds beside the quota of the day.
        error.details = vec![
            violation("GenerateRequestsPerDayPerProjectPerModel", model),
            json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12s"}),
        ];
        error
    }

    /// The plan of the account does not include the model.
    pub(in super::super) fn limit_zero(model: &str) -> Self {
        let mut error = Self::exhausted(format!(
            "{QUOTA_EXCEEDED}\n* Quota exceeded for metric: {METRIC}, limit: 0, model: {model}"
        ));
        error.details = vec![violation(
            "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
            model,
        )];
        error
    }

    /// 429 that says nothing more, as when shared capacity is short.
    pub(in super::super) fn exhausted(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED", message)
    }

    pub(in super::super) fn in_array(self) -> Self {
        Self {
            in_array: true,
            ..self
        }
    }

    /// With other words, if there are any.
    pub(in super::super) fn saying(self, message: Option<&str>) -> Self {
        let message = message.map_or(self.message, str::to_owned);
        Self { message, ..self }
    }

    pub(in super::super) fn body(&self) -> Value {
        let mut error = json!({
            "code": self.status.as_u16(),
            "message": self.message,
            "status": self.name,
        });
        if !self.details.is_empty() {
            error["details"] = json!(self.details);
        }
        let error = json!({"error": error});
        if self.in_array { json!([error]) } else { error }
    }
}

const METRIC: &str = "generativelanguage.googleapis.com/generate_content_requests";
const QUOTA_EXCEEDED: &str =
    "You exceeded your current quota, please check your plan and billing details.";
pub(in super::super) const EXHAUSTED: &str = "Resource has been exhausted (e.g. check quota).";

fn violation(quota_id: &str, model: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{
            "quotaMetric": METRIC,
            "quotaId": quota_id,
            "quotaDimensions": {"location": "global", "model": model},
        }],
    })
}

/// Protobuf's way to write a duration: seconds with as many digits as it takes.
fn seconds(wait: Duration) -> String {
    let digits = format!("{}.{:09}", wait.as_secs(), wait.subsec_nanos());
    format!("{}s", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// What an answer is about.
pub(in super::super) struct Envelope<'a> {
    pub(in super::super) model: &'a str,
    pub(in super::super) response_id: &'a str,
    pub(in super::super) prompt: &'a str,
    pub(in super::super) images_in: u32,
}

impl Envelope<'_> {
    /// A candidate with these parts; without any, `content` has none, as Gemini leaves it out.
    pub(in super::super) fn candidate(&self, parts: &[Value], finish: Finish) -> Value {
        let mut candidate =
            json!({"content": {"role": "model"}, "finishReason": finish.reason, "index": 0});
        if !parts.is_empty() {
            candidate["content"]["parts"] = json!(parts);
        }
        if let Some(message) = finish.message {
            candidate["finishMessage"] = json!(message);
        }
        self.wrap(json!({"candidates": [candidate]}), finish.pictures)
    }

    /// A candidate that ended well and has no content.
    pub(in super::super) fn without_content(&self) -> Value {
        let candidate = json!({"finishReason": "STOP", "index": 0});
        self.wrap(json!({"candidates": [candidate]}), 0)
    }

    /// No candidate at all.
    pub(in super::super) fn empty(&self) -> Value {
        self.wrap(json!({}), 0)
    }

    /// The prompt itself was refused.
    pub(in super::super) fn blocked(&self, reason: &str) -> Value {
        self.wrap(json!({"promptFeedback": {"blockReason": reason}}), 0)
    }

    fn wrap(&self, mut answer: Value, pictures: u32) -> Value {
        let text = u32::try_from(self.prompt.len() / 4 + 1).unwrap_or(u32::MAX);
        let images = self.images_in * TOKENS_IN;
        let drawn = pictures * TOKENS_OUT;
        let mut input = vec![json!({"modality": "TEXT", "tokenCount": text})];
        if images > 0 {
            input.push(json!({"modality": "IMAGE", "tokenCount": images}));
        }
        let mut usage = json!({
            "promptTokenCount": text + images,
            "totalTokenCount": text + images + drawn,
            "promptTokensDetails": input,
        });
        if drawn > 0 {
            usage["candidatesTokenCount"] = json!(drawn);
            usage["candidatesTokensDetails"] = json!([{"modality": "IMAGE", "tokenCount": drawn}]);
        }
        answer["usageMetadata"] = usage;
        answer["modelVersion"] = json!(self.model);
        answer["responseId"] = json!(self.response_id);
        answer
    }
}

/// How a candidate ended.
#[derive(Clone, Copy)]
pub(in super::super) struct Finish<'a> {
    pub(in super::super) reason: &'a str,
    pub(in super::super) message: Option<&'a str>,
    /// Pictures that are counted as output.
    pub(in super::super) pictures: u32,
}

pub(in super::super) fn text_part(text: &str) -> Value {
    json!({"text": text})
}

/// Stands where a picture belongs. Quoted, it cannot occur inside another JSON text, because
/// quotes within a text are escaped.
const SLOT: &str = "<picture>";

/// A part whose picture is put in by [`bind`].
pub(in super::super) fn picture_part(mime: &str) -> Value {
    json!({"inlineData": {"mimeType": mime, "data": SLOT}})
}

/// A file as it goes into its slot.
pub(in super::super) fn in_base64(file: &[u8]) -> String {
    STANDARD.encode(file)
}

/// The answer as text, with the pictures in their slots, in order. They go past the JSON writer,
/// which would look at each of their two million letters in turn.
pub(in super::super) fn bind(answer: &Value, pictures: &[String]) -> Vec<u8> {
    let text = answer.to_string();
    let slot = format!("\"{SLOT}\"");
    let mut pieces = text.split(slot.as_str());
    let mut body = pieces.next().unwrap_or_default().to_owned();
    for (piece, picture) in pieces.zip(pictures) {
        body.push('"');
        body.push_str(picture);
        body.push('"');
        body.push_str(piece);
    }
    body.into_bytes()
}

/// A part as a draft: shown to the curious, not the result.
pub(in super::super) fn thought(mut part: Value) -> Value {
    part["thought"] = json!(true);
    part
}
