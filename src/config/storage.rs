//! Where photos go, and from where input pictures may come.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use url::Url;

use super::{ConfigError, set};
use crate::images::{FetchPolicy, ServiceKey, SupabaseAccess, fetch};
use crate::net::HostPort;
use crate::storage::{StorageSettings, StorageTarget, SupabaseSettings};

mod s3;

pub use s3::S3Args;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Storage and input images")]
pub struct StorageArgs {
    /// Where photos go: local:DIR, s3://BUCKET/PREFIX or supabase:BUCKET [default: supabase:images if
    /// SUPABASE_URL is set, else local:./photos]
    #[arg(long, env = "STORAGE", value_name = "STORAGE")]
    pub storage: Option<String>,
    /// Your Supabase project, https://PROJECT.supabase.co; its storage is read with its key
    #[arg(long, env = "SUPABASE_URL", value_name = "URL")]
    pub supabase_url: Option<String>,
    /// service_role key of the project; this or the next is needed when SUPABASE_URL is set
    #[arg(
        long,
        env = "SUPABASE_SERVICE_ROLE_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub supabase_service_role_key: Option<String>,
    /// Secret key of the project, the newer kind
    #[arg(
        long,
        env = "SUPABASE_SECRET_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub supabase_secret_key: Option<String>,
    #[command(flatten)]
    pub s3: S3Args,
    /// Hosts, as exact host:port, from which input images are fetched unchecked, and to which webhooks are sent so
    #[arg(
        long,
        env = "IMAGE_FETCH_ALLOW",
        value_name = "HOST:PORT,...",
        value_delimiter = ','
    )]
    pub image_fetch_allow: Vec<String>,
    /// Longest time for the download of one input image
    #[arg(long, env = "IMAGE_FETCH_TIMEOUT_SECONDS", value_name = "S",
          default_value_t = fetch::DEADLINE.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub image_fetch_timeout_seconds: u64,
}

impl StorageArgs {
    /// Where photos go, with what is needed to go there.
    pub fn settings(&self) -> Result<StorageSettings, ConfigError> {
        Ok(match self.target()? {
            StorageTarget::Local(directory) => StorageSettings::Local(directory),
            StorageTarget::S3 { bucket, prefix } => {
                StorageSettings::S3(self.s3.settings(bucket, prefix)?)
            }
            StorageTarget::Supabase { bucket } => StorageSettings::Supabase(SupabaseSettings {
                bucket,
                access: self.supabase()?.ok_or(ConfigError::NoProject)?,
            }),
        })
    }

    /// STORAGE wins, then a bucket of R2 by its own name, then the project.
    fn target(&self) -> Result<StorageTarget, ConfigError> {
        let text = match (set(self.storage.as_ref()), self.s3.bucket()) {
            (Some(storage), _) => storage.to_owned(),
            (None, Some(bucket)) => format!("s3://{bucket}"),
            (None, None) if set(self.supabase_url.as_ref()).is_some() => {
                "supabase:images".to_owned()
            }
            (None, None) => "local:./photos".to_owned(),
        };
        Ok(StorageTarget::from_str(&text)?)
    }

    pub fn fetch_policy(&self) -> Result<FetchPolicy, ConfigError> {
        Ok(FetchPolicy {
            allow: self.allowed_hosts()?,
            supabase: self.supabase()?,
        })
    }

    /// Hosts of the operator's, which are reached unchecked.
    pub fn allowed_hosts(&self) -> Result<Vec<HostPort>, ConfigError> {
        let entries = self.image_fetch_allow.iter().map(|entry| entry.trim());
        entries
            .filter(|entry| !entry.is_empty())
            .map(|entry| HostPort::from_str(entry).map_err(ConfigError::FetchAllow))
            .collect()
    }

    pub fn image_fetch_timeout(&self) -> Duration {
        Duration::from_secs(self.image_fetch_timeout_seconds)
    }

    /// The Supabase project, if there is one.
    pub fn project(&self) -> Result<Option<Url>, ConfigError> {
        let Some(text) = set(self.supabase_url.as_ref()) else {
            return Ok(None);
        };
        let url = Url::parse(text).map_err(ConfigError::SupabaseUrl)?;
        // project.supabase.co:443 parses, with project.supabase.co for a scheme.
        if url.has_host() && matches!(url.scheme(), "http" | "https") {
            Ok(Some(url))
        } else {
            Err(ConfigError::SupabaseUrl(url::ParseError::EmptyHost))
        }
    }

    fn supabase(&self) -> Result<Option<SupabaseAccess>, ConfigError> {
        let Some(url) = self.project()? else {
            return Ok(None);
        };
        let key = set(self.supabase_service_role_key.as_ref())
            .or_else(|| set(self.supabase_secret_key.as_ref()))
            .ok_or(ConfigError::NoServiceKey)?;
        Ok(Some(SupabaseAccess {
            url,
            service_key: ServiceKey::new(key),
        }))
    }
}

#[cfg(test)]
mod tests;
