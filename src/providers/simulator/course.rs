//! What becomes of a call: the one place where a fault turns into a course of events.

use std::time::Duration;

use axum::http::StatusCode;

use super::fault::{Fault, FaultKind, HANG, STATED_DELAY};
use super::log::CallOutcome;
use super::openai;
use super::quota::Refusal;
use super::wire::{Complaint, ErrorAnswer, Wire};

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
    Refuse(ErrorAnswer),
    /// Answered at once with a web page, by somebody on the way; not accepted, not billed.
    Page(StatusCode),
    /// Work begins, the call is billed, and it ends like this.
    Accept(Ending),
}

/// The end of an accepted call.
#[derive(Clone, Debug)]
pub(super) enum Ending {
    Answer(Answer),
    Error(ErrorAnswer),
    /// Refused by the provider's rules, with an error.
    Moderated(ErrorAnswer),
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
    /// To a question: no JSON.
    BadJson,
    /// To a question: a box that no face has.
    BadBox,
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
    pub(super) fn of(fault: &Fault, wire: Wire, model: &str) -> Self {
        let words = fault.message.clone();
        let error = |complaint| wire.put(&complaint, model, fault.message.as_deref());
        let refuse = |complaint| Self::Refuse(error(complaint));
        let answer = |answer| Self::answered(answer, wire, fault.message.as_deref());
        let reason = |usual: &str| fault.reason.clone().unwrap_or_else(|| usual.to_owned());
        let finish = |reason, message| answer(Answer::Finish { reason, message });
        let stated = fault.wait.unwrap_or(STATED_DELAY);
        match fault.kind {
            FaultKind::Limited => refuse(Complaint::MinuteQuota {
                wait: stated,
                limit: None,
            }),
            FaultKind::LimitedArray => refuse(Complaint::MinuteQuotaOddly(stated)),
            FaultKind::LimitedBare => refuse(Complaint::Exhausted),
            FaultKind::Daily => refuse(Complaint::DailyQuota),
            FaultKind::LimitZero => refuse(Complaint::LimitZero),
            FaultKind::BadRequest => refuse(Complaint::Invalid(
                "Request contains an invalid argument.".to_owned(),
            )),
            FaultKind::Fidelity => refuse(Complaint::Fidelity),
            FaultKind::BadKey => refuse(Complaint::BadKey),
            FaultKind::NoCredit => refuse(Complaint::NoCredit),
            FaultKind::Unauthenticated => refuse(Complaint::Unauthenticated),
            FaultKind::Forbidden => refuse(Complaint::Forbidden),
            FaultKind::Gone => refuse(Complaint::Gone),
            FaultKind::Internal => refuse(Complaint::Internal),
            FaultKind::ArrayError => refuse(Complaint::InternalOddly),
            FaultKind::Timeout => refuse(Complaint::Timeout),
            FaultKind::Gateway => Self::Page(StatusCode::BAD_GATEWAY),
            FaultKind::WebPage => Self::Page(StatusCode::OK),
            FaultKind::Overloaded => refuse(Complaint::Overloaded),
            FaultKind::Deadline => refuse(Complaint::Deadline),
            FaultKind::InternalAccepted => Self::Accept(Ending::Error(error(Complaint::Internal))),
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
            FaultKind::BadJson => answer(Answer::BadJson),
            FaultKind::BadBox => answer(Answer::BadBox),
            FaultKind::Slow => answer(Answer::Picture),
        }
    }

    /// An accepted call that is answered. What Gemini refuses in a whole answer, OpenAI refuses with an
    /// error.
    fn answered(answer: Answer, wire: Wire, words: Option<&str>) -> Self {
        Self::Accept(match wire {
            Wire::OpenAi if answer.outcome() == CallOutcome::Refused => {
                Ending::Moderated(openai::answer::moderated(words))
            }
            Wire::Gemini | Wire::OpenAi => Ending::Answer(answer),
        })
    }

    /// What a quota that is used up does.
    pub(super) fn refused(refusal: Refusal, wire: Wire, model: &str) -> Self {
        let complaint = match refusal {
            Refusal::Minute { wait, limit } => Complaint::MinuteQuota {
                wait,
                limit: Some(limit),
            },
            Refusal::Day => Complaint::DailyQuota,
            Refusal::Concurrent => Complaint::Exhausted,
        };
        Self::Refuse(wire.put(&complaint, model, None))
    }

    /// The word for the log.
    pub(super) fn outcome(&self) -> CallOutcome {
        match self {
            Self::Refuse(error) if error.status.as_u16() == 429 => CallOutcome::Limited,
            Self::Refuse(_) | Self::Page(_) | Self::Accept(Ending::Error(_)) => CallOutcome::Error,
            Self::Accept(Ending::Hang(_)) => CallOutcome::Hang,
            Self::Accept(Ending::Reset) => CallOutcome::Reset,
            Self::Accept(Ending::Truncated) => CallOutcome::Truncated,
            Self::Accept(Ending::Moderated(_)) => CallOutcome::Refused,
            Self::Accept(Ending::Answer(answer)) => answer.outcome(),
        }
    }
}

impl Answer {
    fn outcome(&self) -> CallOutcome {
        match self {
            Self::Picture
            | Self::WrongMime
            | Self::WrongRatio
            | Self::Huge
            | Self::Thoughts
            | Self::OnlyThought => CallOutcome::Image,
            Self::CutPicture | Self::CutBase64 => CallOutcome::Truncated,
            Self::Finish { reason, .. } if REFUSES_OUTPUT.contains(&reason.as_str()) => {
                CallOutcome::Refused
            }
            Self::Blocked(reason) if reason != "OTHER" => CallOutcome::Refused,
            Self::Text(_)
            | Self::BadJson
            | Self::BadBox
            | Self::Empty
            | Self::Finish { .. }
            | Self::NoContent
            | Self::Blocked(_) => CallOutcome::Empty,
        }
    }
}
