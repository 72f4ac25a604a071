//! What stops a migration before any change, each with the SQL that clears the way.

use std::fmt::Write as _;

use super::super::columns::is_usable;
use super::super::found::{Column, Found, QUEUE, Table};
use super::sql::{capitalized, literal, quote};
use super::{ADOPTABLE, Obstacle};
use crate::domain::Status;

/// The first column of the queue that apps do not know of; those before it are theirs.
const FIRST_OF_OURS: &str = "jobId";

pub(super) fn obstacles(found: &Found) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    for (name, wanted) in &found.wanted {
        let Some(there) = found.tables.get(name) else {
            continue;
        };
        if !found.settled && !ADOPTABLE.contains(&name.as_str()) {
            obstacles.push(Obstacle {
                reason: format!("A table {name} exists, and it is not safelight's. Rename it:"),
                remedy: Some(format!("ALTER TABLE public.{name} RENAME TO app_{name};")),
            });
            continue;
        }
        obstacles.extend(unfit_table(name, there));
        if found.is_the_apps(name) {
            obstacles.extend(unfit_columns(name, wanted, there));
        }
    }
    obstacles.extend(unknown_words(found));
    obstacles
}

fn unfit_table(name: &str, table: &Table) -> Option<Obstacle> {
    if table.kind != "r" {
        return Some(Obstacle {
            reason: format!(
                "{name} is not an ordinary table (a view or a partitioned table, say). safelight works on ordinary tables only."
            ),
            remedy: None,
        });
    }
    (!table.is_ours_to_change).then(|| Obstacle {
        reason: format!(
            "{name} belongs to the role \"{0}\". Connect as that role, or become its member:",
            table.owner
        ),
        remedy: Some(format!("GRANT \"{}\" TO CURRENT_USER;", table.owner)),
    })
}

fn unfit_columns(name: &str, wanted: &Table, there: &Table) -> Vec<Obstacle> {
    let missing = |column: &str, what: &str| Obstacle {
        reason: format!(
            "{name} has no column \"{column}\": it is not a {what}. Rename the table if it is something else:"
        ),
        remedy: Some(format!("ALTER TABLE public.{name} RENAME TO app_{name};")),
    };
    let mut obstacles = Vec::new();
    for column in ["id", "status"] {
        if there.column(column).is_none() {
            obstacles.push(missing(column, "queue of jobs"));
        }
    }
    if there.column("id").is_some() && !there.is_key("id") {
        obstacles.push(Obstacle {
            reason: format!("\"id\" of {name} is not unique:"),
            remedy: Some(format!("ALTER TABLE public.{name} ADD PRIMARY KEY (id);")),
        });
    }
    let mut is_first_block = true;
    for column in &wanted.columns {
        is_first_block &= column.name != FIRST_OF_OURS;
        if let Some(there) = there
            .column(&column.name)
            .filter(|there| !is_usable(column, there))
        {
            obstacles.push(unusable(name, column, there, is_first_block));
        }
    }
    obstacles
}

/// A column that apps know of is converted; another one only happens to have the name of ours.
fn unusable(table: &str, wanted: &Column, there: &Column, is_first_block: bool) -> Obstacle {
    let quoted = quote(&there.name);
    let is = if there.generated {
        "computed by Postgres"
    } else {
        &there.type_name
    };
    let (advice, remedy) = if is_first_block && !there.generated {
        (
            "Convert it (this locks and rewrites the table)",
            format!(
                "ALTER TABLE public.{table} ALTER COLUMN {quoted} DROP DEFAULT,\n    ALTER COLUMN {quoted} TYPE {0} USING {quoted}::text::{0};",
                wanted.type_name
            ),
        )
    } else {
        let kept = quote(&format!("app{}", capitalized(&there.name)));
        let mut sql = format!("ALTER TABLE public.{table} RENAME COLUMN {quoted} TO {kept};");
        if there.not_null {
            let _ = write!(
                sql,
                "\nALTER TABLE public.{table} ALTER COLUMN {kept} DROP NOT NULL;"
            );
        }
        (
            "If it is your app's own, keep it under another name; what the app inserts goes to a new column then",
            sql,
        )
    };
    Obstacle {
        reason: format!(
            "{table}.{quoted} is {is}, and safelight needs {}. {advice}:",
            wanted.type_name
        ),
        remedy: Some(remedy),
    }
}

fn unknown_words(found: &Found) -> Vec<Obstacle> {
    // It may refuse the words that are right.
    let checks: Vec<String> = found
        .tables
        .get(QUEUE)
        .into_iter()
        .flat_map(|queue| &queue.constraints)
        .filter(|check| check.kind == "c" && check.columns == ["status"])
        .map(|check| {
            let name = quote(&check.name);
            format!("ALTER TABLE public.{QUEUE} DROP CONSTRAINT {name};\n")
        })
        .collect();
    let checks = checks.concat();
    let statuses = found.unknown_statuses.iter().map(|(word, rows)| {
        let (condition, meant) = match word.as_str() {
            "NULL" => ("status IS NULL".to_owned(), "pending"),
            "cancelled" | "aborted" => (format!("status = {}", literal(word)), "canceled"),
            "success" | "succeeded" | "done" => (format!("status = {}", literal(word)), "completed"),
            _ => (format!("status = {}", literal(word)), "failed"),
        };
        Obstacle {
            reason: format!(
                "{QUEUE}: {rows} rows have the status {word}, which safelight does not know. Give them one of {}, and let your app write it so too, for instance:",
                Status::ALL.map(Status::as_str).join(", ")
            ),
            remedy: Some(format!(
                "{checks}UPDATE public.{QUEUE} SET status = '{meant}' WHERE {condition};"
            )),
        }
    });
    let types = found.unknown_types.iter().map(|(word, rows)| Obstacle {
        reason: format!(
            "{QUEUE}: {rows} unfinished rows have the type {}, which safelight does not know, so that it would fail them. If \"type\" is your app's own, keep it under another name:",
            literal(word)
        ),
        remedy: Some(format!(
            "ALTER TABLE public.{QUEUE} RENAME COLUMN type TO \"appType\";"
        )),
    });
    statuses.chain(types).collect()
}
