//! Pictures by the URLs that users wrote: over the clients of [`crate::net`], which reach public
//! machines only, or from the project's own storage.
//!
//! A size limit while reading and one deadline for everything. What came is judged by its bytes.
//!
//! What is told about a failure must not map the network we stand in: a forbidden address, a
//! closed port and a name that does not exist are one [`FetchError::Unreachable`].

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode};

use super::{INVALID_INPUT, NotAPicture, PictureFormat};
use crate::domain::Failure;
use crate::net::{self, Clients, NoClient, Target, UnusableUrl};

mod route;

use route::Route;
pub use route::{FetchPolicy, ServiceKey, SupabaseAccess};

/// Largest file that is read; the same limit as for an upload.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;
/// From the first look-up to the last byte. 10 MB in 30 s is a slow telephone.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// `"errorCode"` of an input that may be there on a later try.
const UNAVAILABLE: &str = "input_unavailable";

/// Why a picture could not be fetched. The texts are sentences for the person who wrote the URL;
/// none holds an address, a path, a query or a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// By its text alone.
    #[error(transparent)]
    Refused(#[from] UnusableUrl),
    #[error("Its URL names no single object of the project's storage.")]
    NoObject,
    /// We do not follow: each hop would be one more way into our network.
    #[error("Its URL leads to a redirect, which is not followed; use the final URL.")]
    Redirected,
    /// The server answered, and will answer the same again.
    #[error("Its server answered {0} instead of a picture.")]
    Missing(StatusCode),
    #[error("The file is larger than 10 MB.")]
    TooLarge,
    #[error(transparent)]
    NotAPicture(#[from] NotAPicture),
    /// No connection, for whatever reason, or no answer in time.
    #[error("Its server could not be reached.")]
    Unreachable,
    /// The answer broke off, or took longer than the deadline.
    #[error("The download broke off before the whole file had arrived.")]
    Interrupted,
    /// The server has trouble of its own, or too much to do.
    #[error("Its server answered {0}; it may have the picture later.")]
    Busy(StatusCode),
    /// Ours to mend, not the user's.
    #[error("The project's storage refused this worker's key.")]
    KeyRefused,
    /// The TLS stack or the resolver of this machine could not be set up.
    #[error("This worker cannot open URLs.")]
    Client,
}

impl From<NoClient> for FetchError {
    fn from(NoClient: NoClient) -> Self {
        Self::Client
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Refused(_)
            | FetchError::NoObject
            | FetchError::Redirected
            | FetchError::Missing(_)
            | FetchError::TooLarge
            | FetchError::NotAPicture(_) => Self::never(INVALID_INPUT, error.to_string()),
            FetchError::Unreachable
            | FetchError::Interrupted
            | FetchError::Busy(_)
            | FetchError::KeyRefused
            | FetchError::Client => Self::retry(UNAVAILABLE, error.to_string()),
        }
    }
}

/// Fetches pictures by the URLs that users wrote. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Fetcher {
    policy: Arc<FetchPolicy>,
    clients: Clients,
    deadline: Duration,
}

impl Fetcher {
    /// The process must have installed its rustls provider before.
    pub fn new(policy: FetchPolicy) -> Result<Self, FetchError> {
        Ok(Self {
            policy: Arc::new(policy),
            clients: Clients::new()?,
            deadline: DEADLINE,
        })
    }

    /// From the first look-up to the last byte, in place of [`DEADLINE`].
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The whole file, known to begin like a picture that we take.
    pub async fn fetch(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let route = self.policy.route(url)?;
        let by = tokio::time::Instant::now() + self.deadline;
        let response = tokio::time::timeout_at(by, self.open(route))
            .await
            .map_err(|_| FetchError::Unreachable)??;
        let bytes = tokio::time::timeout_at(by, read(response))
            .await
            .map_err(|_| FetchError::Interrupted)??;
        PictureFormat::of(&bytes)?;
        Ok(bytes)
    }

    async fn open(&self, route: Route) -> Result<Response, FetchError> {
        let with_key = matches!(route, Route::Supabase { .. });
        let request = match route {
            Route::Elsewhere(target) => self.clients.request(Method::GET, target),
            Route::Supabase { url, key } => self
                .clients
                .request(Method::GET, Target::Allowed(url))
                .headers(key_headers(&key)?),
        };
        let response = request.send().await.map_err(|_| FetchError::Unreachable)?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status if status.is_redirection() => Err(FetchError::Redirected),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if with_key => {
                Err(FetchError::KeyRefused)
            }
            status if is_passing(status) => Err(FetchError::Busy(status)),
            status => Err(FetchError::Missing(status)),
        }
    }
}

impl SupabaseAccess {
    /// A client for the project's own storage, which shows the key with every request. Only for addresses
    /// below the project's; a redirect leads it nowhere.
    pub fn client(&self, connect: Duration) -> Result<Client, FetchError> {
        Ok(net::to_one_service(
            key_headers(&self.service_key)?,
            connect,
        )?)
    }
}

/// A new-style `sb_secret_` key is no JWT: as a bearer token the storage would refuse it.
fn key_headers(key: &ServiceKey) -> Result<HeaderMap, FetchError> {
    let secret = |text: &str| -> Result<HeaderValue, FetchError> {
        let mut value = HeaderValue::from_str(text).map_err(|_| FetchError::KeyRefused)?;
        value.set_sensitive(true);
        Ok(value)
    };
    let mut headers = HeaderMap::new();
    headers.insert("apikey", secret(key.expose())?);
    if !key.expose().starts_with("sb_secret_") {
        headers.insert(AUTHORIZATION, secret(&format!("Bearer {}", key.expose()))?);
    }
    Ok(headers)
}

/// Whether the same request may be answered otherwise later.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

/// Counts what arrives, because a length that a server states is only a statement.
async fn read(mut response: Response) -> Result<Vec<u8>, FetchError> {
    let stated = response.content_length().unwrap_or(0);
    if stated > MAX_BYTES as u64 {
        return Err(FetchError::TooLarge);
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|_| FetchError::Interrupted)?
    {
        if bytes.len() + chunk.len() > MAX_BYTES {
            return Err(FetchError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
