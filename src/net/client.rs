//! Clients for URLs that strangers wrote: no redirects, no proxy, no cookies, and for all hosts but
//! those that the operator named no addresses but public ones.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderMap;
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, redirect};

use super::address::is_public;
use super::target::Target;

/// The TLS stack or the resolver of this machine could not be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this machine cannot open URLs")]
pub struct NoClient;

/// The two clients. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Connects public addresses only.
    guarded: Client,
    /// For the hosts that the operator named.
    trusted: Client,
}

impl Clients {
    /// The process must have installed its rustls provider before.
    pub fn new() -> Result<Self, NoClient> {
        let build = |client: ClientBuilder| client.build().map_err(|_| NoClient);
        Ok(Self {
            guarded: build(plain().https_only(true).dns_resolver(PublicOnly))?,
            trusted: build(plain())?,
        })
    }

    /// A request to where a URL may lead.
    pub fn request(&self, method: Method, target: Target) -> RequestBuilder {
        match target {
            Target::Public(url) => self.guarded.request(method, url),
            Target::Allowed(url) => self.trusted.request(method, url),
        }
    }
}

/// A client for one service of the operator's, which shows these headers with every request. Only for
/// addresses below the service's; a redirect leads it nowhere.
pub fn to_one_service(headers: HeaderMap, connect: Duration) -> Result<Client, NoClient> {
    plain()
        .default_headers(headers)
        .connect_timeout(connect)
        .build()
        .map_err(|_| NoClient)
}

/// What all clients have in common.
fn plain() -> ClientBuilder {
    Client::builder()
        .redirect(redirect::Policy::none())
        // A proxy would resolve the name for us, and past our check.
        .no_proxy()
        // Strangers' machines are many, and none is called often.
        .pool_max_idle_per_host(0)
        .referer(false)
        .user_agent(concat!("safelight/", env!("CARGO_PKG_VERSION")))
}

/// Resolves names to public addresses or not at all. Asked for names only: an address that stands
/// in the URL itself never comes here, which is why `target` checks those.
struct PublicOnly;

/// A name with no address, or with one that is not public.
#[derive(Debug, thiserror::Error)]
#[error("no usable address")]
struct NoUsableAddress;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // Port 0: the client puts in the port of the URL.
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(all_public(found)?.into_iter()) as Addrs)
        })
    }
}

/// One address that is not public spoils the name: such a mixture is an attack or a mistake.
fn all_public(found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, NoUsableAddress> {
    if !found.is_empty() && found.iter().all(|address| is_public(address.ip())) {
        Ok(found)
    } else {
        Err(NoUsableAddress)
    }
}

#[cfg(test)]
mod tests;
