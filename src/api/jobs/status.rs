//! A job in the words of a frontend that was written for a Redis queue.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::view::{ImageView, Progress};
use crate::api::hub::Seen;
use crate::api::links::Links;
use crate::api::openapi::one_of;
use crate::domain::Status;

/// The state of a job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct StatusView {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[schema(schema_with = states_of_queue)]
    status: &'static str,
    /// 0 to 100.
    #[schema(minimum = 0, maximum = 100)]
    progress: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    result: Option<StatusResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
    /// Milliseconds since 1970.
    updated_at: i64,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct StatusResult {
    image_urls: Vec<String>,
    image_ids: Vec<String>,
}

impl StatusView {
    /// `links` has those of its pictures.
    pub(in crate::api) fn of(seen: &Seen, links: &Links) -> Self {
        let job = seen.job();
        let images = seen
            .images()
            .iter()
            .map(|image| ImageView::of(job, image, links));
        let stored: Vec<_> = images.filter(ImageView::is_stored).collect();
        let result = (job.status == Status::Completed).then(|| StatusResult {
            image_urls: stored
                .iter()
                .filter_map(|image| image.url.clone())
                .collect(),
            image_ids: stored.iter().map(|image| image.id.clone()).collect(),
        });
        let (status, error) = match job.status {
            Status::Pending | Status::RateLimited => ("pending", None),
            Status::Processing => ("active", None),
            Status::Completed => ("completed", None),
            Status::Failed => ("failed", Some(job.error.clone().unwrap_or_default())),
            Status::Canceled => ("failed", Some("Canceled".to_owned())),
        };
        let changed = job.updated_at.or(job.created_at);
        Self {
            id: job
                .job_id
                .map_or_else(|| job.id.to_string(), |id| id.to_string()),
            kind: job.kind.clone(),
            status,
            progress: Progress::of(job, seen.images()).percent,
            result,
            error,
            updated_at: changed.map_or(0, |at| at.timestamp_millis()),
        }
    }
}

fn states_of_queue() -> Object {
    one_of(&["pending", "active", "completed", "failed"])
}
