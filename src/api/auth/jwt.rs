//! The tokens of a Supabase project's users, and who each is of.
//!
//! The algorithm belongs to the key, not to the token: the shared secret verifies HS256 and nothing else, a
//! public key its own algorithm. Supabase also makes tokens that are no user (`anon`, `service_role`); they
//! are refused, the latter because it opens the app's whole database and has no business here.

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use url::Url;

use super::jwks::{Jwks, Unreachable};
use super::{Denied, Project, crypto};
use crate::api::error::ApiError;

/// How much clocks may differ, in seconds.
const LEEWAY: u64 = 30;
/// Whom a user's token is for, and what its role is.
const AUTHENTICATED: &str = "authenticated";

const FOREIGN: &str = "This token is not one of the Supabase project that this server serves.";
const MALFORMED: &str = "This is no JWT of Supabase.";
const UNKNOWN_KEY: &str = "This token is signed by a key that the Supabase project does not have.";
const EXPIRED: &str = "This token has expired; refresh the session, and send its new one.";
const TOO_EARLY: &str = "This token is not valid yet.";
const ANON: &str = "The anon key is no user; send the access token of a signed-in session.";
const SERVICE_ROLE: &str =
    "A service_role key is no user; make a key of safelight's own: safelight keys create --service";
const NO_USER: &str =
    "This token lacks what a user's has: exp, iss, sub, and authenticated as aud and role.";

/// Knows the tokens of one project.
#[derive(Debug)]
pub(super) struct Tokens {
    issuer: String,
    secret: Option<DecodingKey>,
    keys: Jwks,
}

#[derive(Debug, Deserialize)]
struct Claims {
    sub: Option<String>,
    role: Option<String>,
}

impl From<Unreachable> for Denied {
    fn from(Unreachable(wait): Unreachable) -> Self {
        Self::Failed(ApiError::KeysUnavailable(wait))
    }
}

impl Tokens {
    pub(super) fn new(project: Project) -> Result<Self, reqwest::Error> {
        crypto::install();
        let issuer = issuer(&project.url);
        let mut keys = project.url;
        keys.set_query(None);
        keys.set_fragment(None);
        let path = format!(
            "{}/auth/v1/.well-known/jwks.json",
            keys.path().trim_end_matches('/')
        );
        keys.set_path(&path);
        Ok(Self {
            issuer,
            secret: project
                .secret
                .map(|secret| DecodingKey::from_secret(secret.as_bytes())),
            keys: Jwks::new(keys)?,
        })
    }

    /// Whose token this is.
    pub(super) async fn subject(&self, token: &str) -> Result<String, Denied> {
        let header = decode_header(token).map_err(|_| Denied::Wrong(MALFORMED))?;
        if header.crit.is_some() {
            return Err(Denied::Wrong(MALFORMED));
        }
        match header.alg {
            Algorithm::HS256 => {
                let secret = self.secret.as_ref().ok_or(Denied::Wrong(FOREIGN))?;
                self.verified(token, Algorithm::HS256, secret)
            }
            Algorithm::ES256 | Algorithm::RS256 => {
                let id = header.kid.ok_or(Denied::Wrong(UNKNOWN_KEY))?;
                let found = self.keys.key(&id).await?;
                let found = found.ok_or(Denied::Wrong(UNKNOWN_KEY))?;
                self.verified(token, found.algorithm, &found.key)
            }
            _ => Err(Denied::Wrong(FOREIGN)),
        }
    }

    fn verified(
        &self,
        token: &str,
        algorithm: Algorithm,
        key: &DecodingKey,
    ) -> Result<String, Denied> {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation.set_audience(&[AUTHENTICATED]);
        validation.set_issuer(&[&self.issuer]);
        let claims: Claims = decode(token, key, &validation)
            .map_err(|error| refusal(token, &error))?
            .claims;
        if let Some(why) = of_role(&claims) {
            return Err(Denied::Wrong(why));
        }
        let subject = claims.sub.filter(|sub| !sub.is_empty());
        subject.ok_or(Denied::Wrong(NO_USER))
    }
}

/// What the tokens of a project name as their issuer.
fn issuer(project: &Url) -> String {
    format!("{}/auth/v1", project.as_str().trim_end_matches('/'))
}

/// Why a token was refused, in words that help. Nothing that is read here lets anybody in.
fn refusal(token: &str, error: &Error) -> Denied {
    match error.kind() {
        ErrorKind::ExpiredSignature => Denied::Lacking(EXPIRED),
        ErrorKind::ImmatureSignature => Denied::Lacking(TOO_EARLY),
        // The signature was right. The project's own keys lack most of what is asked of a user's token.
        ErrorKind::MissingRequiredClaim(_)
        | ErrorKind::InvalidIssuer
        | ErrorKind::InvalidAudience
        | ErrorKind::InvalidClaimFormat(_) => {
            let claims = insecure_decode_claims(token).ok();
            Denied::Wrong(claims.as_ref().and_then(of_role).unwrap_or(NO_USER))
        }
        _ => Denied::Wrong(FOREIGN),
    }
}

/// Why nobody of this role is let in.
fn of_role(claims: &Claims) -> Option<&'static str> {
    match claims.role.as_deref() {
        Some(AUTHENTICATED) => None,
        Some("anon") => Some(ANON),
        Some("service_role") => Some(SERVICE_ROLE),
        Some(_) | None => Some(NO_USER),
    }
}
