//! Our tables: are they there, of the right version, and may this role do a worker's work on them.

use super::report::{Line, Mend};
use super::within;

use crate::config::{ConfigError, ProviderArgs, model_variable};
use crate::db::doctor::{self, Hidden, Rights};
use crate::db::schema::{self, SchemaError};
use crate::db::{Db, DbError, settings};
use crate::domain::{Model, Provider};

const MIGRATE: &str = "safelight migrate";
/// The table that holds the version.
const SETTINGS: &str = "photo_generation_settings";

/// What the later checks can look at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tables {
    /// The queue at least, ours or not.
    pub(super) exist: bool,
    /// All of them, with all their rows.
    pub(super) readable: bool,
}

/// The lines `schema` and `rights`.
pub(super) async fn check(db: &Db) -> (Vec<Line>, Tables) {
    let mut tables = Tables::default();
    let lines = within("schema", look(db, &mut tables)).await;
    (lines, tables)
}

async fn look(db: &Db, tables: &mut Tables) -> Result<Vec<Line>, DbError> {
    let rights = doctor::rights(db).await?;
    tables.exist = rights.owner.is_some();
    if !rights.has_settings {
        let line = Line::fail("schema", SchemaError::Missing, [Mend::shell(MIGRATE)]);
        return Ok(vec![line, Line::skip("rights", "no schema")]);
    }
    let grants = doctor::grants_missing(db).await?;
    let hidden = doctor::rows_hidden(db).await?;
    tables.readable = rights.reads_settings && rights.visible && hidden.is_empty();
    let mut lines = vec![version(db, &rights, &hidden).await?];
    lines.extend(of_rights(&rights, grants, hidden));
    Ok(lines)
}

async fn version(db: &Db, rights: &Rights, hidden: &[Hidden]) -> Result<Line, DbError> {
    let is_hidden = hidden.iter().any(|one| one.table == SETTINGS);
    if !rights.reads_settings || is_hidden {
        let why = "this role cannot read photo_generation_settings, see rights";
        return Ok(Line::skip("schema", why));
    }
    if !rights.visible {
        return Ok(Line::fail(
            "schema",
            format!(
                "the tables in schema public are not on the search_path of {}",
                rights.role
            ),
            [Mend::sql(&rights.visible_sql)],
        ));
    }
    let line = match schema::check(db).await {
        Ok(()) => {
            let version = settings::get(db, "version").await?.unwrap_or_default();
            Line::ok("schema", format!("version {version}"))
        }
        Err(SchemaError::Database(error)) => return Err(error),
        Err(error @ SchemaError::WorkerTooOld(_)) => Line::fail(
            "schema",
            error,
            [
                Mend::say("In a checkout of the newest safelight:"),
                Mend::shell("cargo install --locked --path ."),
            ],
        ),
        Err(
            error @ (SchemaError::Missing
            | SchemaError::TooOld(_)
            | SchemaError::Obstacles(_)
            | SchemaError::Refused { .. }
            | SchemaError::Locked(_)
            | SchemaError::NotAdopted
            | SchemaError::WorkersLive(_)
            | SchemaError::Pooled),
        ) => Line::fail("schema", error, [Mend::shell(MIGRATE)]),
    };
    Ok(line)
}

fn of_rights(rights: &Rights, grants: Vec<String>, hidden: Vec<Hidden>) -> Vec<Line> {
    let role = &rights.role;
    let owner = rights.owner.as_deref().unwrap_or("the owner");
    let as_owner = || Mend::say(format!("As {owner}, who owns the tables:"));
    let mut lines = Vec::new();
    if !grants.is_empty() {
        let mend = std::iter::once(as_owner()).chain(grants.into_iter().map(Mend::Sql));
        lines.push(Line::fail(
            "rights",
            format!("{role} may not do all that a worker does"),
            mend,
        ));
    }
    if !hidden.is_empty() {
        let seen = format!(
            "row level security hides rows from {role}: a worker of this role finds no jobs"
        );
        let mend =
            std::iter::once(as_owner()).chain(hidden.into_iter().map(|one| Mend::Sql(one.sql)));
        lines.push(Line::fail("rights", seen, mend));
    }
    if lines.is_empty() {
        let seen = format!("{role} may do what a worker does");
        lines.push(Line::ok("rights", seen));
    }
    lines
}

/// The fleet's settings; also returns the default models.
pub(super) async fn settings(db: &Db, args: &ProviderArgs) -> (Vec<Line>, Vec<String>) {
    let mut models = Vec::new();
    let look = async {
        let serves = settings::get(db, settings::DEFAULT_PROVIDER).await?;
        let default = serves.as_deref().and_then(Provider::named);
        let mut lines = of_provider(serves.as_deref(), args);
        let mut of_default = None;
        for provider in Provider::ALL {
            let recorded = settings::get(db, &settings::default_model_key(provider)).await?;
            match (args.model(provider), &recorded) {
                (Err(error), _) => lines.push(unknown_model(provider, &error)),
                // Said already: until then none of them is anybody's default.
                (Ok(_), _) if serves.is_none() => {}
                (Ok(wished), Some(model)) => lines.extend(of_model(provider, model, wished)),
                (Ok(_), None) if default == Some(provider) => lines.push(nothing_recorded()),
                // Nobody has worked for it yet.
                (Ok(_), None) => {}
            }
            if default == Some(provider) {
                of_default.clone_from(&recorded);
            }
            models.extend(recorded);
        }
        let notifications = settings::get(db, "notifications").await?;
        if notifications.as_deref() != Some("on") {
            lines.push(Line::warn(
                "settings",
                "notifications are off: new rows are found by polling",
                [
                    Mend::say("Unless your app inserts with PREPARE TRANSACTION:"),
                    Mend::sql(doctor::NOTIFY_AGAIN),
                ],
            ));
        }
        if lines.is_empty() {
            let model = of_default.unwrap_or_default();
            let seen = format!("default model {model}, notifications on");
            lines.push(Line::ok("settings", seen));
        }
        Ok(lines)
    };
    let lines = within("settings", look).await;
    (lines, models)
}

/// What is wrong with the default provider, if anything.
fn of_provider(recorded: Option<&str>, args: &ProviderArgs) -> Vec<Line> {
    let record = |word: &str| Mend::shell(format!("DEFAULT_PROVIDER={word} {MIGRATE}"));
    let wished = args.default_provider.map(Provider::as_str);
    let line = match recorded {
        None => nothing_recorded(),
        Some(word) if Provider::named(word).is_none() => Line::fail(
            "settings",
            format!("the default provider \"{word}\" is none that safelight knows"),
            [record(args.serves_first().as_str())],
        ),
        Some(word) => match wished.filter(|wished| *wished != word) {
            None => return Vec::new(),
            Some(wished) => Line::warn(
                "settings",
                format!("DEFAULT_PROVIDER is {wished}, but {word} is recorded and counts"),
                [
                    Mend::say("Change it for the whole fleet, or unset DEFAULT_PROVIDER:"),
                    record(wished),
                ],
            ),
        },
    };
    vec![line]
}

fn nothing_recorded() -> Line {
    Line::warn(
        "settings",
        "no default model is recorded, which the first worker does; until then jobs that name \
         none wait",
        [Mend::shell("safelight worker")],
    )
}

fn unknown_model(provider: Provider, error: &ConfigError) -> Line {
    let (variable, usual) = (model_variable(provider), provider.default_model());
    let mend = [Mend::shell(format!("export {variable}={usual}"))];
    Line::fail("settings", error, mend)
}

/// What is wrong with a provider's default model, if anything.
fn of_model(provider: Provider, recorded: &str, wished: Option<&str>) -> Option<Line> {
    let variable = model_variable(provider);
    let record = |model: &str| Mend::shell(format!("{variable}={model} {MIGRATE}"));
    let known = Model::from_name(recorded).filter(|model| model.provider() == provider);
    if known.is_none() {
        return Some(Line::fail(
            "settings",
            format!(
                "the default model \"{recorded}\" is not an image model of {}",
                provider.title()
            ),
            [record(wished.unwrap_or(provider.default_model()))],
        ));
    }
    let wished = wished.filter(|wished| *wished != recorded)?;
    Some(Line::warn(
        "settings",
        format!("{variable} is {wished}, but {recorded} is recorded and counts"),
        [
            Mend::say(format!(
                "Change it for the whole fleet, or unset {variable}:"
            )),
            record(wished),
        ],
    ))
}
