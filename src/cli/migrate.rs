//! `safelight migrate`: create the schema, adopt an app's own tables, or give them back.

use std::io::Write as _;

use clap::Args;

use super::CommandError;
use crate::app::{self, StartError};
use crate::config::{DatabaseArgs, FleetArgs, ProviderArgs};
use crate::db::schema::{self, Event, How, Plan};
use crate::db::{Db, settings};
use crate::domain::Provider;

/// Create the tables, adopt those that your app has already, or bring them up to date
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    DATABASE_URL=postgres://... safelight migrate --plan    what would be changed; changes nothing\n  \
    DATABASE_URL=postgres://... safelight migrate\n  \
    safelight migrate --print > adopt.sql                   the same as SQL, for psql -f or a SQL editor\n  \
    safelight migrate --undo                                give adopted tables back\n  \
    GEMINI_MODEL_NAME=gemini-3-pro-image safelight migrate  also record the fleet's default model\n  \
    TENANT_MAX_RUNNING=10 safelight migrate                 the same for what else the whole fleet obeys\n\n\
    A photo_generation_queue that your app made is taken over as it is: rows, ids and foreign keys\n\
    stay, nothing is rewritten, and no lock is held for a second, so the app may go on inserting.\n\
    Safe to run again, by two at once, and after it was killed.")]
pub(super) struct MigrateCommand {
    /// Show each change that would be made, and make none
    #[arg(long, group = "instead")]
    plan: bool,
    /// Print the SQL of the changes, and make none
    #[arg(long, group = "instead")]
    print: bool,
    /// Give adopted tables back to the program that had them; all data stay
    #[arg(long, group = "instead")]
    undo: bool,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    provider: ProviderArgs,
    #[command(flatten)]
    fleet: FleetArgs,
}

impl MigrateCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let models = self.models()?;
        let db = app::connect(&self.database).await?;
        if self.undo {
            return undo(&db).await;
        }
        if self.plan || self.print {
            let plan = schema::plan(&db).await.map_err(StartError::from)?;
            let lines = if self.plan {
                shown(&plan)
            } else {
                script(&plan)
            };
            writeln!(std::io::stdout(), "{}", lines.join("\n"))?;
            return Ok(());
        }
        migrate(&db).await?;
        if !models.is_empty() {
            let serves_first = match (models.as_slice(), self.provider.has_key()) {
                // Whoever names a model of one provider only, means this one.
                ([(provider, _)], false) => *provider,
                _ => self.provider.serves_first(),
            };
            settings::record(&db, settings::DEFAULT_PROVIDER, serves_first.as_str()).await?;
        }
        for (provider, model) in models {
            settings::set(&db, &settings::default_model_key(provider), model).await?;
            println!("The default model of {} is {model}.", provider.title());
        }
        if let Some(wished) = self.provider.wished_provider() {
            settings::set(&db, &wished.key, &wished.value).await?;
            println!("The default provider is {}.", wished.value);
        }
        for setting in self.fleet.wished() {
            settings::set(&db, &setting.key, &setting.value).await?;
            let (variable, value) = (setting.variable, setting.value);
            println!("{variable} is {value} for the whole fleet.");
        }
        Ok(())
    }
}

impl MigrateCommand {
    /// The default models that are wished for.
    fn models(&self) -> Result<Vec<(Provider, &str)>, StartError> {
        let mut models = Vec::new();
        for provider in Provider::ALL {
            let wished = self.provider.model(provider)?;
            models.extend(wished.map(|model| (provider, model)));
        }
        Ok(models)
    }
}

async fn migrate(db: &Db) -> Result<(), CommandError> {
    let migrated = schema::migrate(db, &report)
        .await
        .map_err(StartError::from)?;
    for note in &migrated.plan.notes {
        println!("Note: {note}");
    }
    if migrated.plan.steps.is_empty() {
        println!("The schema is up to date (version {}).", migrated.to);
    } else {
        println!("The schema is now version {}.", migrated.to);
    }
    if migrated.from.is_none() && !migrated.plan.adopts.is_empty() {
        println!(
            "Your app's own tables are adopted: start a worker, and it goes on where the old one is. \
             To take it back: safelight migrate --undo"
        );
    }
    Ok(())
}

async fn undo(db: &Db) -> Result<(), CommandError> {
    let left = schema::undo(db, &report).await.map_err(StartError::from)?;
    for left in left {
        println!("Not as it was: {left}");
    }
    println!(
        "The tables are your app's again, held to what they were held to before. Rows, photos, the \
         record of calls, added columns and words stay, and texts may still be of any length. To adopt them again: safelight migrate"
    );
    Ok(())
}

/// Results go to stdout when all is done; this is for who watches.
fn report(event: Event<'_>) {
    match event {
        Event::Changes(changes) => {
            for change in changes {
                eprintln!("{change}");
            }
        }
        Event::Working { elapsed, waits_for } => {
            let elapsed = elapsed.as_secs();
            match waits_for {
                Some(holder) => eprintln!("  {elapsed} s, waiting for the end of {holder}"),
                None => eprintln!("  still at it, {elapsed} s"),
            }
        }
        Event::Locked { by } => eprintln!("  waiting for a lock that is held by {by}"),
        Event::OtherMigration => eprintln!("waiting for another migration to end"),
    }
}

/// The plan for people.
fn shown(plan: &Plan) -> Vec<String> {
    if plan.steps.is_empty() {
        return vec!["Nothing to do: the schema is up to date.".to_owned()];
    }
    let mut lines = Vec::new();
    for (table, rows) in &plan.adopts {
        // The planner's guess, which it has made once the table was analyzed.
        let rows = match rows {
            0 => String::new(),
            rows => format!(", with about {rows} rows"),
        };
        lines.push(format!(
            "{table} is your app's own{rows}. It is taken over as it is."
        ));
    }
    let mut number = 0;
    for step in &plan.steps {
        for change in &step.changes {
            number += 1;
            lines.push(format!("{number:>3}. {change}{}", cost(step.how)));
        }
    }
    lines.extend(plan.notes.iter().map(|note| format!("Note: {note}")));
    lines.push(
        "Nothing is changed yet. To do it: safelight migrate. To see the SQL: safelight migrate --print"
            .to_owned(),
    );
    lines
}

fn cost(how: How) -> &'static str {
    match how {
        How::Briefly => "",
        How::Online => "  [takes time, stops nobody]",
    }
}

/// The plan as a script, which psql runs as it is.
fn script(plan: &Plan) -> Vec<String> {
    if plan.steps.is_empty() {
        return vec!["-- Nothing to do: the schema is up to date.".to_owned()];
    }
    let mut lines = vec![
        "-- safelight migrate, for this database as it is now. psql -v ON_ERROR_STOP=1 -f runs it as it".to_owned(),
        "-- is. In a SQL editor run the parts between the lines one by one, in order: most of the later".to_owned(),
        "-- ones are refused inside a transaction.".to_owned(),
        "SET search_path = public;".to_owned(),
    ];
    for step in &plan.steps {
        lines.push(format!("\n-- {}", "-".repeat(90)));
        lines.extend(step.changes.iter().map(|change| format!("-- {change}")));
        match step.how {
            How::Briefly => lines.extend([
                "BEGIN;".to_owned(),
                "SET LOCAL lock_timeout = '400ms';    -- if that is too short, run it again"
                    .to_owned(),
                step.sql.clone(),
                "COMMIT;".to_owned(),
            ]),
            How::Online => lines.push(step.sql.clone()),
        }
    }
    lines
}
