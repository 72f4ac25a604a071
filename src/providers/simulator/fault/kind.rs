//! The faults themselves, and their names.

use std::fmt;
use std::str::FromStr;

use super::FaultError;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// 429 that states a delay (`wait=`, else 3.299376739 s).
    Limited,
    /// 429 without details, as when the provider's shared capacity is short.
    LimitedBare,
    /// 429 that states a delay, the error in an array of one.
    LimitedArray,
    /// 429: the quota of the day is used up.
    Daily,
    /// 429 with `limit: 0`: the model is not part of the account's plan.
    LimitZero,
    /// 400 without further meaning.
    BadRequest,
    /// 400 to a call that says how closely to keep to its pictures; to no other.
    Fidelity,
    /// 400 with `API_KEY_INVALID`.
    BadKey,
    /// 400 `FAILED_PRECONDITION`: no billing.
    NoCredit,
    /// 401: no credentials that it knows.
    Unauthenticated,
    /// 403: the key was reported as leaked.
    Forbidden,
    /// 404: no such model.
    Gone,
    /// 500, the call was not accepted.
    Internal,
    /// 500 although the call was accepted and is billed.
    InternalAccepted,
    /// 500 whose body is an array with one error.
    ArrayError,
    /// 408.
    Timeout,
    /// 502 with the web page of a gateway.
    Gateway,
    /// 503, overloaded.
    Overloaded,
    /// 504.
    Deadline,
    /// Accepted, then no answer until the client leaves, for `wait=` or ten minutes at most.
    Hang,
    /// Accepted, then the connection ends without a byte.
    Reset,
    /// Accepted, then the connection ends in the middle of the picture.
    Truncated,
    /// 200 with a web page: somebody stands in between.
    WebPage,
    /// A whole answer with half a PNG in it.
    CutPicture,
    /// A whole answer whose base64 ends in the middle.
    CutBase64,
    /// A text instead of a picture.
    Text,
    /// 200 without candidates.
    Empty,
    /// `finishReason` `NO_IMAGE`.
    NoImage,
    /// A candidate without parts that ended for `reason=`, else `STOP`.
    Finish,
    /// A candidate that ended with `STOP` and has no content at all.
    NoContent,
    /// Two interim pictures marked as thoughts before the real one.
    Thoughts,
    /// The only picture is marked as a thought.
    OnlyThought,
    /// The output was refused: `finishReason` `IMAGE_SAFETY`.
    Safety,
    /// The prompt was refused: `blockReason` is `reason=`, else `PROHIBITED_CONTENT`.
    Blocked,
    /// Says PNG, sends JPEG.
    WrongMime,
    /// A picture of another shape than was asked for.
    WrongRatio,
    /// A noisy PNG of 4096 × 4096 pixels that takes long to decode.
    Huge,
    /// To a question: words that are no JSON, in place of it.
    BadJson,
    /// To a question: JSON, with a face as large as the picture.
    BadBox,
    /// A good picture that takes longer: `slow=10s`.
    Slow,
}

impl FaultKind {
    /// Every fault with its name in a marker.
    pub const ALL: [(&'static str, Self); 40] = [
        ("429", Self::Limited),
        ("429-bare", Self::LimitedBare),
        ("429-array", Self::LimitedArray),
        ("daily", Self::Daily),
        ("limit0", Self::LimitZero),
        ("400", Self::BadRequest),
        ("fidelity", Self::Fidelity),
        ("badkey", Self::BadKey),
        ("nocredit", Self::NoCredit),
        ("401", Self::Unauthenticated),
        ("403", Self::Forbidden),
        ("gone", Self::Gone),
        ("500", Self::Internal),
        ("500-accepted", Self::InternalAccepted),
        ("array-error", Self::ArrayError),
        ("408", Self::Timeout),
        ("502", Self::Gateway),
        ("503", Self::Overloaded),
        ("504", Self::Deadline),
        ("hang", Self::Hang),
        ("reset", Self::Reset),
        ("truncated", Self::Truncated),
        ("webpage", Self::WebPage),
        ("cut-picture", Self::CutPicture),
        ("cut-base64", Self::CutBase64),
        ("text", Self::Text),
        ("empty", Self::Empty),
        ("noimage", Self::NoImage),
        ("finish", Self::Finish),
        ("nocontent", Self::NoContent),
        ("thoughts", Self::Thoughts),
        ("only-thought", Self::OnlyThought),
        ("safety", Self::Safety),
        ("blocked", Self::Blocked),
        ("wrongmime", Self::WrongMime),
        ("wrongratio", Self::WrongRatio),
        ("huge", Self::Huge),
        ("badjson", Self::BadJson),
        ("badbox", Self::BadBox),
        ("slow", Self::Slow),
    ];

    /// Whether `reason=` says anything about it.
    pub(super) fn has_reason(self) -> bool {
        matches!(self, Self::Finish | Self::Blocked)
    }
}

impl FromStr for FaultKind {
    type Err = FaultError;

    fn from_str(name: &str) -> Result<Self, FaultError> {
        let found = Self::ALL
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, kind)| *kind).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|(known, _)| *known).collect();
            FaultError(format!(
                "unknown fault \"{name}\"; the simulator knows {}",
                known.join(", ")
            ))
        })
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL
            .iter()
            .find(|(_, kind)| kind == self)
            .map(|(name, _)| *name);
        f.pad(name.unwrap_or_default())
    }
}
