//! OpenAI's answers: pictures, refusals and errors, word for word as they were seen.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::HeaderName;
use serde_json::{Value, json};

use crate::providers::simulator::picture::{Format, Size};
use crate::providers::simulator::wire::{Complaint, ErrorAnswer};

/// Tokens that OpenAI counts for an upright picture of medium quality, and for one that was sent.
const TOKENS_OUT: u32 = 1584;
const TOKENS_IN: u32 = 323;
/// When the day's requests come back, as it states it.
const DAYS_RESET: &str = "7h12m0s";

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining-requests");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset-requests");

/// An error as OpenAI tells it.
#[derive(Debug)]
pub(in super::super) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    message: String,
    headers: Vec<(HeaderName, String)>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            code: None,
            param: None,
            message: message.into(),
            headers: Vec::new(),
        }
    }

    fn with_code(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    pub(super) fn invalid(message: impl Into<String>, param: Option<&str>) -> Self {
        Self {
            param: param.map(str::to_owned),
            ..Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
        }
    }

    pub(super) fn unknown_parameter(name: &str) -> Self {
        Self::invalid(format!("Unknown parameter: '{name}'."), Some(name))
            .with_code("unknown_parameter")
    }

    pub(super) fn unknown_value(name: &str, value: &str) -> Self {
        Self::invalid(format!("Invalid value: '{value}'."), Some(name)).with_code("invalid_value")
    }

    pub(super) fn missing(name: &str) -> Self {
        Self::invalid(format!("Missing required parameter: '{name}'."), Some(name))
            .with_code("missing_required_parameter")
    }

    pub(super) fn unsupported_file(mime: &str) -> Self {
        let message = format!(
            "Invalid file 'image': unsupported mimetype ('{mime}'). Supported file formats are 'image/jpeg', 'image/png', and 'image/webp'."
        );
        Self::invalid(message, Some("image")).with_code("unsupported_file_mimetype")
    }

    pub(super) fn no_fidelity(model: &str) -> Self {
        let message =
            format!("The model '{model}' does not support the 'input_fidelity' parameter.");
        Self::invalid(message, Some("input_fidelity")).with_code("invalid_input_fidelity_model")
    }

    fn limited(model: &str, rest: &str) -> Self {
        let message = format!(
            "Rate limit reached for {model} in organization org-simulator on requests per min (RPM): {rest}"
        );
        Self::new(StatusCode::TOO_MANY_REQUESTS, "requests", message)
            .with_code("rate_limit_exceeded")
    }

    fn with_headers<const N: usize>(self, headers: [(HeaderName, String); N]) -> Self {
        Self {
            headers: headers.into(),
            ..self
        }
    }
}

impl From<ApiError> for ErrorAnswer {
    fn from(error: ApiError) -> Self {
        Self {
            status: error.status,
            headers: error.headers,
            body: json!({"error": {
                "message": error.message,
                "type": error.kind,
                "param": error.param,
                "code": error.code,
            }}),
        }
    }
}

pub(in super::super) fn put(
    complaint: &Complaint,
    model: &str,
    words: Option<&str>,
) -> ErrorAnswer {
    let mut error = of(complaint, model);
    if let Some(words) = words {
        words.clone_into(&mut error.message);
    }
    error.into()
}

/// Refused by its rules, before or after it was drawn: OpenAI answers the same to both.
pub(in super::super) fn moderated(words: Option<&str>) -> ErrorAnswer {
    let usual = "Your request was rejected by the safety system. If you believe this is an error, contact us at help.openai.com and include the request ID req_simulator. safety_violations=[violence].";
    ApiError::new(
        StatusCode::BAD_REQUEST,
        "image_generation_user_error",
        words.unwrap_or(usual),
    )
    .with_code("moderation_blocked")
    .into()
}

fn of(complaint: &Complaint, model: &str) -> ApiError {
    let invalid = "invalid_request_error";
    match complaint {
        Complaint::MinuteQuota { wait, limit } => by_the_millisecond(model, *wait, *limit),
        Complaint::MinuteQuotaOddly(wait) => by_its_reset(model, *wait),
        Complaint::Exhausted => {
            let said = "Too many requests right now. Please slow down.";
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "requests", said)
        }
        Complaint::DailyQuota => ApiError::limited(model, "Limit 500 per day, Used 500.")
            .with_headers([(REMAINING, "0".to_owned()), (RESET, DAYS_RESET.to_owned())]),
        Complaint::LimitZero => ApiError::limited(model, "Limit: 0, Used 0, Requested 1."),
        Complaint::Invalid(why) => ApiError::invalid(why.clone(), None),
        Complaint::Fidelity => ApiError::no_fidelity(model),
        Complaint::BadKey => ApiError::new(
            StatusCode::UNAUTHORIZED,
            invalid,
            "Incorrect API key provided: sk-s****tor. You can find your API key at https://platform.openai.com/account/api-keys.",
        )
        .with_code("invalid_api_key"),
        Complaint::NoCredit => ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        )
        .with_code("insufficient_quota"),
        Complaint::Unauthenticated => ApiError::new(
            StatusCode::UNAUTHORIZED,
            invalid,
            "You didn't provide an API key.",
        ),
        Complaint::Forbidden => ApiError::new(
            StatusCode::FORBIDDEN,
            invalid,
            format!("Your organization must be verified to use the model `{model}`."),
        ),
        Complaint::Gone => ApiError::new(
            StatusCode::NOT_FOUND,
            invalid,
            format!("The model `{model}` does not exist or you do not have access to it."),
        )
        .with_code("model_not_found"),
        Complaint::Internal | Complaint::InternalOddly => ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            "The server had an error while processing your request. Sorry about that!",
        ),
        Complaint::Timeout => {
            ApiError::new(StatusCode::REQUEST_TIMEOUT, "server_error", "Request timed out.")
        }
        Complaint::Overloaded => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "server_error",
            "The server is overloaded or not ready yet.",
        ),
        Complaint::Deadline => ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "server_error",
            "The upstream did not answer in time.",
        ),
    }
}

/// The wait in the header that its own clients read first; the other one is rounded.
fn by_the_millisecond(model: &str, wait: Duration, limit: Option<u32>) -> ApiError {
    let milliseconds = wait.as_nanos().div_ceil(1_000_000);
    let seconds = milliseconds.div_ceil(1000);
    let limit = limit.map_or_else(
        || "Limit reached.".to_owned(),
        |limit| format!("Limit {limit}, Used {limit}, Requested 1."),
    );
    let said = format!("{limit} Please try again in {seconds}s.");
    ApiError::limited(model, &said).with_headers([
        (RETRY_AFTER_MS, milliseconds.to_string()),
        (RETRY_AFTER, seconds.to_string()),
    ])
}

/// The wait in nothing but the reset of the limit.
fn by_its_reset(model: &str, wait: Duration) -> ApiError {
    let reset = format!("{}s", wait.as_secs_f64());
    ApiError::limited(model, "Limit reached.")
        .with_headers([(REMAINING, "0".to_owned()), (RESET, reset)])
}

/// A whole answer with these pictures, each a slot for its base64.
pub(in super::super) fn envelope(
    prompt: &str,
    images_in: u32,
    size: Size,
    format: Format,
    slots: &[Value],
) -> Value {
    let text = u32::try_from(prompt.len() / 4 + 1).unwrap_or(u32::MAX);
    let images = images_in * TOKENS_IN;
    let drawn = u32::try_from(slots.len()).unwrap_or(u32::MAX) * TOKENS_OUT;
    let data: Vec<Value> = slots.iter().map(|slot| json!({"b64_json": slot})).collect();
    json!({
        "created": 1_760_000_000,
        "background": "opaque",
        "data": data,
        "output_format": match format {
            Format::Png => "png",
            Format::Jpeg => "jpeg",
            Format::WebP => "webp",
        },
        "quality": "medium",
        "size": format!("{}x{}", size.width, size.height),
        "usage": {
            "input_tokens": text + images,
            "input_tokens_details": {"image_tokens": images, "text_tokens": text},
            "output_tokens": drawn,
            "total_tokens": text + images + drawn,
        },
    })
}
