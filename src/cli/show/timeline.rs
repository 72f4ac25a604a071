//! What happened to a job, in order of time, as far as the tables know: when it was enqueued and
//! first claimed, each call with its end, who made it, and how long it waited in between.
//!
//! An attempt that ended before its first call (no quota, an input that could not be fetched) left
//! no trace but the row's `attempts` and error.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Story;
use crate::cli::time::{between, span};
use crate::cli::words::{excerpt, one_line};
use crate::db::jobs::Call;
use crate::db::webhooks::Told;

/// Cells of an error in the story; its image has it whole.
const ERROR_CELLS: usize = 80;

/// One thing that happened.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Event {
    pub(super) at: DateTime<Utc>,
    pub(super) text: String,
}

/// The events of a job, oldest first.
pub(super) fn of(story: &Story) -> Vec<Event> {
    let mut events = beginning(story);
    let mut before: Option<&[Call]> = None;
    for calls in claims(&story.calls) {
        events.push(claim(before, calls));
        events.extend(calls.iter().map(|call| ended(call, story.job.read_at)));
        before = Some(calls);
    }
    events.extend(end(story));
    events.extend(
        story
            .webhooks
            .iter()
            .map(|told| webhook(told, story.job.read_at)),
    );
    // Stable: what happened in the same moment stays in the order of a job's life.
    events.sort_by_key(|event| event.at);
    events
}

fn beginning(story: &Story) -> Vec<Event> {
    let job = &story.job;
    let mut events = Vec::new();
    if let Some(at) = job.created_at {
        let text = match job.retry_of {
            Some(original) => format!("enqueued, as a retry of {original}"),
            None => "enqueued".to_owned(),
        };
        events.push(Event { at, text });
    }
    if let Some(at) = job.started_at {
        let text = match job.created_at {
            Some(created) => format!("claimed after {}", span(between(created, at))),
            None => "claimed".to_owned(),
        };
        events.push(Event { at, text });
    }
    events
}

/// The calls of each claim, in order of the claims: leases only grow.
fn claims(calls: &[Call]) -> impl Iterator<Item = &[Call]> {
    calls.chunk_by(|one, other| one.lease == other.lease)
}

/// A worker begins to call, or goes on after a wait.
fn claim(before: Option<&[Call]>, calls: &[Call]) -> Event {
    let first = &calls[0];
    let worker = first.worker.as_deref().map_or_else(
        || "a worker".to_owned(),
        |worker| format!("worker {}", one_line(worker)),
    );
    let model = one_line(&first.model);
    let begins = match before {
        Some(before) if before[0].attempt == first.attempt => "goes on with",
        Some(_) | None => "begins",
    };
    let mut text = format!("{worker} {begins} attempt {}, {model}", first.attempt);
    if let Some(before) = before {
        let waited = span(between(last_moment(before), first.started_at));
        text = format!("{text}, {waited} later: {}", why_it_waited(before));
    }
    Event {
        at: first.started_at,
        text,
    }
}

fn last_moment(calls: &[Call]) -> DateTime<Utc> {
    let moments = calls
        .iter()
        .map(|call| match call.ended_at.or(call.spooled_at) {
            Some(at) if !is_lost(call) => at,
            Some(_) | None => call.started_at,
        });
    moments.max().unwrap_or_default()
}

/// Nobody saw its end; what the ledger has is when that was found out.
fn is_lost(call: &Call) -> bool {
    call.error_code.as_deref() == Some("worker_lost")
}

/// By the calls before the wait, in the order in which outcomes win.
fn why_it_waited(before: &[Call]) -> &'static str {
    let any = |wanted: &[&str]| {
        before
            .iter()
            .any(|call| wanted.contains(&call.state.as_str()))
    };
    if before.iter().any(is_lost) {
        "the worker before was lost, or lost the job"
    } else if any(&["error", "empty", "ambiguous"]) {
        "tried again after an error"
    } else if any(&["limited"]) {
        "rate limited"
    } else {
        "it waited for its turn"
    }
}

fn ended(call: &Call, now: DateTime<Utc>) -> Event {
    let what = match (call.index, &call.step) {
        (Some(index), _) => format!("image {index}"),
        (None, Some(step)) => one_line(step),
        (None, None) => "call".to_owned(),
    };
    let account = format!("account {}", one_line(&call.account));
    if let Some(at) = call.spooled_at {
        let took = span(between(call.started_at, at));
        let text = format!("{what}: bought after {took}, and waits for the storage ({account})");
        return Event { at, text };
    }
    let Some(at) = call.ended_at else {
        let so_far = span(between(call.started_at, now));
        let text = format!("{what}: the call runs since {so_far} ({account})");
        return Event { at: now, text };
    };
    let took = span(between(call.started_at, at));
    let state = one_line(&call.state);
    let mut text = if is_lost(call) {
        format!("{what}: {state}, as was found out after {took} ({account}")
    } else {
        format!("{what}: {state} after {took} ({account}")
    };
    if let Some(id) = &call.provider_request_id {
        text = format!("{text}, provider's id {}", one_line(id));
    }
    text.push(')');
    if let Some(error) = &call.error {
        text = format!("{text}: {}", excerpt(error, ERROR_CELLS));
    }
    Event { at, text }
}

/// What became of a message to the app, when it was last tried.
fn webhook(told: &Told, now: DateTime<Utc>) -> Event {
    let (event, host) = (&told.event, one_line(&told.host));
    if let Some(at) = told.delivered_at {
        let text = format!("webhook {event} delivered to {host}, try {}", told.tries);
        return Event { at, text };
    }
    let Some(at) = told.tried_at else {
        let text = format!("webhook {event} to {host} waits to be sent");
        return Event {
            at: told.created_at,
            text,
        };
    };
    let error = told.error.as_deref().map_or_else(
        || "nobody has seen its end".to_owned(),
        |error| excerpt(error, ERROR_CELLS),
    );
    let next = told.try_at.map_or_else(
        || "given up".to_owned(),
        |next| format!("next in {}", span(between(now, next))),
    );
    let text = format!(
        "webhook {event} to {host}, try {} ({next}): {error}",
        told.tries
    );
    Event { at, text }
}

fn end(story: &Story) -> Option<Event> {
    let job = &story.job;
    if !job.status.is_final() {
        return None;
    }
    let text = format!(
        "{} with {} of {} images",
        job.status, job.images_completed, job.images_total
    );
    job.completed_at.map(|at| Event { at, text })
}

#[cfg(test)]
mod tests;
