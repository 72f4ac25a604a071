//! The files of `migrations/` in pieces, each with the name of what it makes.
//!
//! They are plain SQL that `psql` runs as it is; here they are only cut apart, so that a database
//! gets no more than what it lacks.

/// Functions and triggers; run as a whole.
pub(super) const FUNCTIONS: &str = concat!(
    include_str!("../../../migrations/2_functions.sql"),
    include_str!("../../../migrations/2_shares.sql"),
    include_str!("../../../migrations/2_standing.sql"),
    include_str!("../../../migrations/2_prices.sql"),
    include_str!("../../../migrations/2_credits.sql"),
    include_str!("../../../migrations/2_steps.sql"),
    include_str!("../../../migrations/2_webhooks.sql"),
    include_str!("../../../migrations/2_who_may.sql"),
);
/// Gives every row of the queue its uuid; commits as it goes.
pub(super) const JOB_IDS: &str = include_str!("../../../migrations/4_job_ids.sql");

const TABLES: &str = include_str!("../../../migrations/1_tables.sql");
const ONLINE: &str = include_str!("../../../migrations/3_online.sql");

/// What the name of every table begins with.
const PREFIX: &str = "public.photo_generation_";

/// One statement about one table.
#[derive(Debug)]
pub(super) struct TableStatement {
    pub table: &'static str,
    pub sql: &'static str,
}

/// A constraint or an index, made while its table is in use.
#[derive(Debug)]
pub(super) struct Online {
    pub table: &'static str,
    pub name: &'static str,
    pub kind: OnlineKind,
    pub sql: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnlineKind {
    Constraint,
    Index,
}

impl Online {
    /// For a table that was made a moment ago: nothing to wait for, all in one transaction.
    pub(super) fn at_once(&self) -> String {
        self.sql
            .replace("INDEX CONCURRENTLY", "INDEX")
            .replace(" NOT VALID", "")
    }
}

/// The statements that make the tables, in order.
pub(super) fn tables() -> Vec<TableStatement> {
    statements(TABLES)
        .map(|sql| TableStatement {
            table: first_table(sql),
            sql,
        })
        .collect()
}

/// The same tables in the schema of temporary ones: what a table should look like, to be compared.
pub(super) fn tables_for_comparison() -> String {
    TABLES.replace("public.", "pg_temp.")
}

/// Constraints and indexes, in order.
pub(super) fn online() -> Vec<Online> {
    statements(ONLINE)
        .map(|sql| {
            let (kind, name) = match (after(sql, "INDEX CONCURRENTLY "), after(sql, "CONSTRAINT "))
            {
                (Some(name), _) => (OnlineKind::Index, name),
                (None, Some(name)) => (OnlineKind::Constraint, name),
                (None, None) => unreachable!("migrations/3_online.sql makes nothing else"),
            };
            Online {
                table: first_table(sql),
                name,
                kind,
                sql,
            }
        })
        .collect()
}

/// Whether a trigger of this name is made by us. An app's own may well begin as ours do, since both are
/// named after the table.
pub(super) fn makes_trigger(name: &str) -> bool {
    FUNCTIONS
        .lines()
        .any(|line| after(line, "CREATE OR REPLACE TRIGGER ") == Some(name))
}

/// Cut at semicolons that end a line; a statement keeps the comment above it.
fn statements(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.split_inclusive(";\n")
        .map(str::trim)
        .filter(|statement| !statement.is_empty())
}

/// The first table that a statement names, comments aside.
fn first_table(sql: &'static str) -> &'static str {
    sql.lines()
        .filter(|line| !line.starts_with("--"))
        .find_map(|line| {
            let at = line.find(PREFIX)? + "public.".len();
            Some(word(&line[at..]))
        })
        .unwrap_or_else(|| unreachable!("every statement of migrations/ names its table"))
}

fn after(sql: &'static str, keyword: &str) -> Option<&'static str> {
    sql.lines()
        .filter(|line| !line.starts_with("--"))
        .find_map(|line| line.split_once(keyword).map(|(_, rest)| word(rest)))
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests;
