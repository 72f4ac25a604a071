//! Who may: API keys, JWTs of a Supabase project, view tokens.
//!
//! What is sent must be right: a wrong key is refused even if a right token stands beside it, so that
//! nobody goes on for weeks with a key that does nothing. Only where nothing was ever set up (no key in the
//! settings or in the table, no Supabase project) everybody on this machine is let in, see `open`.

mod crypto;
mod jwks;
mod jwt;
mod keys;
mod limits;
mod open;
mod users;

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use axum::http::request::Parts;
use url::Url;

use super::Api;
use super::caller::Caller;
use super::error::ApiError;
use super::signing::{Moment, Opened, Scope};
use crate::db::{Db, DbError};
use crate::domain::{ApiKey, KeyOwner};
use jwt::Tokens;
use keys::Keys;
use limits::Limits;
use users::Users;

pub(super) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// What the parameter of a view token is called.
const TOKEN: &str = "token";

const NOTHING_SENT: &str = "Say who you are: send an API key, or the access token of a session, as Authorization: Bearer KEY.";
const NOT_A_BEARER: &str = "Authorization must be: Bearer, a space, and the key or token.";
const UNKNOWN_KEY: &str = "This API key is not known here, or it was revoked.";
const NO_TOKENS: &str = "This server takes API keys, and no JWTs.";
const BAD_LINK: &str = "The token of this link is not valid, or no longer.";
const TWO_CALLERS: &str = "Authorization and X-Api-Key say different things; send one of them.";
const UNKNOWN_USER: &str = "The app does not know this user.";

/// The settings of a gate.
#[derive(Debug)]
pub struct Access {
    /// Those of the settings; more are in the table.
    pub keys: Vec<ApiKey>,
    /// Whose users may call.
    pub project: Option<Project>,
    /// From a token's subject to the app's user id.
    pub tenant_sql: Option<String>,
    /// Of one tenant; 0: any number.
    pub requests_per_minute: u32,
}

/// A Supabase project.
pub struct Project {
    pub url: Url,
    /// Of projects that sign with a shared secret.
    pub secret: Option<String>,
}

impl std::fmt::Debug for Project {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Project({})", self.url)
    }
}

/// What proves who a caller is.
#[derive(Debug)]
pub struct Gate {
    keys: Keys,
    tokens: Option<Tokens>,
    users: Users,
    limits: Limits,
}

/// Why somebody is not let in.
#[derive(Debug)]
enum Denied {
    /// What was sent proves nothing; whoever does this often is told to wait.
    Wrong(&'static str),
    /// Nothing was sent, or what was right once: no attack.
    Lacking(&'static str),
    Failed(ApiError),
}

impl From<ApiError> for Denied {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl From<DbError> for Denied {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

impl Gate {
    /// # Errors
    /// When no HTTP client can be built.
    pub fn new(access: Access) -> Result<Self, reqwest::Error> {
        Ok(Self {
            keys: Keys::new(access.keys),
            tokens: access.project.map(Tokens::new).transpose()?,
            users: Users::new(access.tenant_sql),
            limits: Limits::new(access.requests_per_minute),
        })
    }

    /// Whether nothing says who may call: then only this machine may, and the server must listen on
    /// nothing but loopback. Never again true once a key was seen, so that revoking the last one, or
    /// deleting it, opens nothing.
    pub async fn is_open(&self, db: &Db) -> Result<bool, DbError> {
        Ok(self.tokens.is_none() && !self.keys.any(db).await?)
    }

    /// Runs what an operator wrote once, so that a mistake is seen at the start.
    pub async fn try_out(&self, db: &Db) -> Result<(), DbError> {
        self.users.try_out(db).await
    }

    /// Who this is.
    ///
    /// # Errors
    /// 401 for whoever proves nothing, 403 for a user whom the app does not know, 429 over a limit.
    pub async fn admit(&self, api: &Api, parts: &Parts) -> Result<Caller, ApiError> {
        match self.identify(api, parts).await {
            Ok(caller) => {
                self.limits.count(&caller)?;
                Ok(caller)
            }
            Err(Denied::Wrong(why)) => {
                if let Some(peer) = peer(parts) {
                    self.limits.count_failure(peer)?;
                }
                Err(ApiError::Unauthorized(why.to_owned()))
            }
            Err(Denied::Lacking(why)) => Err(ApiError::Unauthorized(why.to_owned())),
            Err(Denied::Failed(error)) => Err(error),
        }
    }

    async fn identify(&self, api: &Api, parts: &Parts) -> Result<Caller, Denied> {
        let is_open = self.is_open(api.db()).await?;
        if is_open {
            open::check(parts, &api.settings().origins)?;
        }
        let mut caller = None;
        for credential in credentials(&parts.headers) {
            let proved = self.prove(api.db(), credential?).await?;
            if caller.as_ref().is_some_and(|caller| *caller != proved) {
                return Err(Denied::Wrong(TWO_CALLERS));
            }
            caller = Some(proved);
        }
        if let Some(caller) = caller {
            return Ok(caller);
        }
        match view_token(parts) {
            Some(token) => match api.signer().opened(&token, Moment::now()) {
                Some(Opened {
                    scope: Scope::View,
                    what,
                    end,
                }) => Ok(Caller::Viewer { job: what, end }),
                Some(_) | None => Err(Denied::Wrong(BAD_LINK)),
            },
            None if is_open => Ok(Caller::Service),
            None => Err(Denied::Lacking(NOTHING_SENT)),
        }
    }

    /// Whose key or token it is.
    async fn prove(&self, db: &Db, credential: &str) -> Result<Caller, Denied> {
        if let Some(owner) = self.keys.owner(db, credential).await? {
            return Ok(match owner {
                KeyOwner::Service => Caller::Service,
                KeyOwner::Team(team) => Caller::Team(team),
            });
        }
        if credential.split('.').count() != 3 {
            return Err(Denied::Wrong(UNKNOWN_KEY));
        }
        let tokens = self.tokens.as_ref().ok_or(Denied::Wrong(NO_TOKENS))?;
        let subject = tokens.subject(credential).await?;
        let user = self.users.id(db, &subject).await?;
        // An empty id would be nobody's, and nobody's jobs are those of an app without customers.
        user.filter(|id| !id.is_empty())
            .map(Caller::User)
            .ok_or_else(|| Denied::Failed(ApiError::Forbidden(UNKNOWN_USER.to_owned())))
    }
}

/// All that the headers say; what is no text, or no bearer, is wrong.
fn credentials(headers: &HeaderMap) -> impl Iterator<Item = Result<&str, Denied>> {
    let bearers = headers.get_all(AUTHORIZATION).iter().map(|value| {
        let (scheme, credential) = value.to_str().ok()?.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(credential.trim())
    });
    let keys = headers.get_all(API_KEY).iter();
    let keys = keys.map(|value| value.to_str().ok().map(str::trim));
    bearers
        .chain(keys)
        .map(|credential| credential.ok_or(Denied::Wrong(NOT_A_BEARER)))
}

fn view_token(parts: &Parts) -> Option<String> {
    let query = parts.uri.query()?;
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == TOKEN)
        .map(|(_, token)| token.into_owned())
}

/// Who is at the other end of the connection; a proxy, where one stands in front.
fn peer(parts: &Parts) -> Option<IpAddr> {
    let ConnectInfo(address) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(address.ip())
}
