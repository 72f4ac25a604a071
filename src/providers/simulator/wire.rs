//! What both wire formats come to: a call as far as it could be read, and what may be said against it.
//!
//! The desk decides about calls, the courses say what becomes of them; how a provider puts it into
//! words is in the folders `gemini` and `openai`, which know nothing of each other.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::HeaderName;
use serde_json::Value;

use super::picture::{Format, Size};
use super::{gemini, openai};

/// Whose wire format a call is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Gemini,
    OpenAi,
}

/// A request as far as it could be read, for the log, and what it asks for or why not.
pub(super) struct Reading {
    pub(super) wire: Wire,
    /// Empty when the key is not one of ours.
    pub(super) account: String,
    pub(super) model: String,
    pub(super) prompt: String,
    pub(super) images_in: u32,
    pub(super) ask: Result<Ask, ErrorAnswer>,
}

/// What is to be drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) size: Size,
    pub(super) format: Format,
    /// The answer may hold text beside the picture.
    pub(super) words: bool,
    /// A question about a picture: the answer is JSON, and nothing is drawn.
    pub(super) question: bool,
    /// It says how closely to keep to its pictures.
    pub(super) fidelity: bool,
}

/// What may be said against a call.
#[derive(Clone, Debug)]
pub(super) enum Complaint {
    /// The minute's quota, with the wait that is stated, and how many calls it is where that is known.
    MinuteQuota {
        wait: Duration,
        limit: Option<u32>,
    },
    /// The same in another of the provider's ways.
    MinuteQuotaOddly(Duration),
    /// 429 that says nothing more.
    Exhausted,
    DailyQuota,
    LimitZero,
    /// For the reason that is given.
    Invalid(String),
    /// Of being told how closely to keep to pictures.
    Fidelity,
    BadKey,
    NoCredit,
    Unauthenticated,
    Forbidden,
    Gone,
    Internal,
    InternalOddly,
    Timeout,
    Overloaded,
    Deadline,
}

/// An error as it goes over the wire.
#[derive(Clone, Debug)]
pub(super) struct ErrorAnswer {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Value,
}

impl Wire {
    /// A complaint in the provider's words, or in others.
    pub(super) fn put(
        self,
        complaint: &Complaint,
        model: &str,
        words: Option<&str>,
    ) -> ErrorAnswer {
        match self {
            Self::Gemini => gemini::answer::put(complaint, model, words),
            Self::OpenAi => openai::answer::put(complaint, model, words),
        }
    }
}
