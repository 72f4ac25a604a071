//! `safelight migrate`: create the schema.

use clap::Args;

use super::CommandError;
use crate::app::{self, StartError, default_model_key};
use crate::config::{DatabaseArgs, ProviderArgs};
use crate::db::schema;
use crate::domain::Provider;

/// Create the tables in an empty database, or bring them up to date
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    DATABASE_URL=postgres://... safelight migrate\n  \
    GEMINI_MODEL_NAME=gemini-3-pro-image safelight migrate    also record the fleet's default model\n\n\
    Safe to run again, and by two at once.")]
pub(super) struct MigrateCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    provider: ProviderArgs,
}

impl MigrateCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let model = self.provider.model().map_err(StartError::from)?;
        let db = app::connect(&self.database).await?;
        let migrated = schema::migrate(&db).await.map_err(StartError::from)?;
        if migrated.from == migrated.to {
            println!("The schema is up to date (version {}).", migrated.to);
        } else {
            println!("The schema is now version {}.", migrated.to);
        }
        if let Some(model) = model {
            schema::set_setting(&db, &default_model_key(Provider::Gemini), model).await?;
            println!("The default model is {model}.");
        }
        Ok(())
    }
}
