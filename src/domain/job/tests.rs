//! A claimed job for the unit tests of everybody who gets one.

use super::ClaimedJob;
use crate::domain::Tenant;
use crate::domain::model::DEFAULT_MODEL;

impl ClaimedJob {
    /// A row of the usual type for four pictures. Tests change what they are about.
    pub(crate) fn usual() -> Self {
        Self {
            id: 1,
            job_id: uuid::Uuid::nil(),
            tenant: Tenant::of(None, Some("7")),
            kind: "photo_generation".to_owned(),
            batch_id: None,
            base_prompt: Some("A portrait of Ada".to_owned()),
            example_prompt: None,
            example_url: None,
            training_urls: None,
            aspect_ratio: None,
            images: 4,
            provider: None,
            model: DEFAULT_MODEL.to_owned(),
            payload: None,
            attempts: 0,
            max_attempts: 5,
            request_id: "r".to_owned(),
            expires_in: None,
        }
    }
}
