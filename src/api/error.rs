//! What a request can run into, and how it is told: the one place that turns errors into answers.
//!
//! A handler returns an [`ApiError`]. [`envelope`] stands around all routes and writes every error, also
//! those of the framework (no such route, a body too large, a panic), as one shape with the request's id.
//! Nothing of ours leaks: what went wrong inside is logged, and the caller gets a sentence.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::request_id::RequestId;
use crate::db::DbError;
use crate::db::credits::Lack;
use crate::db::jobs::EnqueueError;
use crate::domain::request::RequestError;
use crate::storage::StorageError;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// What was sent makes no sense: the caller must change it.
    #[error("{0}")]
    Invalid(String),
    /// The same, where a code of its own helps a program.
    #[error("{1}")]
    Refused(&'static str, String),
    #[error("{0}")]
    Unauthorized(String),
    #[error("{0}")]
    Forbidden(String),
    /// There is none, or it is somebody else's, which must look the same.
    /// The tenant has not the credits for it.
    #[error("{}", .0.sentence())]
    NoCredit(Lack),
    #[error("{0} not found.")]
    NotFound(&'static str),
    /// The state of things does not allow it.
    #[error("{1}")]
    Conflict(&'static str, String),
    #[error("The body is larger than {0}.")]
    TooLarge(&'static str),
    #[error("{0}")]
    WrongType(String),
    /// Over the caller's own limit.
    #[error("Too many requests; try again in {} s.", seconds(*.0))]
    TooMany(Duration),
    /// Too many jobs of this tenant wait.
    #[error("Too many jobs wait already; try again later.")]
    QueueFull,
    /// Too many pictures of this tenant lie here that no job has named.
    #[error("Your uploads that no job uses exceed 500 MB; use them, or wait: they go after a day.")]
    UploadsFull,
    /// Too much of this at once; another try a moment later succeeds.
    #[error("The server is busy; try again in a moment.")]
    Busy,
    #[error("The storage could not be read; try again later.")]
    Storage(#[from] StorageError),
    /// Whether a token is right cannot be known, for so long at least.
    #[error("The public keys of the Supabase project cannot be fetched; try again later.")]
    KeysUnavailable(Duration),
    #[error("The database cannot be reached; try again later.")]
    Unavailable(String),
    #[error("Something went wrong here, and it is logged.")]
    Internal(String),
}

/// How long somebody is sent away whose jobs fill the queue.
const QUEUE_FULL_PAUSE: Duration = Duration::from_mins(1);
/// How long somebody is sent away whose uploads fill their room; some of them go each hour.
const UPLOADS_FULL_PAUSE: Duration = Duration::from_hours(1);
/// How long somebody is sent away while the server or what it needs is busy or away.
const SHORT_PAUSE: Duration = Duration::from_secs(2);

impl ApiError {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) | Self::Refused(..) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NoCredit(_) => StatusCode::PAYMENT_REQUIRED,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Conflict(..) => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooMany(_) | Self::UploadsFull => StatusCode::TOO_MANY_REQUESTS,
            Self::QueueFull | Self::Busy | Self::KeysUnavailable(_) | Self::Unavailable(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Storage(_) => StatusCode::BAD_GATEWAY,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// For programs; stable.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid_request",
            Self::Refused(code, _) | Self::Conflict(code, _) => code,
            Self::Unauthorized(_) => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::NoCredit(_) => "insufficient_credits",
            Self::NotFound(_) => "not_found",
            Self::TooLarge(_) => "body_too_large",
            Self::WrongType(_) => "unsupported_media_type",
            Self::TooMany(_) => "too_many_requests",
            Self::QueueFull => "queue_full",
            Self::UploadsFull => "uploads_full",
            Self::Busy => "busy",
            Self::Storage(_) => "storage_failed",
            Self::KeysUnavailable(_) => "keys_unavailable",
            Self::Unavailable(_) => "database_unavailable",
            Self::Internal(_) => "internal_error",
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooMany(wait) | Self::KeysUnavailable(wait) => Some(*wait),
            Self::QueueFull => Some(QUEUE_FULL_PAUSE),
            Self::UploadsFull => Some(UPLOADS_FULL_PAUSE),
            Self::Busy | Self::Unavailable(_) | Self::Storage(_) => Some(SHORT_PAUSE),
            Self::Invalid(_)
            | Self::Refused(..)
            | Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::NoCredit(_)
            | Self::NotFound(_)
            | Self::Conflict(..)
            | Self::TooLarge(_)
            | Self::WrongType(_)
            | Self::Internal(_) => None,
        }
    }

    /// Logged once, here, and only what is ours to mend.
    fn log(&self) {
        match self {
            Self::Unavailable(error) => tracing::warn!(error, "a request found no database"),
            Self::Storage(error) => tracing::warn!(%error, "a request could not read the storage"),
            Self::Internal(what) => tracing::error!(error = what, "a request failed"),
            Self::Invalid(_)
            | Self::Refused(..)
            | Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::NoCredit(_)
            | Self::NotFound(_)
            | Self::Conflict(..)
            | Self::TooLarge(_)
            | Self::WrongType(_)
            | Self::TooMany(_)
            | Self::QueueFull
            | Self::UploadsFull
            | Self::Busy
            // By who fetches them, once for all who wait.
            | Self::KeysUnavailable(_) => {}
        }
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        if let Some(lack) = error.lack_of_credits() {
            return Self::NoCredit(lack);
        }
        match error {
            DbError::Unavailable(_) => Self::Unavailable(error.to_string()),
            DbError::LeaseLost | DbError::Refused(_) | DbError::Corrupt(_) => {
                Self::Internal(error.to_string())
            }
        }
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<EnqueueError> for ApiError {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::Database(error) => error.into(),
            EnqueueError::NoCredit(lack) => Self::NoCredit(lack),
            EnqueueError::DoesNotFit { column, .. } => Self::Invalid(format!(
                "What was sent for \"{}\" does not fit into this database.",
                field_of(column)
            )),
            EnqueueError::NoSuchRow { column, .. } => {
                Self::Invalid(format!("\"{column}\" names something that is not there."))
            }
            EnqueueError::KeyTaken(_) | EnqueueError::KeyHidden => Self::Conflict(
                "idempotency_key_reused",
                "This Idempotency-Key was used before, for another request.".to_owned(),
            ),
        }
    }
}

/// What a body calls a column.
fn field_of(column: &str) -> &str {
    match column {
        "basePrompt" => "prompt",
        "numImagesPerExample" => "numImages",
        "trainingImageUrls" => "images",
        "payload" => "settings",
        column => column,
    }
}

/// Every error, as it is sent.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorBody {
    /// For people.
    pub(super) error: String,
    /// For programs.
    pub(super) code: String,
    pub(super) request_id: String,
}

/// Of a tenant without the credits.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NoCreditBody {
    #[serde(flatten)]
    error: ErrorBody,
    /// Credits that are left.
    remaining: i64,
    /// Credits that it takes.
    required: i64,
    /// For people.
    reason: String,
    /// Where there are more.
    upgrade_url: String,
}

/// Where a customer without credits is sent: of the server, for [`envelope`].
#[derive(Debug, Clone, Default)]
pub(super) struct UpgradeUrl(pub(super) String);

/// What a handler has to say; [`envelope`] writes it down.
#[derive(Debug, Clone)]
struct Told {
    text: String,
    code: &'static str,
    lack: Option<Lack>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let mut response = self.status().into_response();
        if let Some(wait) = self.retry_after() {
            let wait = HeaderValue::from(seconds(wait));
            response.headers_mut().insert(header::RETRY_AFTER, wait);
        }
        if let Self::Unauthorized(_) = self {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        let lack = if let Self::NoCredit(lack) = self {
            Some(lack)
        } else {
            None
        };
        response.extensions_mut().insert(Told {
            text: self.to_string(),
            code: self.code(),
            lack,
        });
        response
    }
}

/// Around all routes: every error leaves in one shape.
pub(super) async fn envelope(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let upgrade = request.extensions().get::<UpgradeUrl>().cloned();
    let response = next.run(request).await;
    let told = response.extensions().get::<Told>().cloned();
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    match told {
        Some(told) => written(response, told, id, upgrade.unwrap_or_default()),
        // Of the framework, or of a layer: its own text is for programmers.
        None if is_error && response.extensions().get::<Whole>().is_none() => {
            let told = by_status(status);
            written(response, told, id, UpgradeUrl::default())
        }
        None => response,
    }
}

/// An answer whose body is as it should be, although its status is an error's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole;

fn written(
    response: Response,
    told: Told,
    id: Option<RequestId>,
    UpgradeUrl(upgrade_url): UpgradeUrl,
) -> Response {
    let error = ErrorBody {
        error: told.text,
        code: told.code.to_owned(),
        request_id: id.map_or_else(String::new, |id| id.as_str().to_owned()),
    };
    let body = match told.lack {
        None => serde_json::to_value(error),
        Some(lack) => serde_json::to_value(NoCreditBody {
            error,
            remaining: lack.remaining,
            required: lack.required,
            reason: lack.sentence(),
            upgrade_url,
        }),
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let json = HeaderValue::from_static("application/json");
    parts.headers.insert(header::CONTENT_TYPE, json);
    let body = body.unwrap_or(Value::Object(Map::new()));
    Response::from_parts(parts, Body::from(body.to_string()))
}

fn by_status(status: StatusCode) -> Told {
    let (code, text) = match status {
        StatusCode::NOT_FOUND => ("not_found", "There is no such route; see /openapi.json."),
        StatusCode::METHOD_NOT_ALLOWED => (
            "method_not_allowed",
            "This route does not take this method; see /openapi.json.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "The body is too large."),
        StatusCode::REQUEST_TIMEOUT => ("timeout", "The request took too long to arrive."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            "unsupported_media_type",
            "The body must be JSON, with Content-Type: application/json.",
        ),
        status if status.is_client_error() => ("invalid_request", "The request makes no sense."),
        _ => (
            "internal_error",
            "Something went wrong here, and it is logged.",
        ),
    };
    Told {
        text: text.to_owned(),
        code,
        lack: None,
    }
}

/// Whole seconds, and never none: who comes back at once comes in vain.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0 || wait.is_zero())
}
