//! What is paid for: answers over several attempts, and what hands may do to jobs whose images
//! are bought.

mod answers;
mod by_hand;
mod cost;

use safelight::worker::Settings;
use std::time::Duration;

use crate::harness::Stage;

/// What has to wait is let go on by SQL, and is found soon.
fn soon(settings: &mut Settings) {
    settings.poll_every = Duration::from_millis(200);
    settings.concurrency = 10;
    settings.call_timeout = Duration::from_secs(2);
}

impl Stage {
    /// Lets a job go on that waits for its next attempt.
    async fn go_on(&self, job: i64) {
        self.sql(&format!(
            r#"UPDATE photo_generation_queue SET "retryAt" = now() WHERE id = {job}"#
        ))
        .await;
    }

    /// Waits until so many attempts at a job have ended badly.
    async fn until_attempts(&self, job: i64, attempts: i32) {
        self.until(&format!(
            "SELECT status <> 'processing' AND attempts = {attempts}
             FROM photo_generation_queue WHERE id = {job}"
        ))
        .await;
    }

    async fn until_status(&self, job: i64, status: &str) {
        self.until(&format!(
            "SELECT status = '{status}' FROM photo_generation_queue WHERE id = {job}"
        ))
        .await;
    }

    /// `status attempts code`.
    async fn job_in_short(&self, job: i64) -> String {
        self.text(&format!(
            r#"SELECT concat_ws(' ', status, attempts, "errorCode") FROM photo_generation_queue WHERE id = {job}"#
        ))
        .await
    }

    /// `state state ...`, by index.
    async fn images_in_short(&self, job: i64) -> String {
        self.text(&format!(
            r#"SELECT string_agg(state, ' ' ORDER BY index) FROM photo_generation_images WHERE "jobId" = {job}"#
        ))
        .await
    }

    /// `state:accepted ...`, by state.
    async fn calls_in_short(&self, job: i64) -> String {
        self.text(&format!(
            r#"SELECT string_agg(state || ':' || coalesce(accepted::text, '?'), ' ' ORDER BY state, accepted)
               FROM photo_generation_calls WHERE "jobId" = {job}"#
        ))
        .await
    }
}
