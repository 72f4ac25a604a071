//! Gemini's answers: pictures, refusals and errors, word for word as they were seen.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::providers::simulator::slot::SLOT;
use crate::providers::simulator::wire::{Complaint, ErrorAnswer};

/// Tokens that Gemini counts for one picture, drawn or sent.
const TOKENS_OUT: u32 = 1290;
const TOKENS_IN: u32 = 258;

/// An error as Gemini tells it.
#[derive(Clone, Debug)]
pub(in super::super) struct ApiError {
    status: StatusCode,
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

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message)
    }

    pub(super) fn bad_key() -> Self {
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

    fn no_credit() -> Self {
        let message =
            "Billing is not enabled for this project. Please enable billing in Google AI Studio.";
        Self::new(StatusCode::BAD_REQUEST, "FAILED_PRECONDITION", message)
    }

    fn unauthenticated() -> Self {
        let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.";
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message)
    }

    fn forbidden() -> Self {
        let message = "Your API key was reported as leaked. Please use another API key.";
        Self::new(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message)
    }

    pub(super) fn unknown_model(model: &str, method: &str) -> Self {
        let message = format!(
            "models/{model} is not found for API version v1beta, or is not supported for {method}. Call ListModels to see the list of available models and their supported methods."
        );
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    fn internal() -> Self {
        let message = "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", message)
    }

    fn timeout() -> Self {
        let message = "The request timed out. Please try again.";
        Self::new(StatusCode::REQUEST_TIMEOUT, "DEADLINE_EXCEEDED", message)
    }

    fn overloaded() -> Self {
        let message = "The model is overloaded. Please try again later.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message)
    }

    fn deadline() -> Self {
        let message = "Deadline expired before operation could complete.";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED", message)
    }

    /// The minute's quota, with the wait that it states.
    fn minute_quota(model: &str, wait: Duration) -> Self {
        let wait = seconds(wait);
        let mut error = Self::exhausted(format!("{QUOTA_EXCEEDED} Please retry in {wait}."));
        error.details = vec![
            violation("GenerateRequestsPerMinutePerProjectPerModel", model),
            json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": wait}),
        ];
        error
    }

    fn daily_quota(model: &str) -> Self {
        let mut error = Self::exhausted(QUOTA_EXCEEDED);
        // Gemini states a wait of seconds beside the quota of the day.
        error.details = vec![
            violation("GenerateRequestsPerDayPerProjectPerModel", model),
            json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12s"}),
        ];
        error
    }

    /// The plan of the account does not include the model.
    fn limit_zero(model: &str) -> Self {
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
    fn exhausted(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED", message)
    }

    fn in_array(self) -> Self {
        Self {
            in_array: true,
            ..self
        }
    }

    /// With other words, if there are any.
    fn saying(self, message: Option<&str>) -> Self {
        let message = message.map_or(self.message, str::to_owned);
        Self { message, ..self }
    }

    fn body(&self) -> Value {
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

impl From<ApiError> for ErrorAnswer {
    fn from(error: ApiError) -> Self {
        Self {
            status: error.status,
            headers: Vec::new(),
            body: error.body(),
        }
    }
}

pub(in super::super) fn put(
    complaint: &Complaint,
    model: &str,
    words: Option<&str>,
) -> ErrorAnswer {
    let error = match complaint {
        // Gemini may name the limit or not; this one does not.
        Complaint::MinuteQuota { wait, .. } => ApiError::minute_quota(model, *wait),
        Complaint::MinuteQuotaOddly(wait) => ApiError::minute_quota(model, *wait).in_array(),
        Complaint::Exhausted => ApiError::exhausted(EXHAUSTED),
        Complaint::DailyQuota => ApiError::daily_quota(model),
        Complaint::LimitZero => ApiError::limit_zero(model),
        Complaint::Invalid(why) => ApiError::invalid(why.clone()),
        Complaint::Fidelity => ApiError::invalid("Request contains an invalid argument."),
        Complaint::BadKey => ApiError::bad_key(),
        Complaint::NoCredit => ApiError::no_credit(),
        Complaint::Unauthenticated => ApiError::unauthenticated(),
        Complaint::Forbidden => ApiError::forbidden(),
        Complaint::Gone => ApiError::unknown_model(model, "generateContent"),
        Complaint::Internal => ApiError::internal(),
        Complaint::InternalOddly => ApiError::internal().in_array(),
        Complaint::Timeout => ApiError::timeout(),
        Complaint::Overloaded => ApiError::overloaded(),
        Complaint::Deadline => ApiError::deadline(),
    };
    error.saying(words).into()
}

/// Of a path that is nobody's.
pub(in super::super) fn no_such_path(path: &str) -> ErrorAnswer {
    let message = format!("The requested URL {path} was not found on this server.");
    ApiError::new(StatusCode::NOT_FOUND, "NOT_FOUND", message).into()
}

const METRIC: &str = "generativelanguage.googleapis.com/generate_content_requests";
const QUOTA_EXCEEDED: &str =
    "You exceeded your current quota, please check your plan and billing details.";
const EXHAUSTED: &str = "Resource has been exhausted (e.g. check quota).";

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

/// A part whose picture is put in by [`super::super::slot::bind`].
pub(in super::super) fn picture_part(mime: &str) -> Value {
    json!({"inlineData": {"mimeType": mime, "data": SLOT}})
}

/// A part as a draft: shown to the curious, not the result.
pub(in super::super) fn thought(mut part: Value) -> Value {
    part["thought"] = json!(true);
    part
}
