//! Settings of the HTTP surface.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use url::Url;

use super::{ConfigError, set};
use crate::domain::api_key::{self, ApiKey};

/// Where the server listens when nothing is said: this machine alone.
pub const DEFAULT_BIND: &str = "127.0.0.1:8088";

/// Where a server listens; of a worker it is all there is to say.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "HTTP")]
pub struct ListenArgs {
    /// Where to listen [default: 127.0.0.1:8088]
    #[arg(long, env = "BIND", value_name = "HOST:PORT")]
    pub bind: Option<SocketAddr>,
    /// Listen on this port of every address, as hosts of containers ask for; BIND goes before it
    #[arg(long, env = "PORT", value_name = "PORT")]
    pub port: Option<u16>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpArgs {
    #[command(flatten)]
    pub listen: ListenArgs,
    /// Keys of callers, team:key,team:key; *:key may do everything. More with safelight keys
    #[arg(long, env = "API_KEYS", hide_env_values = true, value_name = "KEYS")]
    pub api_keys: Option<String>,
    /// Legacy JWT secret of the Supabase project (HS256); without it the project's public keys count
    #[arg(
        long,
        env = "SUPABASE_JWT_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub supabase_jwt_secret: Option<String>,
    /// Query from a JWT's sub to your app's user id as text, for instance
    /// select id::text from users where "openId" = $1
    #[arg(long, env = "TENANT_SQL", value_name = "SQL")]
    pub tenant_sql: Option<String>,
    /// Origins of web pages that may call, https://app.example.com,... [default: none]
    #[arg(
        long,
        env = "CORS_ORIGINS",
        value_name = "ORIGIN,...",
        value_delimiter = ','
    )]
    pub cors_origins: Vec<String>,
    /// Where browsers reach this server, https://photos.example.com: image and zip URLs begin so.
    /// Without it they are paths
    #[arg(long, env = "PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Jobs of one tenant that may wait, about; more are refused; 0 for any number
    #[arg(
        long,
        env = "QUEUE_MAX_WAITING",
        value_name = "JOBS",
        default_value_t = 10_000
    )]
    pub queue_max_waiting: u32,
    /// Requests of one caller in a minute, 0 for any number; service keys have no limit
    #[arg(
        long,
        env = "CALLER_REQUESTS_PER_MINUTE",
        value_name = "N",
        default_value_t = 3000
    )]
    pub caller_requests_per_minute: u32,
    /// How long image and zip URLs live at least; a quarter more at most, and S3 signs for no more than seven days
    #[arg(long, env = "SIGNED_URL_SECONDS", value_name = "S", default_value_t = 21_600,
          value_parser = clap::value_parser!(u64).range(60..=483_840))]
    pub signed_url_seconds: u64,
    /// Where a customer without credit is sent
    #[arg(
        long,
        env = "UPGRADE_URL",
        value_name = "URL",
        default_value = "/pricing"
    )]
    pub upgrade_url: String,
}

impl ListenArgs {
    /// Where to listen, and whether somebody asked for it.
    pub fn address(&self) -> (SocketAddr, Asked) {
        match (self.bind, self.port) {
            (Some(bind), _) => (bind, Asked::Yes),
            (None, Some(port)) => (SocketAddr::from(([0, 0, 0, 0], port)), Asked::Yes),
            (None, None) => (SocketAddr::from(([127, 0, 0, 1], 8088)), Asked::No),
        }
    }
}

impl HttpArgs {
    /// Only their hashes.
    pub fn api_keys(&self) -> Result<Vec<ApiKey>, ConfigError> {
        set(self.api_keys.as_ref()).map_or(Ok(Vec::new()), |keys| Ok(api_key::parse(keys)?))
    }

    pub fn jwt_secret(&self) -> Option<&str> {
        set(self.supabase_jwt_secret.as_ref())
    }

    pub fn tenant_sql(&self) -> Option<&str> {
        set(self.tenant_sql.as_ref())
    }

    /// As a browser writes them: without a path, nor a port that goes without saying.
    pub fn origins(&self) -> Result<Vec<String>, ConfigError> {
        let origins = self.cors_origins.iter().map(|origin| origin.trim());
        let origins = origins.filter(|origin| !origin.is_empty());
        origins
            .map(|text| origin(text).ok_or_else(|| ConfigError::Origin(text.to_owned())))
            .collect()
    }

    /// Without the slash at its end.
    pub fn public_url(&self) -> Result<String, ConfigError> {
        let Some(text) = set(self.public_url.as_ref()) else {
            return Ok(String::new());
        };
        let url = Url::parse(text).map_err(ConfigError::PublicUrl)?;
        if url.has_host() && matches!(url.scheme(), "http" | "https") {
            Ok(text.trim_end_matches('/').to_owned())
        } else {
            Err(ConfigError::PublicUrl(url::ParseError::EmptyHost))
        }
    }

    pub fn signed_url_life(&self) -> Duration {
        Duration::from_secs(self.signed_url_seconds)
    }
}

fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https");
    let is_bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    (is_web && is_bare && !text.contains('*')).then(|| url.origin().ascii_serialization())
}

/// Whether somebody chose the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Yes,
    No,
}

#[cfg(test)]
mod tests;
