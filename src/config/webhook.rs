//! Messages to apps.

use std::str::FromStr;

use clap::Args;

use super::{ConfigError, set};
use crate::webhooks::Secrets;

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Webhooks")]
pub struct WebhookArgs {
    /// Signs messages to the "webhookUrl" of jobs: whsec_ and the base64 of 24 to 64 random bytes;
    /// several, separated by commas, all sign. Without it none is sent
    #[arg(
        long,
        env = "WEBHOOK_SECRET",
        hide_env_values = true,
        value_name = "SECRET,..."
    )]
    pub webhook_secret: Option<String>,
}

impl WebhookArgs {
    pub fn secrets(&self) -> Result<Option<Secrets>, ConfigError> {
        let secrets = set(self.webhook_secret.as_ref()).map(Secrets::from_str);
        Ok(secrets.transpose()?)
    }
}
