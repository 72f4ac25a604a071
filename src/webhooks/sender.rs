//! Sends one message once, over the clients that reach no machine they should not.
//!
//! What is told about a failure must not map the network we stand in, nor repeat what a machine in it
//! said: a forbidden address, a closed port and a name that does not exist are one
//! [`SendError::Unreachable`], and of an answer only its status is read.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use uuid::Uuid;

use super::Secrets;
use crate::net::{Clients, HostPort, NoClient, Target, UnusableUrl};

/// From the first look-up to the head of the answer. Receivers are to note the message and answer, and
/// work afterwards.
const DEADLINE: Duration = Duration::from_secs(15);

/// One try to send a message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The same in each try.
    pub id: Uuid,
    pub url: &'a str,
    /// When it is sent, in seconds since 1970.
    pub timestamp: i64,
    /// JSON.
    pub body: &'a str,
}

/// Why a message was not taken: sentences that hold no address, path, query or answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// By its text alone.
    #[error(transparent)]
    Refused(#[from] UnusableUrl),
    #[error("The receiver answered 410: it wants no messages any more.")]
    Gone,
    /// We do not follow: each hop would be one more way into our network.
    #[error("The receiver answered {0}, a redirect, which is not followed; use the final URL.")]
    Redirected(StatusCode),
    #[error("The receiver answered {status}.")]
    Answered {
        status: StatusCode,
        /// What it asked us to wait.
        wait: Option<Duration>,
    },
    /// No connection, for whatever reason.
    #[error("The receiver could not be reached.")]
    Unreachable,
    #[error("The receiver did not answer within {} seconds.", DEADLINE.as_secs())]
    Silent,
}

impl SendError {
    /// The status that was answered.
    pub fn status(&self) -> Option<StatusCode> {
        match *self {
            Self::Gone => Some(StatusCode::GONE),
            Self::Redirected(status) | Self::Answered { status, .. } => Some(status),
            Self::Refused(_) | Self::Unreachable | Self::Silent => None,
        }
    }

    /// No later try can end otherwise.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Gone => true,
            Self::Redirected(_) | Self::Answered { .. } | Self::Unreachable | Self::Silent => false,
        }
    }

    /// How long the receiver asked us to wait.
    pub fn stated_wait(&self) -> Option<Duration> {
        match self {
            Self::Answered { wait, .. } => *wait,
            Self::Refused(_)
            | Self::Gone
            | Self::Redirected(_)
            | Self::Unreachable
            | Self::Silent => None,
        }
    }
}

/// Signs and sends. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sender {
    clients: Clients,
    allowed: Arc<[HostPort]>,
    secrets: Secrets,
    deadline: Duration,
}

impl Sender {
    /// `allowed`: hosts that are not checked. The process must have installed its rustls provider before.
    pub fn new(secrets: Secrets, allowed: Vec<HostPort>) -> Result<Self, NoClient> {
        Ok(Self {
            clients: Clients::new()?,
            allowed: allowed.into(),
            secrets,
            deadline: DEADLINE,
        })
    }

    /// The status with which the message was taken.
    pub async fn send(&self, message: Message<'_>) -> Result<StatusCode, SendError> {
        let target = Target::of(message.url, &self.allowed)?;
        let signature = self
            .secrets
            .signature(message.id, message.timestamp, message.body);
        let request = self
            .clients
            .request(Method::POST, target)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id.to_string())
            .header("webhook-timestamp", message.timestamp)
            .header("webhook-signature", signature)
            .body(message.body.to_owned());
        let answer = tokio::time::timeout(self.deadline, request.send())
            .await
            .map_err(|_| SendError::Silent)?
            .map_err(|_| SendError::Unreachable)?;
        judge(&answer)
    }
}

fn judge(answer: &Response) -> Result<StatusCode, SendError> {
    match answer.status() {
        status if status.is_success() => Ok(status),
        StatusCode::GONE => Err(SendError::Gone),
        status if status.is_redirection() => Err(SendError::Redirected(status)),
        status => Err(SendError::Answered {
            status,
            wait: retry_after(status, answer.headers()),
        }),
    }
}

/// In seconds, with the statuses that it is for. The header's other form, a date, is not read: it would
/// need a clock.
fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let says_when = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let value = headers.get(RETRY_AFTER).filter(|_| says_when)?;
    value
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
