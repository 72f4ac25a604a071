//! `safelight doctor`: what is wrong, and what to type to mend it.
//!
//! For the worst moment: each check has a deadline and a line of its own, and none stops the
//! others. What cannot be looked at because something else is broken says so. It changes nothing.

mod credits;
mod database;
mod exposure;
mod fleet;
mod provider;
mod report;
mod schema;
mod storage;
mod vacuum;
mod webhooks;

use std::time::Duration;

use clap::Args;

use super::CommandError;
use super::time::Length;
use crate::config::{DatabaseArgs, ProviderArgs, StorageArgs, WebhookArgs};
use crate::db::{DbError, doctor};
use database::Place;
use report::{Form, Line, Mend, Report};

/// Whoever calls for a doctor does not wait long; what works answers in a fraction of this.
const DEADLINE: Duration = Duration::from_secs(5);
/// The checks that need a database, after the one whether there is any.
const OF_DATABASE: [&str; 14] = [
    "pooler", "listen", "schema", "rights", "clock", "settings", "limits", "pauses", "workers",
    "spool", "webhooks", "credits", "vacuum", "exposure",
];
/// Those of them that need our tables, after the first.
const OF_SCHEMA: [&str; 7] = [
    "settings", "limits", "pauses", "workers", "spool", "webhooks", "credits",
];

/// Look at everything safelight needs, and say what mends what is broken
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    safelight doctor                       with the settings and as the user of your workers\n  \
    safelight doctor --json | jq -r '.checks[] | select(.level == \"fail\") | .mend[].sql // empty'\n  \
    safelight doctor --transactions-older-than 1m\n\n\
    One line for each check: ok, warn, FAIL, or skip where another check has to pass first; below \
    it what to type, as SQL or as a command. Nothing is changed, paid for or sent anywhere but to your \
    database, your storage and your provider. Exit code 1 if anything fails; warnings do not.")]
pub(super) struct DoctorCommand {
    /// Report transactions that have been open for longer: 90s, 30m, 2h, 7d
    #[arg(long, value_name = "TIME", default_value = "10m")]
    transactions_older_than: Length,
    /// A JSON object with all checks instead of lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    provider: ProviderArgs,
    #[command(flatten)]
    storage: StorageArgs,
    #[command(flatten)]
    webhook: WebhookArgs,
}

impl DoctorCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let mut report = Report::new(if self.json { Form::Json } else { Form::Text });
        let (line, place) = database::check(&self.database).await;
        report.add(line)?;
        let mut recorded = Vec::new();
        if let Some(place) = place {
            recorded = self.with_database(&place, &mut report).await?;
        } else {
            for name in OF_DATABASE {
                report.add(vec![Line::skip(name, "no database")])?;
            }
        }
        report.add(storage::check(&self.storage).await)?;
        report.add(provider::check(&self.provider, &recorded).await)?;
        report.end()
    }

    /// Returns the fleet's default models, as far as they are recorded.
    async fn with_database(
        &self,
        place: &Place,
        report: &mut Report,
    ) -> Result<Vec<String>, CommandError> {
        let db = &place.db;
        let listen_url = self.database.listen_url();
        let (line, sessions) = database::pooler(&place.address, listen_url).await;
        report.add(line)?;
        report.add(database::listen(place, listen_url, sessions).await)?;
        let (lines, tables) = schema::check(db).await;
        report.add(lines)?;
        report.add(within("clock", fleet::clock(db)).await)?;
        let mut recorded = Vec::new();
        if tables.readable {
            let (lines, models) = schema::settings(db, &self.provider).await;
            recorded = models;
            report.add(lines)?;
            report.add(within("limits", fleet::limits(db)).await)?;
            report.add(within("pauses", fleet::pauses(db)).await)?;
            report.add(within("workers", fleet::workers(db)).await)?;
            report.add(within("spool", fleet::spools(db)).await)?;
            report.add(within("webhooks", webhooks::check(db, &self.webhook)).await)?;
            report.add(within("credits", credits::check(db)).await)?;
        } else {
            for name in OF_SCHEMA {
                let why = "no schema that can be read, see above";
                report.add(vec![Line::skip(name, why)])?;
            }
        }
        let older_than = self.transactions_older_than.0;
        report.add(within("vacuum", vacuum::check(db, older_than)).await)?;
        if tables.exist {
            report.add(within("exposure", exposure::check(db)).await)?;
        } else {
            report.add(vec![Line::skip("exposure", "no schema")])?;
        }
        Ok(recorded)
    }
}

/// The lines of a check, or the one that says why there are none.
async fn within(
    name: &'static str,
    check: impl Future<Output = Result<Vec<Line>, DbError>>,
) -> Vec<Line> {
    let line = match tokio::time::timeout(DEADLINE, check).await {
        Ok(Ok(lines)) => return lines,
        Ok(Err(error)) if error.is_forbidden() => Line::skip(name, &format!("{error}; see rights")),
        Ok(Err(error)) => Line::fail(name, error, [busy(), Mend::sql(doctor::WHO_IS_BUSY)]),
        Err(_) => Line::fail(
            name,
            format!("no answer within {DEADLINE:?}"),
            [busy(), Mend::sql(doctor::WHO_IS_BUSY)],
        ),
    };
    vec![line]
}

fn busy() -> Mend {
    Mend::say("Run safelight doctor again; if this stays, see who keeps the database busy:")
}
