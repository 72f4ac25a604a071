//! Where a URL leads, told by its text alone: to the project's own Supabase Storage, or elsewhere, which
//! is for [`crate::net`] to judge.
//!
//! Pure, and the only place that decides who gets the service key.

use std::fmt;

use url::Url;

use super::FetchError;
use crate::net::{HostPort, Target, readable};

/// Where Supabase keeps objects, on every project.
const OBJECTS: &str = "/storage/v1/object/";
/// How an object may be read, where a URL says so: the word before the bucket.
const ACCESS_WORDS: [&str; 3] = ["public", "sign", "authenticated"];
/// Escapes that a server could undo into another path: `.`, `/`, `\` and `%` itself.
const PATH_ESCAPES: [&str; 4] = ["2e", "2f", "5c", "25"];

/// What the operator allows beyond the public internet.
#[derive(Clone, Debug, Default)]
pub struct FetchPolicy {
    /// Hosts that are not checked: self-hosted storage, tests. Plain http is allowed there.
    pub allow: Vec<HostPort>,
    /// The project whose storage is read with its service key.
    pub supabase: Option<SupabaseAccess>,
}

/// A Supabase project.
#[derive(Clone, Debug)]
pub struct SupabaseAccess {
    /// `SUPABASE_URL`; only its scheme, host and port count.
    pub url: Url,
    pub service_key: ServiceKey,
}

/// A key that reads everything. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceKey(String);

impl ServiceKey {
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A URL that may be opened, and how.
#[derive(Debug)]
pub(super) enum Route {
    /// No object of the project's.
    Elsewhere(Target),
    /// An object of the project's own storage.
    Supabase { url: Url, key: ServiceKey },
}

impl FetchPolicy {
    /// Where `text` leads, if anywhere.
    pub(super) fn route(&self, text: &str) -> Result<Route, FetchError> {
        let url = readable(text)?;
        if let Some(route) = self.supabase_route(&url)? {
            return Ok(route);
        }
        Ok(Route::Elsewhere(Target::of_url(url, &self.allow)?))
    }

    /// `None` for everything that is no object of the project's storage.
    fn supabase_route(&self, url: &Url) -> Result<Option<Route>, FetchError> {
        let Some(supabase) = &self.supabase else {
            return Ok(None);
        };
        if supabase.url.origin() != url.origin() {
            return Ok(None);
        }
        let Some(object) = url.path().strip_prefix(OBJECTS) else {
            return Ok(None);
        };
        let mut target = supabase.url.clone();
        target.set_path(&object_path(object).ok_or(FetchError::NoObject)?);
        target.set_query(None);
        target.set_fragment(None);
        Ok(Some(Route::Supabase {
            url: target,
            key: supabase.service_key.clone(),
        }))
    }
}

/// The path that reads an object with the service key, from `[public/ | sign/ |
/// authenticated/]{bucket}/{path}`. `None` for a path that could be read as another one.
fn object_path(object: &str) -> Option<String> {
    let object = ACCESS_WORDS
        .iter()
        .find_map(|word| object.strip_prefix(word)?.strip_prefix('/'))
        .unwrap_or(object);
    let (bucket, path) = object.split_once('/')?;
    let is_plain = !bucket.is_empty() && path.split('/').all(|segment| !segment.is_empty());
    if !is_plain || has_path_escape(object) {
        return None;
    }
    // A bucket may be called like an access word; then the word must be said.
    let access = if ACCESS_WORDS.contains(&bucket) {
        "authenticated/"
    } else {
        ""
    };
    Some(format!("{OBJECTS}{access}{bucket}/{path}"))
}

fn has_path_escape(path: &str) -> bool {
    path.split('%').skip(1).any(|after| {
        after.get(..2).is_none_or(|digits| {
            let digits = digits.to_ascii_lowercase();
            PATH_ESCAPES.contains(&digits.as_str())
        })
    })
}

#[cfg(test)]
mod tests;
