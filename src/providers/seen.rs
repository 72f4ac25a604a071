//! What a result is, in a form that a table of tests can hold.

use crate::domain::CallResult;
use crate::domain::failure::{BlockReason, Limit, Remedy};

#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    Picture(Vec<u8>),
    Refused(&'static str),
    Empty(&'static str),
    EmptyOnce(&'static str),
    EmptyAlways(&'static str),
    /// The stated wait in nanoseconds.
    Short(Option<u64>),
    Daily,
    Blocked(BlockReason),
    Retry(&'static str, Option<bool>),
    Never(&'static str, Option<bool>),
    WithoutFidelity(&'static str, Option<bool>),
    Ambiguous(&'static str),
}

impl Seen {
    pub(super) fn of(result: CallResult) -> Self {
        match result {
            CallResult::Picture(answer) => Self::Picture(answer.bytes),
            CallResult::Words(words) => panic!("words were not asked for: {words:?}"),
            CallResult::Refused(failure) => {
                assert_eq!(failure.remedy, Remedy::Never);
                Self::Refused(failure.code)
            }
            CallResult::Empty(failure) => match failure.remedy {
                Remedy::Retry => Self::Empty(failure.code),
                Remedy::RetryOnce => Self::EmptyOnce(failure.code),
                Remedy::Never => Self::EmptyAlways(failure.code),
                Remedy::WithoutFidelity => panic!("{failure:?}"),
            },
            CallResult::Limited(Limit::Short { wait, .. }) => {
                Self::Short(wait.map(|wait| u64::try_from(wait.as_nanos()).unwrap()))
            }
            CallResult::Limited(Limit::Daily) => Self::Daily,
            CallResult::Limited(Limit::Blocked { reason, .. }) => Self::Blocked(reason),
            CallResult::Failed { failure, accepted } => match failure.remedy {
                Remedy::Retry => Self::Retry(failure.code, accepted),
                Remedy::Never => Self::Never(failure.code, accepted),
                Remedy::WithoutFidelity => Self::WithoutFidelity(failure.code, accepted),
                Remedy::RetryOnce => panic!("{failure:?}"),
            },
            CallResult::Ambiguous(failure) => Self::Ambiguous(failure.code),
        }
    }
}

/// The sentence that goes with it.
pub(super) fn message(result: CallResult) -> String {
    match result {
        CallResult::Refused(failure)
        | CallResult::Empty(failure)
        | CallResult::Ambiguous(failure)
        | CallResult::Failed { failure, .. } => failure.message,
        CallResult::Limited(Limit::Blocked { detail, .. }) => detail,
        CallResult::Limited(Limit::Short { .. } | Limit::Daily)
        | CallResult::Picture(_)
        | CallResult::Words(_) => {
            panic!("no message")
        }
    }
}
