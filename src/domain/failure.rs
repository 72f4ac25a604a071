//! What an answer of a provider means, and what broke an attempt.
//!
//! Each provider maps what it saw on the wire to a [`CallResult`] in one place of its own; from
//! there on no code asks for HTTP statuses again. The classes are those of the table in the
//! README ("what happens to a provider's answer").

use std::time::Duration;

/// How one paid call ended, as seen by us. Closed: the ledger has one state for each group.
#[derive(Debug)]
pub enum CallResult {
    /// A picture came back. Not yet stored.
    Picture(Answer),
    /// Words came back, of a call that asked for them. Not yet understood.
    Words(Words),
    /// Moderation or safety, of the input or of the output: refused for good.
    Refused(Failure),
    /// The call was accepted, and paid, but there is nothing usable in the answer.
    Empty(Failure),
    /// 429 or its like: not accepted, not paid.
    Limited(Limit),
    /// The provider said no, or broke, with an answer that we could read.
    Failed {
        failure: Failure,
        /// Whether the call may have been paid for all the same; unknown for 5xx.
        accepted: Option<bool>,
    },
    /// Whether the provider took the call is unknown: timeout, reset, unreadable body.
    Ambiguous(Failure),
}

impl CallResult {
    /// The provider called this answer so. A picture knows that itself, and who refused a call
    /// before it was one gave no id.
    #[must_use]
    pub fn called(mut self, id: Option<String>) -> Self {
        match &mut self {
            Self::Refused(failure)
            | Self::Empty(failure)
            | Self::Failed { failure, .. }
            | Self::Ambiguous(failure) => failure.provider_request_id = id,
            Self::Picture(_) | Self::Words(_) | Self::Limited(_) => {}
        }
        self
    }

    /// It used so much although it brought no picture. A picture knows that itself, and a call that was
    /// not taken used nothing.
    #[must_use]
    pub fn used(mut self, usage: Usage) -> Self {
        match &mut self {
            Self::Refused(failure)
            | Self::Empty(failure)
            | Self::Failed { failure, .. }
            | Self::Ambiguous(failure) => failure.usage = Some(Box::new(usage)),
            Self::Picture(_) | Self::Words(_) | Self::Limited(_) => {}
        }
        self
    }
}

/// A usable answer.
#[derive(Debug)]
pub struct Answer {
    /// The picture as the provider sent it, not yet decoded.
    pub bytes: Vec<u8>,
    /// What the call used, where the provider says so.
    pub usage: Usage,
    /// The provider's own id of this call, for its support.
    pub request_id: Option<String>,
}

/// A usable answer in words.
#[derive(Debug)]
pub struct Words {
    pub text: String,
    pub usage: Usage,
    pub request_id: Option<String>,
}

/// Tokens that a call used, as the provider counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub input_tokens: Option<i64>,
    pub output_tokens: Option<i64>,
    /// Of these, those of images, where the provider tells them apart: they have prices of their own.
    pub input_image_tokens: Option<i64>,
    pub output_image_tokens: Option<i64>,
}

/// Why a provider takes no call from us for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// A short limit, and what the provider stated of it, if it did: how long to wait, and how many calls
    /// a minute it takes.
    Short {
        wait: Option<Duration>,
        per_minute: Option<i32>,
    },
    /// The quota of the day is used up; it returns at midnight Pacific time.
    Daily,
    /// Nothing we send can pass until a person mends the account.
    Blocked { reason: BlockReason, detail: String },
}

/// What a person has to mend at the provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockReason {
    BadKey,
    NoCredit,
    NotOnPlan,
    ModelGone,
}

impl BlockReason {
    /// The word in `photo_generation_limits.reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadKey => "bad_key",
            Self::NoCredit => "no_credit",
            Self::NotOnPlan => "not_on_plan",
            Self::ModelGone => "model_gone",
        }
    }

    /// The sentence for the operator.
    pub fn advice(self) -> &'static str {
        match self {
            Self::BadKey => {
                "the provider refuses this API key; set a valid one and restart the worker"
            }
            Self::NoCredit => "the provider's account has no credit or billing; mend it there",
            Self::NotOnPlan => {
                "the provider does not let this account call the model (plan, verification or country); mend it there"
            }
            Self::ModelGone => {
                "the provider does not know this model; name one it has in GEMINI_MODEL_NAME or OPENAI_MODEL_NAME"
            }
        }
    }
}

/// A failure as people and programs see it: `"errorMessage"` and `"errorCode"` of a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// `snake_case`, stable, for programs.
    pub code: &'static str,
    /// A sentence for people. Never holds a key, a path, an internal address or a signed URL.
    pub message: String,
    pub remedy: Remedy,
    /// The provider's own id of the call that failed, where it said one, for its support.
    pub provider_request_id: Option<String>,
    /// What the call that failed used all the same, where the provider says so. In a box: few have it.
    pub usage: Option<Box<Usage>>,
}

/// What may be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Try again later; the attempt counts.
    Retry,
    /// Try again later, once: if the same comes again, it always will.
    RetryOnce,
    /// Trying again would end the same way.
    Never,
    /// So would this, unless the input fidelity is left out, which the model refuses to be told.
    WithoutFidelity,
}

/// Longest text of a provider that we keep; the rest is noise in a table.
const DETAIL_CHARS: usize = 300;

impl Failure {
    pub fn retry(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, message.into(), Remedy::Retry)
    }

    /// `code` tells whether it is the same that came before.
    pub fn retry_once(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, message.into(), Remedy::RetryOnce)
    }

    pub fn never(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, message.into(), Remedy::Never)
    }

    pub fn without_fidelity(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, message.into(), Remedy::WithoutFidelity)
    }

    /// Of a call whose worker is dead, and whose picture was found nowhere.
    pub fn worker_lost() -> Self {
        Self::retry(
            "worker_lost",
            "The worker stopped before the answer was recorded.",
        )
    }

    /// Of a call that was broken off because its job was canceled or deleted.
    pub fn abandoned() -> Self {
        Self::retry("abandoned", "The job ended before the answer came.")
    }

    /// Past `"expiresAt"`. The statements that look for this code name it too.
    pub fn expired() -> Self {
        Self::never("expired", "The job expired before it could be done.")
    }

    fn new(code: &'static str, message: String, remedy: Remedy) -> Self {
        Self {
            code,
            message,
            remedy,
            provider_request_id: None,
            usage: None,
        }
    }
}

/// A stranger's own words, cut to a length that a table can carry. Control characters go: Postgres
/// refuses NUL, and a line of a log must stay one line.
pub fn excerpt(text: &str) -> String {
    let text = text.replace(char::is_control, "");
    match text.char_indices().nth(DETAIL_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
