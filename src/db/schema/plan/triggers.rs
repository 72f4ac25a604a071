//! Our functions and triggers, and an app's trigger that has to make room.

use super::super::found::{Found, QUEUE, Trigger};
use super::super::{VERSION, scripts};
use super::sql::{quote, taken};
use super::{How, Step};

/// What a function does, besides notifying, that an app would miss.
const DEEDS: [&str; 8] = [
    "insert into",
    "update ",
    "delete from",
    "http",
    "net.",
    "raise exception",
    "execute ",
    "call ",
];

/// Functions and triggers, when this version brings others; and an app's trigger that would refuse
/// long rows goes in the same transaction.
pub(super) fn functions(found: &Found) -> Option<Step> {
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

impl Trigger {
    pub(in super::super) fn is_ours(&self) -> bool {
        scripts::makes_trigger(&self.name)
    }
}

/// Tells somebody of each row.
pub(super) fn notifies(trigger: &Trigger) -> bool {
    let source = trigger.source.to_lowercase();
    trigger.for_each_row
        && trigger.fires
        && !trigger.is_ours()
        && (source.contains("pg_notify") || source.contains("notify "))
}

/// The same, and does nothing else.
pub(super) fn sends_rows(trigger: &Trigger) -> bool {
    let source = trigger.source.to_lowercase();
    let calls = source.matches("perform ").count();
    let notifications = source.matches("perform pg_notify").count();
    notifies(trigger)
        && calls == notifications
        && !DEEDS.iter().any(|deed| source.contains(deed))
        && !assigns(&source)
}

/// Whether a statement begins with a field of the new row, which it then sets.
fn assigns(source: &str) -> bool {
    source.match_indices("new.").any(|(at, _)| {
        let before = source[..at].trim_end();
        before.is_empty()
            || [";", "begin", "then", "else", "loop"]
                .iter()
                .any(|end| before.ends_with(end))
    })
}
