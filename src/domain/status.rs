//! The six states of a job, in the words of the table.
//!
//! The words are the contract with every app that reads the queue; this is the only place in Rust
//! where they are spelled.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Where a job stands. See `README.md` for the picture with the arrows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Waits to be claimed, at once or from `"retryAt"` on.
    Pending,
    /// A worker holds its lease.
    Processing,
    /// The provider refused for now; claimed again from `"retryAt"` on, attempt not counted.
    RateLimited,
    /// At least one image is stored. Final.
    Completed,
    /// No image is stored. Final.
    Failed,
    /// Somebody wished it to end. Final.
    Canceled,
}

impl Status {
    /// Every state, in the order of a job's life.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Processing,
        Self::RateLimited,
        Self::Completed,
        Self::Failed,
        Self::Canceled,
    ];

    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::RateLimited => "rate_limited",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Nobody works on it yet, or not now.
    pub fn is_waiting(self) -> bool {
        match self {
            Self::Pending | Self::RateLimited => true,
            Self::Processing | Self::Completed | Self::Failed | Self::Canceled => false,
        }
    }

    /// No worker will touch a final job again unless an operator sets it back to pending.
    pub fn is_final(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Canceled => true,
            Self::Pending | Self::Processing | Self::RateLimited => false,
        }
    }

    /// A retry makes a new job from one that ended without pictures.
    pub fn can_be_retried(self) -> bool {
        match self {
            Self::Failed | Self::Canceled => true,
            Self::Pending | Self::Processing | Self::RateLimited | Self::Completed => false,
        }
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is none of the six.
#[derive(Debug, thiserror::Error)]
#[error(
    "unknown status \"{0}\"; the states are pending, processing, rate_limited, completed, failed, canceled"
)]
pub struct UnknownStatus(String);

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or_else(|| UnknownStatus(word.to_owned()))
    }
}
