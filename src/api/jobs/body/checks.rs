//! Whether the fields of a body go together: each type of job has its own.

use super::EnqueueBody;
use crate::api::error::ApiError;
use crate::domain::JobType;

impl EnqueueBody {
    pub(super) fn job_type(&self) -> Result<JobType, ApiError> {
        let Some(word) = self.kind.as_deref() else {
            return Ok(JobType::default());
        };
        let kind = JobType::named(word).ok_or_else(|| unknown_type(word))?;
        if JobType::PROMPTED.contains(&kind) {
            return Ok(kind);
        }
        invalid("Jobs of \"type\" tryon are enqueued by POST /api/tryon.")
    }

    /// What only a job of another type could ask for, and what an edit must.
    pub(super) fn check_fields(&self, kind: JobType) -> Result<(), ApiError> {
        let is_of_edits = self.edit_prompt.is_some() || self.source_image_url.is_some();
        match kind {
            JobType::PhotoGeneration if is_of_edits || self.prompts.is_some() => invalid(
                "\"prompts\", \"editPrompt\" and \"sourceImageUrl\" are not for jobs of type photo_generation: use \"prompt\" and \"images\", or \"type\" image_generation or image_edit.",
            ),
            JobType::ImageGeneration if is_of_edits => invalid(
                "\"editPrompt\" and \"sourceImageUrl\" are not for jobs of type image_generation: use \"prompt\" and \"images\", or \"type\" image_edit.",
            ),
            JobType::ImageEdit
                if self.source_image_url.is_none() && self.images.iter().flatten().count() == 0 =>
            {
                invalid("\"sourceImageUrl\" is missing: say which picture is to be edited.")
            }
            JobType::PhotoGeneration
            | JobType::ImageGeneration
            | JobType::ImageEdit
            | JobType::TryOn => Ok(()),
        }
    }

    /// Said once, and not in blanks.
    pub(super) fn check_prompts(&self) -> Result<(), ApiError> {
        let is_blank = |prompt: &String| prompt.trim().is_empty();
        let said = [
            self.prompt.is_some(),
            self.prompts.is_some(),
            self.edit_prompt.is_some(),
        ];
        if said.into_iter().filter(|said| *said).count() > 1 {
            return invalid(
                "\"prompt\", \"prompts\" and \"editPrompt\" say the same: leave all but one of them out.",
            );
        }
        if let Some(prompts) = &self.prompts {
            if prompts.is_empty() || prompts.iter().any(is_blank) {
                return invalid("\"prompts\" must hold a text for each image, none of them empty.");
            }
            return Ok(());
        }
        match self.prompt.as_ref().or(self.edit_prompt.as_ref()) {
            Some(prompt) if !is_blank(prompt) => Ok(()),
            Some(_) | None => invalid("\"prompt\" is missing: say what the photos are to show."),
        }
    }
}

pub(super) fn invalid<T>(text: &str) -> Result<T, ApiError> {
    Err(ApiError::Invalid(text.to_owned()))
}

fn unknown_type(kind: &str) -> ApiError {
    let shown: String = kind.chars().take(40).collect();
    ApiError::Invalid(format!(
        "\"type\" is \"{shown}\"; one of {}.",
        JobType::PROMPTED.map(JobType::as_str).join(", ")
    ))
}
