//! Signatures that let somebody without a header in: view tokens, and URLs of pictures and zips.
//!
//! HMAC-SHA-256 over what is allowed, for whom, and until when, by one secret of the whole fleet, which
//! lives in the database (`photo_generation_secrets`), so that any server honours what any other has
//! signed. Delete the secret, restart, and nothing that was ever signed is valid.
//!
//! Ends are rounded up, so that what is signed twice within a quarter of its life is the same text: a poll
//! that changes nothing stays a 304.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use uuid::Uuid;

/// How long a view token lives at least.
pub(super) const TOKEN_LIFE: Duration = Duration::from_hours(6);

/// What a token opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One job: read, cancel, retry.
    View,
    /// The zip of one job, nothing else.
    Zip,
    /// The zip of one batch, named by its number.
    BatchZip,
}

/// What a token opens, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    pub scope: Scope,
    pub what: Uuid,
    pub end: Moment,
}

/// A moment, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// By this machine's clock.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(since.map_or(0, |since| since.as_secs()))
    }

    /// The end of something that lives this long at least and a quarter longer at most.
    #[must_use]
    pub fn end_of(self, life: Duration) -> Self {
        let step = step(life);
        Self((self.0 + life.as_secs()).div_ceil(step) * step)
    }

    /// The first of all moments with the same end, which is not after this one; and that end.
    #[must_use]
    pub fn span_of(self, life: Duration) -> (Self, Self) {
        let end = self.end_of(life);
        (Self(end.0 + 1 - life.as_secs() - step(life)), end)
    }
}

/// What is signed within so many seconds has the same end.
fn step(life: Duration) -> u64 {
    (life.as_secs() / 4).max(1)
}

/// Signs, and knows what it has signed.
#[derive(Clone, Debug)]
pub struct Signer(hmac::Key);

impl Signer {
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The signature of a text that says what it is about.
    pub fn sign(&self, text: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, text.as_bytes()))
    }

    /// In constant time.
    pub fn is_signed(&self, text: &str, signature: &str) -> bool {
        BASE64_URL_SAFE_NO_PAD
            .decode(signature)
            .is_ok_and(|tag| hmac::verify(&self.0, text.as_bytes(), &tag).is_ok())
    }

    /// A token that opens `what` until `end`.
    pub fn token(&self, scope: Scope, what: Uuid, end: Moment) -> String {
        let signature = self.sign(&scope.text(what, end));
        format!("{}.{}.{}.{signature}", scope.word(), what.simple(), end.0)
    }

    /// What a token opens, if it is ours and not over.
    pub fn opened(&self, token: &str, now: Moment) -> Option<Opened> {
        let mut parts = token.split('.');
        let (Some(word), Some(what), Some(end), Some(signature), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return None;
        };
        let scope = Scope::from_word(word)?;
        let what = what.parse().ok()?;
        let end = Moment(end.parse().ok()?);
        let is_ours = self.is_signed(&scope.text(what, end), signature);
        (is_ours && now < end).then_some(Opened { scope, what, end })
    }
}

impl Scope {
    const ALL: [Self; 3] = [Self::View, Self::Zip, Self::BatchZip];

    fn word(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Zip => "zip",
            Self::BatchZip => "batchzip",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.word() == word)
    }

    fn text(self, what: Uuid, end: Moment) -> String {
        format!("{}\n{what}\n{}", self.word(), end.0)
    }
}

#[cfg(test)]
mod tests;
