//! What stops a migration before any change, each with the SQL that clears the way.

mod rows;

use std::fmt::Write as _;

use super::super::columns::{is_too_narrow, is_usable};
use super::super::found::{Column, Found, QUEUE, Table};
use super::sql::{capitalized, quote};
use super::{ADOPTABLE, Obstacle, missing_labels};

/// The first column of the queue that apps do not know of; those before it are theirs.
const FIRST_OF_OURS: &str = "jobId";

pub(super) fn obstacles(found: &Found) -> Vec<Obstacle> {
    let mut obstacles: Vec<Obstacle> = found
        .lacks
        .iter()
        .map(|right| lacking(found, right))
        .collect();
    obstacles.extend(found.elsewhere.iter().map(|schema| elsewhere(schema)));
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
        obstacles.extend(unfit_table(found, name, there));
        if found.is_the_apps(name) {
            obstacles.extend(unfit_columns(name, wanted, there));
        }
    }
    obstacles.extend(rows::obstacles(found));
    obstacles
}

fn lacking(found: &Found, (what, remedy): &(String, String)) -> Obstacle {
    Obstacle {
        reason: format!(
            "The role \"{}\" may not {what}. Let it, as the owner of the database or a superuser:",
            found.role
        ),
        remedy: Some(remedy.clone()),
    }
}

fn elsewhere(schema: &str) -> Obstacle {
    Obstacle {
        reason: format!(
            "A {QUEUE} is in schema {schema}, and none in schema public, which is where safelight works. If it is your app's queue, move it (keys, rows and grants go with it; let the app's search_path have public too). If not, rename it:"
        ),
        remedy: Some(format!("ALTER TABLE {schema}.{QUEUE} SET SCHEMA public;")),
    }
}

fn unfit_table(found: &Found, name: &str, table: &Table) -> Option<Obstacle> {
    if table.kind != "r" {
        return Some(Obstacle {
            reason: format!(
                "{name} is not an ordinary table (a view, say, or partitioned, or one that another inherits from). safelight works on ordinary tables only."
            ),
            remedy: None,
        });
    }
    (!table.is_ours_to_change).then(|| Obstacle {
        reason: format!(
            "{name} belongs to the role \"{0}\". Connect as that role, or become its member:",
            table.owner
        ),
        remedy: Some(format!(
            "GRANT {} TO {};",
            quote(&table.owner),
            quote(&found.role)
        )),
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
    obstacles.extend(foreign_labels(name, there));
    obstacles.extend(stuck_columns(name, wanted, there));
    obstacles
}

/// An enum that lacks words of ours, and is somebody else's.
fn foreign_labels(table: &str, there: &Table) -> Option<Obstacle> {
    let (status, words) = missing_labels(table, there)?;
    let owner = status
        .foreign_owner
        .as_ref()
        .filter(|_| !words.is_empty())?;
    let adds: Vec<String> = words
        .iter()
        .map(|word| format!("ALTER TYPE {} ADD VALUE '{word}';", status.type_name))
        .collect();
    Some(Obstacle {
        reason: format!(
            "{table}.\"status\" is an enum that lacks words, and belongs to the role \"{owner}\". As that role:"
        ),
        remedy: Some(adds.join("\n")),
    })
}

/// Texts that have to be longer, and that Postgres does not change while something uses them.
fn stuck_columns(table: &str, wanted: &Table, there: &Table) -> Vec<Obstacle> {
    let is_stuck = |there: &&Column| {
        let wanted = wanted.column(&there.name);
        !there.used_by.is_empty() && wanted.is_some_and(|wanted| is_too_narrow(wanted, there))
    };
    let stuck = there.columns.iter().filter(is_stuck);
    stuck
        .map(|column| {
            let name = quote(&column.name);
            Obstacle {
                reason: format!(
                    "{table}.{name} is {}, too short for what safelight writes, and Postgres does not change it as long as it is used by {}. Drop that, run this, and make it again:",
                    column.type_name,
                    column.used_by.join(", ")
                ),
                remedy: Some(format!(
                    "ALTER TABLE public.{table} ALTER COLUMN {name} TYPE text;"
                )),
            }
        })
        .collect()
}

/// With a default as before, or the app's next insert would be refused.
fn conversion(table: &str, wanted: &Column, there: &Column) -> String {
    let (name, type_name) = (quote(&there.name), &wanted.type_name);
    let mut sql = format!(
        "ALTER TABLE public.{table} ALTER COLUMN {name} DROP DEFAULT,\n    ALTER COLUMN {name} TYPE {type_name} USING {name}::text::{type_name}"
    );
    let default = there.default.as_ref();
    if let Some(default) = default.map(|default| wanted.default.as_ref().unwrap_or(default)) {
        let _ = write!(sql, ",\n    ALTER COLUMN {name} SET DEFAULT {default}");
    }
    sql + ";"
}

/// A column that apps know of is converted; another one only happens to have the name of ours.
fn unusable(table: &str, wanted: &Column, there: &Column, is_first_block: bool) -> Obstacle {
    let quoted = quote(&there.name);
    let is = if there.generated {
        "computed by Postgres"
    } else {
        &there.type_name
    };
    // No uuid is a number.
    let converts = is_first_block && !there.generated && there.type_name != "uuid";
    let (advice, remedy) = if converts {
        (
            "Convert it (this locks and rewrites the table)",
            conversion(table, wanted, there),
        )
    } else if there.name == "id" {
        (
            "Keep the table under another name; your app has to use that name then",
            format!("ALTER TABLE public.{table} RENAME TO app_{table};"),
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
