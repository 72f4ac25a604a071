//! Making tables, and fitting one that is there: what it lacks, and what would refuse our rows.

use std::fmt::Write as _;

use super::super::columns::is_too_narrow;
use super::super::found::{BATCHES, Found, QUEUE, Table};
use super::super::scripts;
use super::super::undo::NOT_NULL_CHECK;
use super::sql::{adopted, literal, quote, taken};
use super::{ADOPTABLE, BATCH_WORDS, How, Step};

/// The tables that are missing, closed to Supabase's roles for everybody.
pub(super) fn create(found: &Found) -> Option<Step> {
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
            let _ = write!(change, ", closed to {roles}");
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
        if table == QUEUE && (found.version.is_none() || !found.adopted.contains(table)) {
            sql.push(adopted(table));
        } else if !found.adopted.contains(table) {
            sql.push(taken(table, "table", "", ""));
        }
    }
    (!sql.is_empty()).then(|| Step {
        changes,
        sql: sql.join("\n\n"),
        how: How::Briefly,
    })
}

/// Columns that are missing, and on an app's table what would refuse our rows: all of it in one
/// statement, so that the table is locked once.
pub(super) fn fit(found: &Found, name: &str, wanted: &Table, there: &Table) -> Option<Step> {
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

    fn change(&mut self, what: &str, action: String) {
        self.say(what);
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
            if let (true, Some(expression)) = (column.generated, &column.default) {
                self.actions.push(format!(
                    "ADD COLUMN {name} {type_name} GENERATED ALWAYS AS ({expression}) STORED"
                ));
                added.push(format!("{name} {type_name}"));
                continue;
            }
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
                    &format!("{name} may be of any length (was {})", there.type_name),
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
            if check.name == NOT_NULL_CHECK {
                self.change(
                    "drop a check that an undo has left half done",
                    format!("DROP CONSTRAINT {}", quote(NOT_NULL_CHECK)),
                );
                continue;
            }
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
                &format!("drop the check {} ({})", check.name, check.definition),
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
        self.change(&format!("set {options}"), format!("SET ({options})"));
        self.taken
            .push(taken(self.table, "options", "", &there.options.join(", ")));
    }
}
