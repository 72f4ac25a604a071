//! What has to be done to a database, from what was found in it.
//!
//! One way for all: an empty database lacks everything, an older schema some columns and indexes, an
//! app's own table a little of each. What is there already is not planned again, so that a run that
//! was killed is simply repeated. Nothing here touches a database.

mod notes;
mod obstacles;
mod sql;
mod superseded;
mod table;
mod triggers;

use std::fmt;

use super::found::{BATCHES, Column, Found, QUEUE, Table};
use super::scripts::{self, Online, OnlineKind};
use super::{OLDEST_WORKER, VERSION};
use crate::domain::Status;
use notes::notes;
use obstacles::obstacles;
pub(super) use sql::quote;
use superseded::superseded;
use table::{create, fit};
use triggers::functions;

/// The two tables that an app may have made.
const ADOPTABLE: [&str; 2] = [QUEUE, BATCHES];
/// Words that we write into `status` of a batch.
const BATCH_WORDS: [&str; 3] = ["generating", "completed", "failed"];

/// Some changes that are made together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it changes, a line each.
    pub changes: Vec<String>,
    pub sql: String,
    pub how: How,
}

/// How a step may be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// In one transaction, which takes locks that others wait for, and holds them for milliseconds.
    Briefly,
    /// On its own, outside a transaction; takes time and makes nobody wait.
    Online,
}

/// What to do, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Tables of the app that are taken over, with the planner's guess of their rows.
    pub adopts: Vec<(String, i64)>,
    pub steps: Vec<Step>,
    /// What the operator should know, and we do not change.
    pub notes: Vec<String>,
}

/// Why nothing may be changed, and the SQL that clears the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    pub reason: String,
    pub remedy: Option<String>,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if let Some(remedy) = &self.remedy {
            for line in remedy.lines() {
                write!(f, "\n    {line}")?;
            }
        }
        Ok(())
    }
}

/// Everything that has to be done, or everything that stands in the way.
pub(super) fn plan(found: &Found) -> Result<Plan, Vec<Obstacle>> {
    // A newer safelight has been here, and knows better.
    if found.version.is_some_and(|version| version > VERSION) {
        return Ok(Plan::default());
    }
    let obstacles = obstacles(found);
    if !obstacles.is_empty() {
        return Err(obstacles);
    }
    let adopts: Vec<&str> = ADOPTABLE
        .into_iter()
        .filter(|table| found.is_the_apps(table))
        .collect();
    let mut steps: Vec<Step> = [create(found)].into_iter().flatten().collect();
    for table in &adopts {
        steps.extend(labels(table, &found.tables[*table]));
    }
    for (name, wanted) in &found.wanted {
        if let Some(there) = found.tables.get(name) {
            steps.extend(fit(found, name, wanted, there));
        }
    }
    steps.extend(functions(found));
    if found.nameless_rows {
        steps.push(Step {
            changes: vec![format!(
                "{QUEUE}: give every row its \"jobId\", in small transactions"
            )],
            sql: scripts::JOB_IDS.to_owned(),
            how: How::Online,
        });
    }
    steps.extend(online(found));
    steps.extend(superseded(found));
    // No trigger of ours saw the rows of an app's table, or of an older schema, come.
    if found.tables.contains_key(QUEUE) && found.version != Some(VERSION) {
        steps.push(Step {
            changes: vec![format!("{QUEUE}: note whose jobs wait")],
            sql: "SELECT public.photo_generation_find_arrivals();".to_owned(),
            how: How::Online,
        });
    }
    if !steps.is_empty() || found.version != Some(VERSION) {
        steps.push(record_version());
    }
    Ok(Plan {
        adopts: adopts
            .into_iter()
            .map(|table| (table.to_owned(), found.tables[table].rows))
            .collect(),
        notes: notes(found),
        steps,
    })
}

/// The column that is an enum, and the words that it lacks.
fn missing_labels<'a>(table: &str, there: &'a Table) -> Option<(&'a Column, Vec<&'static str>)> {
    let mut words = match table {
        QUEUE => Status::ALL.map(Status::as_str).to_vec(),
        _ => BATCH_WORDS.to_vec(),
    };
    let status = there.column("status").filter(|status| status.is_enum)?;
    words.retain(|word| !status.labels.iter().any(|label| label == word));
    Some((status, words))
}

/// Words that an app's enum lacks. Each must be committed before it can be used.
fn labels(table: &str, there: &Table) -> Vec<Step> {
    let Some((status, words)) = missing_labels(table, there) else {
        return Vec::new();
    };
    words
        .iter()
        .map(|word| Step {
            changes: vec![format!("{table}: \"status\" may be '{word}'")],
            sql: format!(
                "ALTER TYPE {} ADD VALUE IF NOT EXISTS '{word}';",
                status.type_name
            ),
            how: How::Online,
        })
        .collect()
}

/// Constraints and indexes that are missing or were left half made.
fn online(found: &Found) -> Vec<Step> {
    let mut at_once = Vec::new();
    let mut steps = Vec::new();
    for thing in scripts::online() {
        match found.tables.get(thing.table) {
            None => at_once.push(thing.at_once()),
            Some(table) => steps.extend(make_online(found, &thing, table)),
        }
    }
    if !at_once.is_empty() {
        let together = Step {
            changes: vec!["constraints and indexes of the new tables: create".to_owned()],
            sql: at_once.join("\n"),
            how: How::Briefly,
        };
        steps.insert(0, together);
    }
    steps
}

fn make_online(found: &Found, thing: &Online, table: &Table) -> Vec<Step> {
    let (name, on) = (thing.name, thing.table);
    let step = |change: String, sql: String, how: How| Step {
        changes: vec![format!("{on}: {change}")],
        sql,
        how,
    };
    match thing.kind {
        OnlineKind::Constraint => {
            // An app's batches may have words of their own.
            if on == BATCHES && found.is_the_apps(BATCHES) {
                return Vec::new();
            }
            let there = table.constraints.iter().find(|c| c.name == name);
            let add = step(
                format!("add the check {name}"),
                thing.sql.to_owned(),
                How::Briefly,
            );
            let validate = step(
                format!("validate the check {name}"),
                format!("ALTER TABLE public.{on} VALIDATE CONSTRAINT {name};"),
                How::Online,
            );
            match there {
                Some(there) if there.validated => Vec::new(),
                Some(_) => vec![validate],
                None => vec![add, validate],
            }
        }
        OnlineKind::Index => {
            let there = table.indexes.iter().find(|index| index.name == name);
            let build = step(
                format!("build the index {name}"),
                thing.sql.to_owned(),
                How::Online,
            );
            let drop = step(
                format!("drop the index {name}, which was left half built"),
                format!("DROP INDEX CONCURRENTLY public.{name};"),
                How::Online,
            );
            match there {
                Some(there) if there.valid => Vec::new(),
                Some(_) => vec![drop, build],
                None => vec![build],
            }
        }
    }
}

fn record_version() -> Step {
    Step {
        changes: vec![format!("record version {VERSION}")],
        sql: format!(
            "INSERT INTO public.photo_generation_settings (key, value)\n\
             VALUES ('version', '{VERSION}'), ('oldestWorker', '{OLDEST_WORKER}')\n\
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, \"updatedAt\" = now();"
        ),
        how: How::Briefly,
    }
}

#[cfg(test)]
mod tests;
