//! The log of calls: the meter for money that tests trust.

use serde::{Deserialize, Serialize};

/// One call, from the moment its request was read. What the provider would bill is
/// `log.iter().filter(|call| call.accepted).count()`.
///
/// As JSON the names are camelCase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// From 1, in the order of arrival, refused calls included.
    pub seq: u64,
    /// The account of the key; empty when no key or an unknown one was sent.
    pub account: String,
    pub model: String,
    /// The whole text, fault markers included; empty when the body could not be read.
    pub prompt: String,
    /// This was the nth call of this exact prompt, those limited or refused by a fault counted;
    /// 0 when the call was not valid.
    pub n: u32,
    /// The call passed key, validation and quota, and work began: that is when it is billed,
    /// whatever becomes of the answer.
    pub accepted: bool,
    /// How the call ends, known from the start.
    pub outcome: CallOutcome,
    /// Set when the head of the answer is ready.
    pub http_status: Option<u16>,
    /// Since the simulator's start, on a clock that never jumps.
    pub received_at_ms: u64,
    /// The same moment on the clock on the wall, to compare with a database.
    pub received_unix_ms: u64,
    /// When the last byte of the answer was handed to the connection. Stays empty when the
    /// client left, and for answers that are cut short on purpose.
    pub answered_at_ms: Option<u64>,
    /// When the call ended, in whatever way; empty while it is in flight.
    pub ended_at_ms: Option<u64>,
    /// Pictures in the request.
    pub images_in: u32,
    /// Accepted calls of this account and model in flight, this one included.
    pub in_flight: u32,
    /// `responseId` of the answer, or `x-request-id` beside it.
    pub response_id: String,
}

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// A picture that can be used, or the answer to a question.
    Image,
    /// Moderation, of the prompt or of the picture.
    Refused,
    /// 200 without a picture.
    Empty,
    /// 429.
    Limited,
    /// Any other error that was answered.
    Error,
    /// No answer.
    Hang,
    /// The connection ended without an answer.
    Reset,
    /// The answer, or the picture in it, is cut short.
    Truncated,
}

impl CallOutcome {
    /// The word in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Refused => "refused",
            Self::Empty => "empty",
            Self::Limited => "limited",
            Self::Error => "error",
            Self::Hang => "hang",
            Self::Reset => "reset",
            Self::Truncated => "truncated",
        }
    }
}
