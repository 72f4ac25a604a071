//! API keys of the HTTP surface: as an operator writes them, whose they are, and what is kept of them.
//!
//! Only a SHA-256 is kept: whoever reads the settings of a running server, or the table, has no key. A
//! plain hash is enough because keys are long and random, not words that somebody thought of.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::hex;

/// Shorter ones can be found by trying.
pub const SHORTEST: usize = 16;
/// What keys of our making begin with, so that a scanner for leaked secrets knows them.
const PREFIX: &str = "sl_";
/// In place of a team: the key may do everything.
const SERVICE: &str = "*";

/// Whose a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    /// An app's own backend, which names whom it acts for.
    Service,
    Team(String),
}

impl KeyOwner {
    /// As the table has it: without a team it is a service key.
    pub fn of(team: Option<String>) -> Self {
        team.map_or(Self::Service, Self::Team)
    }

    pub fn team(&self) -> Option<&str> {
        match self {
            Self::Service => None,
            Self::Team(team) => Some(team),
        }
    }
}

impl fmt::Display for KeyOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => f.pad("service"),
            Self::Team(team) => f.pad(&format!("team:{team}")),
        }
    }
}

/// The SHA-256 of a key.
#[derive(Clone, Debug)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// As the table has it.
    pub fn from_hex(text: &str) -> Option<Self> {
        let pair = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = pair(at)?;
        }
        (text.len() == 64).then_some(Self(bytes))
    }

    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

impl ConstantTimeEq for KeyDigest {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

/// A key that opens, and for whom.
#[derive(Clone, Debug)]
pub struct ApiKey {
    pub owner: KeyOwner,
    pub digest: KeyDigest,
}

/// The text of a new key.
pub fn written(random: &[u8; 32]) -> String {
    format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random))
}

/// Why a list of keys cannot be used. Never quotes the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidApiKeys {
    #[error(
        "entry {0} is not team:key, or *:key for a key that may do everything; visible characters only, without quotes"
    )]
    NotAPair(usize),
    #[error(
        "the key of entry {0} is shorter than {SHORTEST} bytes; openssl rand -hex 24 makes a good one"
    )]
    TooShort(usize),
    #[error("entry {0} repeats the key of an earlier one: give each team a key of its own")]
    Repeated(usize),
}

/// Reads `team:key,team:key`. Entries are numbered from 1 in errors.
pub fn parse(text: &str) -> Result<Vec<ApiKey>, InvalidApiKeys> {
    let mut keys: Vec<ApiKey> = Vec::new();
    for (entry, written) in (1..).zip(text.split(',')) {
        let (team, key) = written
            .trim()
            .split_once(':')
            .ok_or(InvalidApiKeys::NotAPair(entry))?;
        if [team, key].iter().any(|part| !is_visible(part)) {
            return Err(InvalidApiKeys::NotAPair(entry));
        }
        if key.len() < SHORTEST {
            return Err(InvalidApiKeys::TooShort(entry));
        }
        let digest = KeyDigest::of(key);
        if keys.iter().any(|known| known.digest.ct_eq(&digest).into()) {
            return Err(InvalidApiKeys::Repeated(entry));
        }
        let owner = match team {
            SERVICE => KeyOwner::Service,
            team => KeyOwner::Team(team.to_owned()),
        };
        keys.push(ApiKey { owner, digest });
    }
    Ok(keys)
}

/// As a header can carry it.
fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
