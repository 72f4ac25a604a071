//! What messages are signed with: `WEBHOOK_SECRET`, one secret or several.
//!
//! Each signs, so that a receiver that knows the old one or the new one takes the message while they are
//! changed: add the new one behind, give it to the receivers, then take the old one away.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;
use uuid::Uuid;

/// Before the base64, so that a secret is seen to be one.
const PREFIX: &str = "whsec_";
/// Bytes of a secret, by the standard: neither guessed nor longer than what is hashed.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A text that is no secret. It is not repeated here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "each must be whsec_ and the base64 of 24 to 64 random bytes; make one with: echo \"whsec_$(openssl rand -base64 32)\""
)]
pub struct InvalidSecret;

/// One secret at least. Never shown.
#[derive(Clone)]
pub struct Secrets(Vec<hmac::Key>);

impl FromStr for Secrets {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        let keys: Vec<hmac::Key> = words.map(key).collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(InvalidSecret);
        }
        Ok(Self(keys))
    }
}

fn key(word: &str) -> Result<hmac::Key, InvalidSecret> {
    let encoded = word.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
    let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| InvalidSecret)?;
    if !LENGTHS.contains(&bytes.len()) {
        return Err(InvalidSecret);
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

impl Secrets {
    /// The header `webhook-signature`: one signature for each secret.
    pub(super) fn signature(&self, id: Uuid, timestamp: i64, body: &str) -> String {
        let signed = format!("{id}.{timestamp}.{body}");
        let each = self.0.iter().map(|key| {
            let tag = hmac::sign(key, signed.as_bytes());
            format!("v1,{}", BASE64_STANDARD.encode(tag))
        });
        each.collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests;
