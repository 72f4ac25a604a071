//! Where a URL leads, told by its text alone: refused, to the public internet, to a host that the
//! operator named, or to the project's own Supabase Storage.
//!
//! Pure, and the only place that decides who gets the service key.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use crate::images::address::is_public;

/// Where Supabase keeps objects, on every project.
const OBJECTS: &str = "/storage/v1/object/";
/// How an object may be read, where a URL says so: the word before the bucket.
const ACCESS_WORDS: [&str; 3] = ["public", "sign", "authenticated"];
/// Escapes that a server could undo into another path: `.`, `/`, `\` and `%` itself.
const PATH_ESCAPES: [&str; 4] = ["2e", "2f", "5c", "25"];

/// Longest URL that is opened: servers take 8 kB, and signed URLs stay below 4.
const MAX_URL_BYTES: usize = 8192;

/// What is wrong with the text of a URL, as a sentence for the person who wrote it.
///
/// Only the text counts, so none of these tells anything of our network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableUrl {
    #[error("Its URL cannot be read; use a whole one, such as https://example.com/photo.jpg.")]
    Unreadable,
    #[error("Its URL holds a control character, such as a line break or NUL; take it out.")]
    ControlCharacter,
    #[error(
        "Its URL holds a % without two hexadecimal digits behind it; write %25 for a percent sign."
    )]
    BadEscape,
    #[error("Its URL does not begin with https://, and nothing else is opened.")]
    NotHttps,
    #[error("Its URL has more than {MAX_URL_BYTES} characters; use a shorter one.")]
    TooLong,
    #[error("Its URL holds a user name or a password; use one without.")]
    WithPassword,
    #[error("Its URL names a port; only the standard port of https is opened.")]
    OddPort,
    #[error(
        "Its URL does not lead to a public host; put the picture where everybody can reach it."
    )]
    NotPublic,
    #[error("Its URL names no single object of the project's storage.")]
    NoObject,
}

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

/// One exact `host:port`; no wildcards, no default port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    host: Host,
    port: u16,
}

/// An entry of `IMAGE_FETCH_ALLOW` that names no host and port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not HOST:PORT, for instance storage.internal:9000 or [::1]:9000")]
pub struct InvalidHostPort(String);

impl FromStr for HostPort {
    type Err = InvalidHostPort;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidHostPort(text.to_owned());
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(invalid)?;
        if host.contains('*') || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        Ok(Self {
            host: Host::parse(host).map_err(|_| invalid())?,
            port: port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(invalid)?,
        })
    }
}

impl HostPort {
    fn is_of(&self, url: &Url) -> bool {
        url.host().is_some_and(|host| host == self.host)
            && url.port_or_known_default() == Some(self.port)
    }
}

/// A URL that may be opened, and how.
#[derive(Debug)]
pub(super) enum Route {
    /// Every address is still to be checked.
    Public(Url),
    /// The operator named this host.
    Allowed(Url),
    /// An object of the project's own storage.
    Supabase { url: Url, key: ServiceKey },
}

impl FetchPolicy {
    /// Where `text` leads, if anywhere.
    pub(super) fn route(&self, text: &str) -> Result<Route, UnusableUrl> {
        let url = read(text)?;
        if let Some(route) = self.supabase_route(&url)? {
            return Ok(route);
        }
        if self.allow.iter().any(|allowed| allowed.is_of(&url)) {
            return Ok(Route::Allowed(url));
        }
        if url.scheme() != "https" {
            Err(UnusableUrl::NotHttps)
        } else if url.port().is_some() {
            Err(UnusableUrl::OddPort)
        } else if !names_a_public_host(&url) {
            Err(UnusableUrl::NotPublic)
        } else {
            Ok(Route::Public(url))
        }
    }

    /// `None` for everything that is no object of the project's storage.
    fn supabase_route(&self, url: &Url) -> Result<Option<Route>, UnusableUrl> {
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
        target.set_path(&object_path(object).ok_or(UnusableUrl::NoObject)?);
        target.set_query(None);
        target.set_fragment(None);
        Ok(Some(Route::Supabase {
            url: target,
            key: supabase.service_key.clone(),
        }))
    }
}

/// The URL, if it is one that could be opened anywhere at all. `url` would drop line breaks in
/// silence and escape other control characters: nobody means them.
fn read(text: &str) -> Result<Url, UnusableUrl> {
    if text.contains(char::is_control) || text.contains("%00") {
        return Err(UnusableUrl::ControlCharacter);
    }
    if !has_valid_escapes(text) {
        return Err(UnusableUrl::BadEscape);
    }
    let url = Url::parse(text).map_err(|_| UnusableUrl::Unreadable)?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(UnusableUrl::NotHttps);
    }
    if url.as_str().len() > MAX_URL_BYTES {
        return Err(UnusableUrl::TooLong);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UnusableUrl::WithPassword);
    }
    Ok(url)
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

/// Every `%` begins an escape. A browser would let others pass; servers disagree about them.
fn has_valid_escapes(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        after
            .as_bytes()
            .get(..2)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Whether the host may be looked up at all. `url` has already read every way of writing an IPv4
/// address, the decimal, octal and hexadecimal ones among them.
fn names_a_public_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_public(address.into()),
        Some(Host::Ipv6(address)) => is_public(address.into()),
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            !name.is_empty() && name != "localhost" && !name.ends_with(".localhost")
        }
        None => false,
    }
}

#[cfg(test)]
mod tests;
