//! What has to be done to a database, from what was found in it.
//!
//! One way for all: an empty database lacks everything, an older schema some columns and indexes, an
//! app's own table a little of each. What is there already is not planned again, so that a run that
//! was killed is simply repeated. Nothing here touches a database.

use std::fmt;

use super::VERSION;
use super::columns::{is_too_narrow, is_usable};
use super::found::{BATCHES, Column, Found, QUEUE, Table, Trigger};
use super::scripts::{self, Online, OnlineKind};

/// The two tables that an app may have made.
const ADOPTABLE: [&str; 2] = [QUEUE, BATCHES];
/// The first column of the queue that apps do not know of; those before it are theirs.
const FIRST_OF_OURS: &str = "jobId";
/// Words that we write into `status` of a batch.
const BATCH_WORDS: [&str; 3] = ["generating", "completed", "failed"];
const QUEUE_WORDS: [&str; 6] = [
    "pending",
    "processing",
    "rate_limited",
    "completed",
    "failed",
    "canceled",
];

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

// ---------------------------------------------------------------------------------- obstacles

fn obstacles(found: &Found) -> Vec<Obstacle> {
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
            sql.push_str(&format!(
                "\nALTER TABLE public.{table} ALTER COLUMN {kept} DROP NOT NULL;"
            ));
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
    let checks: String = found.tables.get(QUEUE).map_or_else(String::new, |queue| {
        queue
            .constraints
            .iter()
            .filter(|c| c.kind == "c" && c.columns == ["status"])
            .map(|c| {
                format!(
                    "ALTER TABLE public.{QUEUE} DROP CONSTRAINT {};\n",
                    quote(&c.name)
                )
            })
            .collect()
    });
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
                QUEUE_WORDS.join(", ")
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

// -------------------------------------------------------------------------------------- steps

/// The tables that are missing, closed to Supabase's roles for everybody.
fn create(found: &Found) -> Option<Step> {
    let is_missing = |table: &str| !found.tables.contains_key(table);
    let mut sql: Vec<String> = Vec::new();
    let mut changes = Vec::new();
    for statement in scripts::tables() {
        if is_missing(statement.table) {
            sql.push(statement.sql.to_owned());
        }
    }
    for table in found.wanted.keys().filter(|table| is_missing(table)) {
        let mut change = format!("{table}: create");
        if !found.api_roles.is_empty() {
            let roles = found.api_roles.join(", ");
            change.push_str(&format!(", closed to {roles}"));
            sql.push(format!(
                "ALTER TABLE public.{table} ENABLE ROW LEVEL SECURITY;\nREVOKE ALL ON public.{table} FROM {roles};"
            ));
            if found.wanted[table]
                .column("id")
                .is_some_and(|id| id.type_name == "bigint")
            {
                sql.push(format!(
                    "REVOKE ALL ON SEQUENCE public.{table}_id_seq FROM {roles};"
                ));
            }
        }
        changes.push(change);
    }
    // Batches of ours must not take the numbers that an app's jobs have.
    if is_missing(BATCHES)
        && let Some(queue) = found.tables.get(QUEUE)
        && queue.column("batchId").is_some()
    {
        sql.push(format!(
            "SELECT setval('public.{BATCHES}_id_seq', greatest(max(\"batchId\"), 0) + 1, false) FROM public.{QUEUE};"
        ));
    }
    for table in ADOPTABLE
        .into_iter()
        .filter(|table| found.is_the_apps(table))
    {
        if !found.adopted.contains(table) {
            sql.push(taken(table, "table", "", ""));
        }
    }
    (!sql.is_empty()).then(|| Step {
        changes,
        sql: sql.join("\n\n"),
        how: How::Briefly,
    })
}

/// Words that an app's enum lacks. Each must be committed before it can be used.
fn labels(table: &str, there: &Table) -> Vec<Step> {
    let words: &[&str] = if table == QUEUE {
        &QUEUE_WORDS
    } else {
        &BATCH_WORDS
    };
    let Some(status) = there.column("status").filter(|status| status.is_enum) else {
        return Vec::new();
    };
    words
        .iter()
        .filter(|word| !status.labels.iter().any(|label| label == *word))
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

/// Columns that are missing, and on an app's table what would refuse our rows: all of it in one
/// statement, so that the table is locked once.
fn fit(found: &Found, name: &str, wanted: &Table, there: &Table) -> Option<Step> {
    let mut fitting = Fitting::new(name);
    fitting.add_columns(wanted, there);
    if found.is_the_apps(name) {
        fitting.loosen(wanted, there);
        fitting.drop_checks(found, there);
        fitting.set_options(wanted, there);
    }
    if fitting.actions.is_empty() {
        return None;
    }
    let mut sql = fitting.taken;
    sql.push(format!(
        "ALTER TABLE public.{name}\n    {};",
        fitting.actions.join(",\n    ")
    ));
    Some(Step {
        changes: fitting.changes,
        sql: sql.join("\n"),
        how: How::Briefly,
    })
}

/// One ALTER TABLE in the making.
struct Fitting<'a> {
    table: &'a str,
    changes: Vec<String>,
    actions: Vec<String>,
    taken: Vec<String>,
}

impl<'a> Fitting<'a> {
    fn new(table: &'a str) -> Self {
        Self {
            table,
            changes: Vec::new(),
            actions: Vec::new(),
            taken: Vec::new(),
        }
    }

    fn change(&mut self, what: String, action: String) {
        self.say(&what);
        self.actions.push(action);
    }

    fn say(&mut self, what: &str) {
        self.changes.push(format!("{}: {what}", self.table));
    }

    fn add_columns(&mut self, wanted: &Table, there: &Table) {
        let mut added = Vec::new();
        for column in &wanted.columns {
            if there.column(&column.name).is_some() {
                continue;
            }
            let (name, type_name) = (quote(&column.name), &column.type_name);
            // A function is called for every row there is, which would rewrite the table; as the
            // default of rows to come it costs nothing.
            let (at_once, later) = match &column.default {
                Some(default) if default.contains('(') => (String::new(), Some(default)),
                Some(default) => (format!(" DEFAULT {default}"), None),
                None => (String::new(), None),
            };
            let not_null = if column.not_null && later.is_none() {
                " NOT NULL"
            } else {
                ""
            };
            self.actions
                .push(format!("ADD COLUMN {name} {type_name}{at_once}{not_null}"));
            if let Some(default) = later {
                self.actions
                    .push(format!("ALTER COLUMN {name} SET DEFAULT {default}"));
            }
            added.push(format!("{name} {type_name}"));
        }
        if !added.is_empty() {
            self.say(&format!("add {}", added.join(", ")));
        }
    }

    /// What HTTP and `safelight retry` insert may leave out any column but these two.
    fn loosen(&mut self, wanted: &Table, there: &Table) {
        let mut loosened = Vec::new();
        for column in &wanted.columns {
            let Some(there) = there.column(&column.name) else {
                continue;
            };
            let name = quote(&there.name);
            if there.not_null && !matches!(there.name.as_str(), "id" | "status") {
                self.actions
                    .push(format!("ALTER COLUMN {name} DROP NOT NULL"));
                self.taken
                    .push(taken(self.table, "notNull", &there.name, ""));
                loosened.push(name.clone());
            }
            if is_too_narrow(column, there) {
                self.change(
                    format!("{name} may be of any length (was {})", there.type_name),
                    format!("ALTER COLUMN {name} TYPE text"),
                );
            }
        }
        if !loosened.is_empty() {
            self.say(&format!("may be null: {}", loosened.join(", ")));
        }
    }

    fn drop_checks(&mut self, found: &Found, there: &Table) {
        let ours: Vec<&str> = scripts::online().iter().map(|online| online.name).collect();
        for check in there.constraints.iter().filter(|c| c.kind == "c") {
            let is_ours = ours.contains(&check.name.as_str());
            let is_about = |column: &str| check.columns == [column];
            let goes = match self.table {
                QUEUE => is_about("status") || is_about("aspectRatio"),
                _ => found.narrow_checks.contains(&check.name),
            };
            if is_ours || !goes {
                continue;
            }
            self.change(
                format!("drop the check {} ({})", check.name, check.definition),
                format!("DROP CONSTRAINT {}", quote(&check.name)),
            );
            self.taken
                .push(taken(self.table, "check", &check.name, &check.definition));
            if self.table == BATCHES
                && let Some(condition) = &check.condition
            {
                self.actions.push(format!(
                    "ADD CONSTRAINT {} CHECK (({condition}) OR status::text IN ({})) NOT VALID",
                    quote(&format!("safelight_{}", check.name)),
                    BATCH_WORDS.map(literal).join(", ")
                ));
            }
        }
    }

    fn set_options(&mut self, wanted: &Table, there: &Table) {
        let missing: Vec<&str> = wanted
            .options
            .iter()
            .filter(|option| !there.options.contains(option))
            .map(String::as_str)
            .collect();
        if missing.is_empty() {
            return;
        }
        let options = missing.join(", ");
        self.change(format!("set {options}"), format!("SET ({options})"));
        self.taken
            .push(taken(self.table, "options", "", &there.options.join(", ")));
    }
}

/// Functions and triggers, when this version brings others; and an app's trigger that would refuse
/// long rows goes in the same transaction.
fn functions(found: &Found) -> Option<Step> {
    let mut changes = Vec::new();
    let mut sql = Vec::new();
    if found.is_the_apps(QUEUE) {
        for trigger in found.tables[QUEUE]
            .triggers
            .iter()
            .filter(|t| sends_rows(t))
        {
            changes.push(format!(
                "{QUEUE}: replace the trigger {}, which fails inserts above 8 kB",
                trigger.name
            ));
            sql.push(taken(QUEUE, "trigger", &trigger.name, &trigger.definition));
            sql.push(format!(
                "DROP TRIGGER {} ON public.{QUEUE};",
                quote(&trigger.name)
            ));
        }
    }
    if found.version.is_none_or(|version| version < VERSION) {
        changes.push("functions and triggers: create or replace".to_owned());
        sql.push(scripts::FUNCTIONS.to_owned());
    }
    (!sql.is_empty()).then(|| Step {
        changes,
        sql: sql.join("\n"),
        how: How::Briefly,
    })
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
            "INSERT INTO public.photo_generation_settings (key, value) VALUES ('version', '{VERSION}')\n\
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, \"updatedAt\" = now();"
        ),
        how: How::Briefly,
    }
}

// -------------------------------------------------------------------------------------- notes

fn notes(found: &Found) -> Vec<String> {
    let mut notes = Vec::new();
    if !found.is_the_apps(QUEUE) {
        return notes;
    }
    let (queue, wanted) = (&found.tables[QUEUE], &found.wanted[QUEUE]);
    for trigger in queue
        .triggers
        .iter()
        .filter(|t| notifies(t) && !sends_rows(t))
    {
        notes.push(format!(
            "The trigger {} notifies and does more; it stays. If it sends whole rows, it fails inserts above 8 kB.",
            trigger.name
        ));
    }
    for column in &queue.columns {
        let is_filled = column.default.is_some() || column.generated || !column.not_null;
        if wanted.column(&column.name).is_none() && !is_filled {
            notes.push(format!(
                "{} is your own column, NOT NULL and without a default; it stays. `safelight enqueue` and `retry` cannot fill it and will be refused.",
                quote(&column.name)
            ));
        }
    }
    let timestamps = queue.columns.iter().any(|column| {
        column.type_name.starts_with("timestamp") && column.type_name.contains("without")
    });
    if timestamps {
        notes.push("Columns of type timestamp stay as they are and are read as UTC.".to_owned());
    }
    notes
}

fn notifies(trigger: &Trigger) -> bool {
    let source = trigger.source.to_lowercase();
    trigger.for_each_row
        && !trigger.name.starts_with("photo_generation_")
        && (source.contains("pg_notify") || source.contains("notify "))
}

/// Notifies for each row, and does nothing else that an app could miss.
fn sends_rows(trigger: &Trigger) -> bool {
    let source = trigger.source.to_lowercase();
    notifies(trigger)
        && ![
            "insert into",
            "update ",
            "delete from",
            "new.",
            "http",
            "net.",
        ]
        .iter()
        .any(|deed| assigns_or_does(&source, deed))
}

/// Reading a field of the new row is no deed; assigning one is.
fn assigns_or_does(source: &str, deed: &str) -> bool {
    match deed {
        "new." => source.split("new.").skip(1).any(|rest| {
            let rest =
                rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_' || c == '"');
            let rest = rest.trim_start();
            rest.starts_with(":=") || (rest.starts_with('=') && !rest.starts_with("=="))
        }),
        deed => source.contains(deed),
    }
}

// ---------------------------------------------------------------------------------------- SQL

/// Notes what is taken away, in the transaction that takes it.
fn taken(table: &str, kind: &str, name: &str, definition: &str) -> String {
    format!(
        "INSERT INTO public.photo_generation_adoption (\"table\", kind, name, definition)\n    VALUES ({}, {}, {}, {}) ON CONFLICT DO NOTHING;",
        literal(table),
        literal(kind),
        literal(name),
        literal(definition)
    )
}

/// A name as SQL takes it.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL takes it.
fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

fn capitalized(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

#[cfg(test)]
mod tests;
