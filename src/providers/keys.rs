//! API keys as an operator writes them, `account:key,account:key`, and the accounts they open.
//!
//! Providers limit by account (Google and OpenAI call it a project), not by key: keys of one account share
//! one budget. A key without a name gets a name from its hash, which tells an operator which key
//! it is without telling anybody the key. Keys themselves never leave this folder.

use std::fmt;

use reqwest::header::HeaderValue;
use sha2::{Digest, Sha256};

/// The account of the first key without a name; `migrate` gives it a `limits` row.
const FIRST_ACCOUNT: &str = "default";
/// Shorter than a provider's key (Google's have 39 characters), so that `key:account` written
/// the wrong way round is refused before the key stands in a table as a name.
const MAX_ACCOUNT_CHARS: usize = 32;

/// One key and the account whose limits it draws on.
#[derive(Clone, Debug)]
pub struct Account {
    pub name: String,
    pub(super) key: Secret,
}

/// A key on its way into a header; prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(HeaderValue);

impl Secret {
    /// `None` when the text cannot be a key: keys are visible ASCII, as headers want them.
    fn parse(text: &str) -> Option<Self> {
        let visible = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let mut value = HeaderValue::from_str(text).ok().filter(|_| visible)?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    /// For the header that carries it, and marked so that no log prints it.
    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The same behind a word, as `Bearer` wants it.
    pub(super) fn header_after(&self, scheme: &'static str) -> HeaderValue {
        let text = [scheme.as_bytes(), self.0.as_bytes()].concat();
        // Both halves are visible ASCII; without them the provider says what is missing.
        let mut value =
            HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static(scheme));
        value.set_sensitive(true);
        value
    }

    /// Takes the key out of a provider's words: it is quoted in some refusals.
    pub(super) fn struck_from(&self, text: &str) -> String {
        match self.0.to_str() {
            Ok(key) => text.replace(key, "***"),
            Err(_) => text.to_owned(),
        }
    }

    /// First 8 hex digits of its SHA-256.
    fn fingerprint(&self) -> String {
        let digest: [u8; 32] = Sha256::digest(self.0.as_bytes()).into();
        let [a, b, c, d, ..] = digest;
        format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a list of keys cannot be used. Never quotes the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    #[error(
        "No provider key is set: put the key of https://aistudio.google.com/apikey in GEMINI_API_KEY, or that of https://platform.openai.com/api-keys in OPENAI_API_KEY (several in GEMINI_API_KEYS or OPENAI_API_KEYS as account:key,account:key)."
    )]
    Missing,
    #[error(
        "Entry {entry} of the provider keys is not a key: write key or account:key, visible characters only, without quotes or spaces inside."
    )]
    NotAKey { entry: usize },
    #[error(
        "Entry {entry} of the provider keys has no usable account name before the ':': 1 to {MAX_ACCOUNT_CHARS} characters, letters, digits, '-', '_' and '.'."
    )]
    NotAName { entry: usize },
    #[error("Entry {entry} of the provider keys repeats an earlier key: list each key once.")]
    Repeated { entry: usize },
}

/// Reads `key`, `account:key` or a list of them. Entries are numbered from 1 in errors.
///
/// # Errors
/// The first entry that cannot be used, or that there is none.
pub fn parse_keys(text: &str) -> Result<Vec<Account>, KeysError> {
    let mut accounts: Vec<Account> = Vec::new();
    let mut unnamed = 0;
    let entries = text.split(',').map(str::trim).enumerate();
    for (index, written) in entries.filter(|(_, written)| !written.is_empty()) {
        let entry = index + 1;
        let (name, key) = match written.split_once(':') {
            Some((name, key)) => (Some(name.trim()), key.trim()),
            None => (None, written),
        };
        if key.contains(':') {
            return Err(KeysError::NotAKey { entry });
        }
        let key = Secret::parse(key).ok_or(KeysError::NotAKey { entry })?;
        if accounts.iter().any(|account| account.key == key) {
            return Err(KeysError::Repeated { entry });
        }
        let name = match name {
            Some(name) if is_name(name) => name.to_owned(),
            Some(_) => return Err(KeysError::NotAName { entry }),
            None => {
                unnamed += 1;
                name_of_unnamed(unnamed, &key)
            }
        };
        accounts.push(Account { name, key });
    }
    if accounts.is_empty() {
        return Err(KeysError::Missing);
    }
    Ok(accounts)
}

fn name_of_unnamed(nth: usize, key: &Secret) -> String {
    match nth {
        1 => FIRST_ACCOUNT.to_owned(),
        _ => format!("key-{}", key.fingerprint()),
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=MAX_ACCOUNT_CHARS).contains(&name.len()) && name.chars().all(plain)
}

#[cfg(test)]
mod tests;
