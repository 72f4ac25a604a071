//! The public keys of a Supabase project, fetched when a token needs them.
//!
//! The only HTTP client of the surface. It calls the one address of the settings, never one that a token
//! names. A key that is not known is asked for once, and then not again for a while, so that made-up
//! tokens make no requests; and what is known is not kept longer than Supabase's own caches keep it, so
//! that a key which the project took back is not honoured for hours. Only while the project cannot be
//! asked, what is known counts for somewhat longer: its short absence should lock nobody out.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::{Client, StatusCode, redirect};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

/// How long what is known counts.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// Without asking.
    keep: Duration,
    /// On top of it, while asking fails.
    unless_told: Duration,
    /// Between two requests, also after one that failed.
    floor: Duration,
}

/// Supabase's own caches keep them for ten minutes.
const TIMES: Times = Times {
    keep: Duration::from_mins(10),
    unless_told: Duration::from_mins(30),
    floor: Duration::from_secs(30),
};
/// From the look-up of the name to the last byte; somebody waits for it.
const DEADLINE: Duration = Duration::from_secs(5);
/// A project has two or three keys, of less than a kilobyte each.
const MOST_BYTES: usize = 256 * 1024;

/// A key of the project, and the only algorithm that it verifies.
#[derive(Clone, Debug)]
pub(super) struct PublicKey {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// The keys could not be fetched, and will not be tried again for so long.
#[derive(Debug)]
pub(super) struct Unreachable(pub(super) Duration);

/// The keys of one project. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Jwks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    url: Url,
    times: Times,
    kept: RwLock<Option<Kept>>,
    /// When the last request ended; held while one is under way.
    last: Mutex<Option<Try>>,
}

#[derive(Debug)]
struct Kept {
    keys: HashMap<String, PublicKey>,
    since: Instant,
}

#[derive(Debug)]
struct Try {
    at: Instant,
    succeeded: bool,
}

/// Why there are no keys; for the log.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its answer is larger than {MOST_BYTES} bytes")]
    TooLarge,
    #[error("its answer is no set of keys: {0}")]
    NotASet(#[from] serde_json::Error),
}

impl Jwks {
    pub(super) fn new(url: Url) -> Result<Self, reqwest::Error> {
        Self::with_times(url, TIMES)
    }

    fn with_times(url: Url, times: Times) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent(concat!("safelight/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(DEADLINE)
            .build()?;
        Ok(Self(Arc::new(Shared {
            client,
            url,
            times,
            kept: RwLock::default(),
            last: Mutex::default(),
        })))
    }

    /// The key of this id, if the project has it.
    pub(super) async fn key(&self, id: &str) -> Result<Option<PublicKey>, Unreachable> {
        if let Some(key) = self.0.fresh(id) {
            return Ok(Some(key));
        }
        let (shared, id) = (self.0.clone(), id.to_owned());
        // A task of its own: who hangs up must not take the answer from the others who wait for it.
        let look = tokio::spawn(async move { shared.look(&id).await });
        look.await.unwrap_or(Err(Unreachable(self.0.times.floor)))
    }
}

impl Shared {
    fn fresh(&self, id: &str) -> Option<PublicKey> {
        self.younger_than(self.times.keep, id)
    }

    /// What counts while the project cannot be asked.
    fn known(&self, id: &str) -> Option<PublicKey> {
        self.younger_than(self.times.keep + self.times.unless_told, id)
    }

    fn younger_than(&self, age: Duration, id: &str) -> Option<PublicKey> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.as_ref().filter(|kept| kept.since.elapsed() < age)?;
        kept.keys.get(id).cloned()
    }

    async fn look(&self, id: &str) -> Result<Option<PublicKey>, Unreachable> {
        let mut last = self.last.lock().await;
        // Somebody may have fetched them while we waited.
        if let Some(key) = self.fresh(id) {
            return Ok(Some(key));
        }
        if let Some(last) = &*last {
            let rest = self.times.floor.saturating_sub(last.at.elapsed());
            if !rest.is_zero() && last.succeeded {
                return Ok(None);
            } else if !rest.is_zero() {
                return self.known(id).map(Some).ok_or(Unreachable(rest));
            }
        }
        let fetched = self.fetch().await;
        let now = Instant::now();
        *last = Some(Try {
            at: now,
            succeeded: fetched.is_ok(),
        });
        match fetched {
            Ok(keys) => {
                let key = keys.get(id).cloned();
                let kept = Kept { keys, since: now };
                *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(kept);
                Ok(key)
            }
            Err(error) => {
                tracing::warn!(%error, url = %self.url, "the public keys of the Supabase project could not be fetched");
                let known = self.known(id).map(Some);
                known.ok_or(Unreachable(self.times.floor))
            }
        }
    }

    async fn fetch(&self) -> Result<HashMap<String, PublicKey>, FetchError> {
        let mut response = self.client.get(self.url.clone()).send().await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if bytes.len() + chunk.len() > MOST_BYTES {
                return Err(FetchError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(parse(&bytes)?)
    }
}

/// Those keys of a set that we can use; others are no mistake.
fn parse(bytes: &[u8]) -> Result<HashMap<String, PublicKey>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }

    let set: Set = serde_json::from_slice(bytes)?;
    let keys = set.keys.into_iter();
    let keys = keys.filter_map(|key| usable(&serde_json::from_value(key).ok()?));
    Ok(keys.collect())
}

/// By its kind, and by what the project says that it is for. A shared secret is never taken from a page
/// that everybody can read.
fn usable(key: &Jwk) -> Option<(String, PublicKey)> {
    let id = key.common.key_id.clone()?;
    match key.common.public_key_use {
        Some(PublicKeyUse::Signature) | None => {}
        Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_)) => return None,
    }
    let (algorithm, said) = match &key.algorithm {
        AlgorithmParameters::EllipticCurve(parameters)
            if parameters.curve == EllipticCurve::P256 =>
        {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        _ => return None,
    };
    if key.common.key_algorithm.is_some_and(|other| other != said) {
        return None;
    }
    let key = DecodingKey::from_jwk(key).ok()?;
    Some((id, PublicKey { algorithm, key }))
}

#[cfg(test)]
mod tests;
