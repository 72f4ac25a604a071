//! What becomes of a call: the one place where a fault turns into a course of events.

use std::time::Duration;

use axum::http::StatusCode;

use super::fault::{Fault, FaultKind, HANG, STATED_DELAY};
use super::gemini::answer::{ApiError, EXHAUSTED};
use super::log::CallOutcome;
use super::quota::Refusal;

/// The finish reasons with which Gemini refuses what it has drawn.
const REFUSES_OUTPUT: [&str; 8] = [
    "SAFETY",
    "PROHIBITED_CONTENT",
    "BLOCKLIST",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "RECITATION",
    "IMAGE_RECITATION",
];
/// What it says when it filters a picture out.
const FILTERED: &str = "Unable to show the generated image. The image was filtered out because it violated Google's Generative AI Prohibited Use policy.";

/// What the simulator does with a call.
#[derive(Clone, Debug)]
pub(super) enum Course {
    /// Answered at once with an error; not accepted, not billed.
    Refuse(ApiError),
    /// Answered at once with a web page, by somebody on the way; not accepted, not billed.
    Page(StatusCode),
    /// Work begins, the call is billed, and it ends like this.
    Accept(Ending),
}

/// The end of an accepted call.
#[derive(Clone, Debug)]
pub(super) enum Ending {
    Answer(Answer),
    Error(ApiError),
    /// No answer for this long, then 504.
    Hang(Duration),
    Reset,
    /// The answer stops in the middle of the picture.
    Truncated,
}

/// A whole answer with status 200.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Picture,
    /// The file of the picture is cut in half.
    CutPicture,
    /// The text of the picture is cut in half.
    CutBase64,
    /// Half as high as was asked for.
    WrongRatio,
    /// JPEG under the name of PNG.
    WrongMime,
    Huge,
    Thoughts,
    OnlyThought,
    Text(Option<String>),
    Empty,
    /// A candidate without parts.
    Finish {
        reason: String,
        message: Option<String>,
    },
    /// A candidate without content.
    NoContent,
    /// No candidate, and the reason why the prompt was refused.
    Blocked(String),
}

impl Course {
    /// What a fault does to a call of `model`.
    pub(super) fn of(fault: &Fault, model: &str) -> Self {
        let words = fault.message.clone();
        let refuse = |error: ApiError| Self::Refuse(error.saying(fault.message.as_deref()));
        let answer = |answer| Self::Accept(Ending::Answer(answer));
        let reason = |usual: &str| fault.reason.clone().unwrap_or_else(|| usual.to_owned());
        let finish = |reason, message| answer(Answer::Finish { reason, message });
        let stated = fault.wait.unwrap_or(STATED_DELAY);
        match fault.kind {
            FaultKind::Limited => refuse(ApiError::minute_quota(model, stated)),
            FaultKind::LimitedArray => refuse(ApiError::minute_quota(model, stated).in_array()),
            FaultKind::LimitedBare => refuse(ApiError::exhausted(EXHAUSTED)),
            FaultKind::Daily => refuse(ApiError::daily_quota(model)),
            FaultKind::LimitZero => refuse(ApiError::limit_zero(model)),
            FaultKind::BadRequest => {
                refuse(ApiError::invalid("Request contains an invalid argument."))
            }
            FaultKind::BadKey => refuse(ApiError::bad_key()),
            FaultKind::NoCredit => refuse(ApiError::no_credit()),
            FaultKind::Unauthenticated => refuse(ApiError::unauthenticated()),
            FaultKind::Forbidden => refuse(ApiError::forbidden()),
            FaultKind::Gone => refuse(ApiError::unknown_model(model, "generateContent")),
            FaultKind::Internal => refuse(ApiError::internal()),
            FaultKind::ArrayError => refuse(ApiError::internal().in_array()),
            FaultKind::Timeout => refuse(ApiError::timeout()),
            FaultKind::Gateway => Self::Page(StatusCode::BAD_GATEWAY),
            FaultKind::WebPage => Self::Page(StatusCode::OK),
            FaultKind::Overloaded => refuse(ApiError::overloaded()),
            FaultKind::Deadline => refuse(ApiError::deadline()),
            FaultKind::InternalAccepted => Self::Accept(Ending::Error(
                ApiError::internal().saying(fault.message.as_deref()),
            )),
            FaultKind::Hang => Self::Accept(Ending::Hang(fault.wait.unwrap_or(HANG))),
            FaultKind::Reset => Self::Accept(Ending::Reset),
            FaultKind::Truncated => Self::Accept(Ending::Truncated),
            FaultKind::CutPicture => answer(Answer::CutPicture),
            FaultKind::CutBase64 => answer(Answer::CutBase64),
            FaultKind::Text => answer(Answer::Text(words)),
            FaultKind::Empty => answer(Answer::Empty),
            FaultKind::NoImage => finish("NO_IMAGE".to_owned(), words),
            FaultKind::Finish => finish(reason("STOP"), words),
            FaultKind::NoContent => answer(Answer::NoContent),
            FaultKind::Thoughts => answer(Answer::Thoughts),
            FaultKind::OnlyThought => answer(Answer::OnlyThought),
            FaultKind::Safety => {
                let words = words.unwrap_or_else(|| FILTERED.to_owned());
                finish("IMAGE_SAFETY".to_owned(), Some(words))
            }
            FaultKind::Blocked => answer(Answer::Blocked(reason("PROHIBITED_CONTENT"))),
            FaultKind::WrongMime => answer(Answer::WrongMime),
            FaultKind::WrongRatio => answer(Answer::WrongRatio),
            FaultKind::Huge => answer(Answer::Huge),
            FaultKind::Slow => answer(Answer::Picture),
        }
    }

    /// What a quota that is used up does.
    pub(super) fn refused(refusal: Refusal, model: &str) -> Self {
        Self::Refuse(match refusal {
            Refusal::Minute { wait } => ApiError::minute_quota(model, wait),
            Refusal::Day => ApiError::daily_quota(model),
            Refusal::Concurrent => ApiError::exhausted(EXHAUSTED),
        })
    }

    /// The word for the log.
    pub(super) fn outcome(&self) -> CallOutcome {
        match self {
            Self::Refuse(error) if error.status.as_u16() == 429 => CallOutcome::Limited,
            Self::Refuse(_) | Self::Page(_) | Self::Accept(Ending::Error(_)) => CallOutcome::Error,
            Self::Accept(Ending::Hang(_)) => CallOutcome::Hang,
            Self::Accept(Ending::Reset) => CallOutcome::Reset,
            Self::Accept(Ending::Truncated) => CallOutcome::Truncated,
            Self::Accept(Ending::Answer(answer)) => match answer {
                Answer::Picture
                | Answer::WrongMime
                | Answer::WrongRatio
                | Answer::Huge
                | Answer::Thoughts
                | Answer::OnlyThought => CallOutcome::Image,
                Answer::CutPicture | Answer::CutBase64 => CallOutcome::Truncated,
                Answer::Finish { reason, .. } if REFUSES_OUTPUT.contains(&reason.as_str()) => {
                    CallOutcome::Refused
                }
                Answer::Blocked(reason) if reason != "OTHER" => CallOutcome::Refused,
                Answer::Text(_)
                | Answer::Empty
                | Answer::Finish { .. }
                | Answer::NoContent
                | Answer::Blocked(_) => CallOutcome::Empty,
            },
        }
    }
}
