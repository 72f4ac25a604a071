//! What a row asks for, once it is known to make sense.
//!
//! Apps insert rows without asking us, so nothing in them is trusted. Parsing either gives a
//! request that can be worked or a sentence for the person who wrote the row; it never stops the
//! worker. Each type of job has a file that says where its wishes are.

use serde_json::Value;

use super::failure::excerpt;
use super::{ClaimedJob, Failure, JobType, Model};
pub use options::{InputFidelity, Options, OutputFormat, Quality};
pub use picture::Picture;
pub use prompts::Prompts;
pub use ratio::AspectRatio;

mod image_edit;
mod image_generation;
mod options;
mod payload;
mod photo_generation;
mod picture;
mod prompts;
mod ratio;
mod tryon;
mod wishes;

/// Most images of one job.
pub const MAX_IMAGES: i32 = 100;

/// A job that can be worked.
#[derive(Debug, Clone)]
pub struct Request {
    pub prompts: Prompts,
    /// Input pictures in the order of the call.
    pub pictures: Vec<Picture>,
    /// 1 to [`MAX_IMAGES`].
    pub images: i32,
    pub aspect_ratio: Option<AspectRatio>,
    /// The results are to have the shape of the first input picture, as near as the model comes.
    pub keeps_shape: bool,
    /// One of the model's named sizes.
    pub image_size: Option<&'static str>,
    /// What only some models can be told.
    pub options: Options,
    pub model: Model,
}

/// Why a row cannot be worked, as a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RequestError(String);

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::never("invalid_request", error.0)
    }
}

fn invalid(message: impl Into<String>) -> RequestError {
    RequestError(message.into())
}

impl Request {
    /// Reads a claimed row.
    ///
    /// # Errors
    /// The first thing that makes the row unworkable.
    pub fn parse(job: &ClaimedJob) -> Result<Self, RequestError> {
        match JobType::named(&job.kind) {
            Some(JobType::PhotoGeneration) => photo_generation::parse(job),
            Some(JobType::ImageGeneration) => image_generation::parse(job),
            Some(JobType::ImageEdit) => image_edit::parse(job),
            Some(JobType::TryOn) => tryon::parse(job),
            None => Err(invalid(format!(
                "Unknown job type \"{}\"; one of {}.",
                excerpt(&job.kind),
                JobType::ALL.map(JobType::as_str).join(", ")
            ))),
        }
    }
}

/// What Postgres took for JSON and we do not (a number beyond all bounds, a nesting too deep) fails
/// this row and no other.
fn json(text: Option<&str>, column: &str) -> Result<Option<Value>, RequestError> {
    text.map(serde_json::from_str)
        .transpose()
        .map_err(|_| invalid(format!("\"{column}\" holds JSON that cannot be read.")))
}

#[cfg(test)]
mod tests;
