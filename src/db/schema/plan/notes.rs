//! What an operator should know of an app's queue before a worker starts on it, and we do not change.

use super::super::found::{Column, Constraint, Found, Index, QUEUE, Table, Trigger};
use super::sql::quote;
use super::triggers::{notifies, sends_rows};

/// Columns that an app knows of and we write too: a check on them may refuse us.
const WRITTEN: [&str; 8] = [
    "status",
    "attempts",
    "retryAt",
    "lockedBy",
    "lockedAt",
    "errorMessage",
    "processedAt",
    "completedAt",
];
/// What a retry does not copy from the old job, so that a key with one of them never clashes.
const NOT_COPIED: [&str; 5] = ["id", "jobId", "requestId", "idempotencyKey", "createdAt"];

pub(super) fn notes(found: &Found) -> Vec<String> {
    if !found.is_the_apps(QUEUE) {
        return Vec::new();
    }
    let (queue, wanted) = (&found.tables[QUEUE], &found.wanted[QUEUE]);
    let mut notes = Vec::new();
    if queue.hides_rows {
        notes.push(format!(
            "Row level security hides rows of {QUEUE} from the role \"{}\": a worker of this role finds no jobs, and hidden rows get no \"jobId\". Migrate and work as a role that sees all, for instance: ALTER TABLE public.{QUEUE} NO FORCE ROW LEVEL SECURITY;",
            found.role
        ));
    }
    notes.extend(queue.triggers.iter().filter_map(|t| of_trigger(found, t)));
    notes.extend(queue.constraints.iter().filter_map(of_check));
    notes.extend(queue.indexes.iter().filter_map(of_key));
    let columns = queue.columns.iter();
    notes.extend(columns.filter_map(|column| of_column(column, wanted)));
    if queue.columns.iter().any(is_timestamp) {
        notes.push("Columns of type timestamp stay as they are and are read as UTC.".to_owned());
    }
    notes
}

fn of_trigger(found: &Found, trigger: &Trigger) -> Option<String> {
    let name = &trigger.name;
    if !trigger.fires || sends_rows(trigger) {
        return None;
    }
    if notifies(trigger) {
        return Some(format!(
            "The trigger {name} notifies and does more; it stays. If it sends whole rows, it fails inserts above 8 kB."
        ));
    }
    // Not "UPDATE OF status".
    let is_fired = trigger.for_each_row && trigger.definition.contains(" UPDATE ON ");
    (is_fired && found.nameless_rows && !trigger.is_ours()).then(|| {
        format!(
            "The trigger {name} stays, and runs once for every row that gets its \"jobId\". If it calls somebody or writes a history, disable it meanwhile: ALTER TABLE public.{QUEUE} DISABLE TRIGGER {};",
            quote(name)
        )
    })
}

fn of_check(check: &Constraint) -> Option<String> {
    let is_ours = check.name.starts_with("safelight_");
    let goes = matches!(check.columns.as_slice(), [one] if one == "status" || one == "aspectRatio");
    let is_about_ours = check
        .columns
        .iter()
        .any(|name| WRITTEN.contains(&name.as_str()));
    (check.kind == "c" && !is_ours && !goes && is_about_ours).then(|| {
        format!(
            "The check {} stays: {}. What it refuses safelight cannot write, and a job could not end. It empties \"lockedBy\" and \"lockedAt\" when a job ends, and cancels jobs. If that does not pass: ALTER TABLE public.{QUEUE} DROP CONSTRAINT {};",
            check.name,
            check.definition,
            quote(&check.name)
        )
    })
}

fn of_key(index: &Index) -> Option<String> {
    let is_fresh = |name: &String| NOT_COPIED.contains(&name.as_str());
    let clashes = index.unique
        && !index.name.starts_with("safelight_")
        && !index.columns.iter().any(is_fresh);
    clashes.then(|| {
        format!(
            "{} allows no two rows with the same {}; it stays. A retry is a new row with the wishes of the old one, and may be refused.",
            index.name,
            index.columns.join(", ")
        )
    })
}

fn of_column(column: &Column, wanted: &Table) -> Option<String> {
    let is_filled = column.default.is_some() || column.generated || !column.not_null;
    (wanted.column(&column.name).is_none() && !is_filled).then(|| {
        format!(
            "{} is your own column, NOT NULL and without a default; it stays. `safelight enqueue` and `retry` cannot fill it and will be refused.",
            quote(&column.name)
        )
    })
}

fn is_timestamp(column: &Column) -> bool {
    column.type_name.starts_with("timestamp") && column.type_name.contains("without")
}
