//! What becomes of a call: the one place where a fault turns into a course of events.

use std::time::Duration;

use super::fault::{Fault, FaultKind, HANG, STATED_DELAY};
use super::gemini::answer::{ApiError, EXHAUSTED};
use super::log::CallOutcome;
use super::quota::Refusal;

/// What the simulator does with a call.
#[derive(Clone, Debug)]
pub(super) enum Course {
    /// Answered at once with an error; not accepted, not billed.
    Refuse(ApiError),
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
    /// JPEG under the name of PNG.
    WrongMime,
    Huge,
    Thoughts,
    OnlyThought,
    Text(Option<String>),
    Empty,
    NoImage(Option<String>),
    Safety(Option<String>),
    Blocked,
}

impl Course {
    /// What a fault does to a call of `model`.
    pub(super) fn of(fault: &Fault, model: &str) -> Self {
        let words = fault.message.clone();
        let refuse = |error: ApiError| Self::Refuse(error.saying(fault.message.as_deref()));
        let answer = |answer| Self::Accept(Ending::Answer(answer));
        match fault.kind {
            FaultKind::Limited => refuse(ApiError::minute_quota(
                model,
                fault.wait.unwrap_or(STATED_DELAY),
            )),
            FaultKind::LimitedBare => refuse(ApiError::exhausted(EXHAUSTED)),
            FaultKind::Daily => refuse(ApiError::daily_quota(model)),
            FaultKind::LimitZero => refuse(ApiError::limit_zero(model)),
            FaultKind::BadRequest => {
                refuse(ApiError::invalid("Request contains an invalid argument."))
            }
            FaultKind::BadKey => refuse(ApiError::bad_key()),
            FaultKind::NoCredit => refuse(ApiError::no_credit()),
            FaultKind::Forbidden => refuse(ApiError::forbidden()),
            FaultKind::Gone => refuse(ApiError::unknown_model(model, "generateContent")),
            FaultKind::Internal => refuse(ApiError::internal()),
            FaultKind::ArrayError => refuse(ApiError::internal().in_array()),
            FaultKind::Overloaded => refuse(ApiError::overloaded()),
            FaultKind::Deadline => refuse(ApiError::deadline()),
            FaultKind::InternalAccepted => Self::Accept(Ending::Error(
                ApiError::internal().saying(fault.message.as_deref()),
            )),
            FaultKind::Hang => Self::Accept(Ending::Hang(fault.wait.unwrap_or(HANG))),
            FaultKind::Reset => Self::Accept(Ending::Reset),
            FaultKind::Truncated => Self::Accept(Ending::Truncated),
            FaultKind::CutPicture => answer(Answer::CutPicture),
            FaultKind::Text => answer(Answer::Text(words)),
            FaultKind::Empty => answer(Answer::Empty),
            FaultKind::NoImage => answer(Answer::NoImage(words)),
            FaultKind::Thoughts => answer(Answer::Thoughts),
            FaultKind::OnlyThought => answer(Answer::OnlyThought),
            FaultKind::Safety => answer(Answer::Safety(words)),
            FaultKind::Blocked => answer(Answer::Blocked),
            FaultKind::WrongMime => answer(Answer::WrongMime),
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
            Self::Refuse(_) | Self::Accept(Ending::Error(_)) => CallOutcome::Error,
            Self::Accept(Ending::Hang(_)) => CallOutcome::Hang,
            Self::Accept(Ending::Reset) => CallOutcome::Reset,
            Self::Accept(Ending::Truncated) => CallOutcome::Truncated,
            Self::Accept(Ending::Answer(answer)) => match answer {
                Answer::Picture
                | Answer::WrongMime
                | Answer::Huge
                | Answer::Thoughts
                | Answer::OnlyThought => CallOutcome::Image,
                Answer::CutPicture => CallOutcome::Truncated,
                Answer::Text(_) | Answer::Empty | Answer::NoImage(_) => CallOutcome::Empty,
                Answer::Safety(_) | Answer::Blocked => CallOutcome::Refused,
            },
        }
    }
}
