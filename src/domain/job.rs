//! A job as a worker holds it, and the state of each of its images.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use super::Tenant;

/// The row's numeric `id`.
pub type JobId = i64;

/// One row of the queue as the claim read it. What an app wrote is still as it wrote it:
/// [`super::Request::parse`] decides whether it can be worked.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    pub id: JobId,
    /// The id that leaves the database: URLs, object keys, logs.
    pub job_id: Uuid,
    pub tenant: Tenant,
    /// `photo_generation` when the row says nothing.
    pub kind: String,
    pub batch_id: Option<i64>,
    pub base_prompt: Option<String>,
    pub example_prompt: Option<String>,
    pub example_url: Option<String>,
    /// JSON, not parsed yet.
    pub training_urls: Option<String>,
    pub aspect_ratio: Option<String>,
    /// Images asked for, any number, as the database counts them (`photo_generation_wanted`).
    pub images: i64,
    pub provider: Option<String>,
    /// The row's model, else the default recorded in the database.
    pub model: String,
    /// JSON, not parsed yet.
    pub payload: Option<String>,
    /// Attempts counted before this one.
    pub attempts: u32,
    pub max_attempts: u32,
    /// Follows the job through every log line.
    pub request_id: String,
    /// From the claim until `"expiresAt"`; nothing when that has passed, `None` when it never comes.
    pub expires_in: Option<Duration>,
}

/// Where one requested image stands; the `state` of a row in `photo_generation_images`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageState {
    /// To be called, again or for the first time.
    Planned,
    /// A call is in flight, or its worker died.
    Calling,
    /// Bought, stored, never bought again.
    Stored,
    /// The provider refuses it for good.
    Refused,
    /// Given up.
    Failed,
    /// Two calls in a row left us without knowing; not tried a third time.
    Ambiguous,
}

impl ImageState {
    pub const ALL: [Self; 6] = [
        Self::Planned,
        Self::Calling,
        Self::Stored,
        Self::Refused,
        Self::Failed,
        Self::Ambiguous,
    ];

    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Calling => "calling",
            Self::Stored => "stored",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Ambiguous => "ambiguous",
        }
    }
}

impl Serialize for ImageState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for ImageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ImageState {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| format!("unknown image state \"{word}\""))
    }
}

#[cfg(test)]
mod tests;
