//! How long OpenAI asks us to wait, in whichever of its ways it says so.
//!
//! By the order of its own clients: `retry-after-ms`, then `retry-after` in seconds or as a date, then
//! the resets of the limits that are used up; what the sentence says comes last. A date is read
//! against the answer's own `date`, so that nothing here asks a clock.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::providers::quote::MAX_STATED_WAIT;

/// The limits that have headers of their own.
const LIMITS: [&str; 3] = ["requests", "tokens", "images"];
/// Before the duration in "Please try again in 6m0s.".
const TRY_AGAIN_IN: &str = "try again in ";

/// What is stated, if anything is, and never more than a day.
pub(super) fn stated(headers: &HeaderMap, message: &str) -> Option<Duration> {
    retry_after_ms(headers)
        .or_else(|| retry_after(headers))
        .or_else(|| resets(headers))
        .or_else(|| in_words(message))
        .map(|wait| wait.min(MAX_STATED_WAIT))
}

fn retry_after_ms(headers: &HeaderMap) -> Option<Duration> {
    let milliseconds: f64 = header(headers, "retry-after-ms")?.parse().ok()?;
    Duration::try_from_secs_f64(milliseconds / 1000.0).ok()
}

/// Seconds, a fraction of them, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = header(headers, RETRY_AFTER.as_str())?;
    if let Ok(seconds) = text.parse() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = DateTime::parse_from_rfc2822(text).ok()?;
    let now = DateTime::parse_from_rfc2822(header(headers, DATE.as_str())?).ok()?;
    // A date that has passed is no wait.
    Some((until - now).to_std().unwrap_or_default())
}

/// The longest reset among the limits that have nothing left, as far as they say so.
fn resets(headers: &HeaderMap) -> Option<Duration> {
    let used_up = LIMITS.into_iter().filter(|limit| {
        let left = header(headers, &format!("x-ratelimit-remaining-{limit}"));
        left.is_none_or(|left| left.parse::<f64>().is_ok_and(|left| left < 1.0))
    });
    let resets = used_up
        .filter_map(|limit| duration(header(headers, &format!("x-ratelimit-reset-{limit}"))?));
    resets.max()
}

fn in_words(message: &str) -> Option<Duration> {
    let at = message.find(TRY_AGAIN_IN)? + TRY_AGAIN_IN.len();
    let word = message[at..].split_whitespace().next()?;
    duration(word.trim_end_matches(['.', ',']))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

/// "1s", "6m0s", "120ms", "1h2m3.5s".
fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let units = &rest[end..];
        let end = units.find(|c: char| c.is_ascii_digit());
        let (unit, after) = units.split_at(end.unwrap_or(units.len()));
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests;
