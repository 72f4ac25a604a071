//! Requests to the storage, tried again while that is worth it, all within one budget.

use std::io;

use bytes::Bytes;
use reqwest::{RequestBuilder, Response};
use tokio::time::{sleep, timeout};

use super::Supabase;
use super::error::{Complaint, complaint};
use crate::storage::remote::broken;

impl Supabase {
    /// An answer of which the body is still to come.
    pub(super) async fn send(&self, request: &RequestBuilder) -> Result<Response, Complaint> {
        self.tried(|| self.once(request)).await
    }

    /// A whole answer.
    pub(super) async fn read(&self, request: &RequestBuilder) -> Result<Bytes, Complaint> {
        self.tried(|| self.once_whole(request)).await
    }

    async fn tried<T, F: Future<Output = Result<T, Complaint>>>(
        &self,
        attempt: impl Fn() -> F,
    ) -> Result<T, Complaint> {
        let tries = async {
            let mut tried = 0;
            loop {
                let complaint = match attempt().await {
                    Ok(done) => return Ok(done),
                    Err(complaint) => complaint,
                };
                tried += 1;
                match self.budget().again_after(tried) {
                    Some(pause) if complaint.may_pass() => sleep(pause).await,
                    Some(_) | None => return Err(complaint),
                }
            }
        };
        timeout(self.budget().whole, tries)
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    async fn once_whole(&self, request: &RequestBuilder) -> Result<Bytes, Complaint> {
        let answer = self.once(request).await?;
        let body = timeout(self.budget().attempt, answer.bytes()).await;
        body.map_err(|_| late())?.map_err(lost)
    }

    async fn once(&self, request: &RequestBuilder) -> Result<Response, Complaint> {
        let request = request.try_clone().ok_or(Complaint::Unsendable)?;
        let sent = async {
            let answer = request.send().await.map_err(lost)?;
            if answer.status().is_success() {
                return Ok(answer);
            }
            let status = answer.status().as_u16();
            let body = answer.bytes().await.map_err(lost)?;
            Err(complaint(status, &body))
        };
        timeout(self.budget().attempt, sent)
            .await
            .unwrap_or_else(|_| Err(late()))
    }
}

fn late() -> Complaint {
    Complaint::Away(io::ErrorKind::TimedOut.into())
}

/// The client's own words hold the URL.
fn lost(error: reqwest::Error) -> Complaint {
    match error {
        error if error.is_timeout() => late(),
        error if error.is_builder() => Complaint::Unsendable,
        error => Complaint::Away(broken(&error.without_url())),
    }
}
