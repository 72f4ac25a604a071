//! Whether a URL that a stranger wrote may be opened, told by its text alone: refused, to the public
//! internet, or to a host that the operator named.
//!
//! Pure. The addresses that a name resolves to are checked when it is connected, see `client`.

use std::str::FromStr;

use url::{Host, Url};

use super::address::is_public;

/// Longest URL that is opened: servers take 8 kB, and signed URLs stay below 4.
const MAX_URL_BYTES: usize = 8192;

/// What is wrong with the text of a URL, as a sentence for the person who wrote it.
///
/// Only the text counts, so none of these tells anything of our network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableUrl {
    #[error("Its URL cannot be read; use a whole one, such as https://example.com/path.")]
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
    #[error("Its URL does not lead to a public host; use one that everybody can reach.")]
    NotPublic,
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
pub enum Target {
    /// Every address is still to be checked.
    Public(Url),
    /// The operator named this host.
    Allowed(Url),
}

impl Target {
    /// Where `text` leads, if anywhere.
    pub fn of(text: &str, allowed: &[HostPort]) -> Result<Self, UnusableUrl> {
        Self::of_url(readable(text)?, allowed)
    }

    /// The same of a URL that was [`readable`].
    pub fn of_url(url: Url, allowed: &[HostPort]) -> Result<Self, UnusableUrl> {
        if allowed.iter().any(|allowed| allowed.is_of(&url)) {
            return Ok(Self::Allowed(url));
        }
        if url.scheme() != "https" {
            Err(UnusableUrl::NotHttps)
        } else if url.port().is_some() {
            Err(UnusableUrl::OddPort)
        } else if !names_a_public_host(&url) {
            Err(UnusableUrl::NotPublic)
        } else {
            Ok(Self::Public(url))
        }
    }
}

/// The URL, if it is one that could be opened anywhere at all. `url` would drop line breaks in
/// silence and escape other control characters: nobody means them.
pub fn readable(text: &str) -> Result<Url, UnusableUrl> {
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
