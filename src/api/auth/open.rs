//! A server without any key: everybody on this machine is let in, and nobody else.
//!
//! It listens on loopback only, but so does the browser of whoever started it, and any web page may have a
//! browser send requests to 127.0.0.1. Two headers that no page can forge tell them apart: `Host`, which a
//! page that points its own name to 127.0.0.1 must send with that name, and `Origin`. A proxy on this
//! machine makes all the world look like it, so what came through one is not let in.

use axum::http::header::{HOST, HeaderValue, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use url::{Host, Url};

use crate::api::error::ApiError;

const FOREIGN_HOST: &str = "This server has no keys, so it answers to this machine alone, as localhost or 127.0.0.1. For others to call it, make a key: safelight keys create --help";
const FOREIGN_ORIGIN: &str = "This server has no keys, so only web pages of this machine may call it, and those in CORS_ORIGINS.";
const PROXIED: &str = "This server has no keys, so it answers to this machine alone, and this request came through a proxy. Set API_KEYS, or make a key: safelight keys create --help";

/// What proxies add, at least one of them each.
const OF_PROXIES: [&str; 5] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-real-ip",
    "via",
];

/// # Errors
/// 403 for what does not come from this machine.
pub(super) fn check(parts: &Parts, origins: &[String]) -> Result<(), ApiError> {
    if OF_PROXIES
        .iter()
        .any(|name| parts.headers.contains_key(*name))
    {
        return Err(ApiError::Forbidden(PROXIED.to_owned()));
    }
    let mut hosts = parts.headers.get_all(HOST).iter().peekable();
    let has_host = hosts.peek().is_some();
    let target = parts.uri.authority();
    if !has_host || !hosts.all(names_this_machine) || !target.is_none_or(is_this_machine) {
        return Err(ApiError::Forbidden(FOREIGN_HOST.to_owned()));
    }
    let mut callers = parts.headers.get_all(ORIGIN).iter();
    if callers.all(|origin| may_call(origin, origins)) {
        Ok(())
    } else {
        Err(ApiError::Forbidden(FOREIGN_ORIGIN.to_owned()))
    }
}

fn names_this_machine(host: &HeaderValue) -> bool {
    Authority::try_from(host.as_bytes()).is_ok_and(|host| is_this_machine(&host))
}

fn is_this_machine(host: &Authority) -> bool {
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|name| host.host().eq_ignore_ascii_case(name))
}

fn may_call(origin: &HeaderValue, origins: &[String]) -> bool {
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    origins.iter().any(|allowed| allowed == origin) || is_loopback(origin)
}

/// A page that this machine itself serves, such as an app in development.
fn is_loopback(origin: &str) -> bool {
    Url::parse(origin).is_ok_and(|url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    })
}

#[cfg(test)]
mod tests;
