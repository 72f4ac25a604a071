//! Time as people write and read it: `2h`, `3 min ago`.
//!
//! Nothing here asks a clock; moments come from the database.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// A hundred years: more is a mistake, and Postgres's calendar has an end.
const LONGEST: Duration = Duration::from_hours(24 * 36_500);
/// Below this, an age says nothing and only makes lines differ.
const JUST_NOW: Duration = Duration::from_secs(5);
/// Below this, tenths of a second matter.
const PRECISE_BELOW: Duration = Duration::from_secs(10);

/// A length of time as people type it: a number and `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length(pub(super) Duration);

/// A text that is no such time.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a time such as 90s, 30m, 2h or 7d")]
pub(super) struct InvalidLength(String);

impl FromStr for Length {
    type Err = InvalidLength;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text)
            .map(Self)
            .ok_or_else(|| InvalidLength(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return None,
    };
    let since = Duration::from_secs(number.checked_mul(seconds)?);
    (!since.is_zero() && since <= LONGEST).then_some(since)
}

/// From one moment to a later one; nothing if it is not later.
pub(super) fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from).to_std().unwrap_or_default()
}

/// The statements' seconds as a duration; nothing for what lies in the past.
pub(super) fn from_seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// How long something took: `3.2 s`, `42 s`, `1 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration < PRECISE_BELOW {
        return format!("{:.1} s", duration.as_secs_f64());
    }
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => in_two_units(seconds, (60, "min"), (1, "s")),
        3_600..86_400 => in_two_units(seconds, (3_600, "h"), (60, "min")),
        86_400.. => in_two_units(seconds, (86_400, "d"), (3_600, "h")),
    }
}

fn in_two_units(seconds: u64, large: (u64, &str), small: (u64, &str)) -> String {
    let rest = seconds % large.0 / small.0;
    let whole = format!("{} {}", seconds / large.0, large.1);
    if rest == 0 {
        whole
    } else {
        format!("{whole} {rest} {}", small.1)
    }
}

/// An age in its largest unit: `just now`, `42 s ago`, `3 min ago`, `2 h ago`, `5 days ago`.
pub(super) fn ago(age: Duration) -> String {
    let seconds = age.as_secs();
    if age < JUST_NOW {
        return "just now".to_owned();
    }
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        86_400..172_800 => "1 day ago".to_owned(),
        172_800.. => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
