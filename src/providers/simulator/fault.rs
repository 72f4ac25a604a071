//! Faults on request: what the simulator may be asked to do wrong, and how one asks.
//!
//! One grammar for both ways in, the prompt (`a red bicycle [sim:429@2 wait=1.5s]`) and the list
//! of faults that a test pushes (`429 wait=1.5s`):
//!
//! ```text
//! name[=time][@calls] [wait=time] [reason=WORD] [message=text to the end]
//! calls: 2 | 1,3 | 2-4 | 3-          counted per exact prompt, from 1; all when left out
//! time:  250ms | 1.5s | 2m
//! ```
//!
//! A name that does not exist is an error that lists those which do, so that a typing error in a
//! test or a demo cannot pass as a call without a fault.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

mod kind;

pub use kind::FaultKind;

const OPENING: &str = "[sim:";

/// What a 429 states when the fault does not say: a true value, fraction and all.
pub(super) const STATED_DELAY: Duration = Duration::from_nanos(3_299_376_739);
/// How long a hang lasts when the client does not leave; every sane client has left by then.
pub(super) const HANG: Duration = Duration::from_mins(10);
/// How much longer `slow` takes when it does not say.
const SLOW: Duration = Duration::from_secs(10);

/// One fault, and on which calls of a prompt it strikes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Fault {
    pub kind: FaultKind,
    /// Numbers of the calls of one exact prompt, from 1; empty: every call.
    pub calls: Vec<RangeInclusive<u32>>,
    /// For a 429 the delay that it states, for a hang how long it lasts, for all others how much
    /// later the answer comes.
    pub wait: Option<Duration>,
    /// The provider's word for why: any, because new ones appear.
    pub reason: Option<String>,
    /// Takes the place of the provider's own words.
    pub message: Option<String>,
}

impl Fault {
    /// The fault, on every call.
    pub fn of(kind: FaultKind) -> Self {
        Self {
            kind,
            calls: Vec::new(),
            wait: None,
            reason: None,
            message: None,
        }
    }

    /// Whether it strikes the nth call of a prompt.
    pub fn strikes(&self, nth: u32) -> bool {
        self.calls.is_empty() || self.calls.iter().any(|calls| calls.contains(&nth))
    }

    /// How much later than usual the answer comes.
    pub(super) fn delay(&self) -> Duration {
        if matches!(
            self.kind,
            FaultKind::Limited | FaultKind::LimitedArray | FaultKind::Hang
        ) {
            Duration::ZERO
        } else if self.kind == FaultKind::Slow {
            self.wait.unwrap_or(SLOW)
        } else {
            self.wait.unwrap_or_default()
        }
    }
}

/// A marker that says nothing we know, as a sentence for whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FaultError(String);

impl TryFrom<String> for Fault {
    type Error = FaultError;

    fn try_from(text: String) -> Result<Self, FaultError> {
        text.parse()
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (text, message) = match text.split_once("message=") {
            Some((before, message)) => (before, Some(message.trim().trim_matches('"').to_owned())),
            None => (text, None),
        };
        // "429 @2" and "429 @ 2, 3" are read as they are meant.
        let text = text
            .replace(" @", "@")
            .replace("@ ", "@")
            .replace(", ", ",");
        let mut words = text.split_whitespace();
        let head = words.next().unwrap_or_default();
        let (name, calls) = match head.split_once('@') {
            Some((name, calls)) => (name, parse_calls(calls)?),
            None => (head, Vec::new()),
        };
        let (name, own_time) = match name.split_once('=') {
            Some((name, time)) => (name, Some(parse_time(time)?)),
            None => (name, None),
        };
        let mut fault = Self {
            kind: name.parse()?,
            calls,
            wait: own_time,
            reason: None,
            message,
        };
        for word in words {
            match word.split_once('=') {
                Some(("wait", time)) => fault.wait = Some(parse_time(time)?),
                Some(("reason", reason)) if fault.kind.has_reason() => {
                    fault.reason = Some(reason.to_owned());
                }
                _ => {
                    return Err(FaultError(format!(
                        "unknown option \"{word}\" of {}; the options are wait= and message=, \
                         and reason= of finish and blocked",
                        fault.kind
                    )));
                }
            }
        }
        Ok(fault)
    }
}

/// `2`, `1,3`, `2-4`, `3-`.
fn parse_calls(list: &str) -> Result<Vec<RangeInclusive<u32>>, FaultError> {
    let number = |text: &str| text.trim().parse::<u32>().ok();
    list.split(',')
        .map(|part| match part.split_once('-') {
            Some((first, "")) => Some(number(first)?..=u32::MAX),
            Some((first, last)) => Some(number(first)?..=number(last)?),
            None => number(part).map(|call| call..=call),
        })
        .map(|calls| calls.filter(|calls| *calls.start() > 0 && !calls.is_empty()))
        .collect::<Option<_>>()
        .ok_or_else(|| {
            FaultError(format!(
                "\"@{list}\" is no list of call numbers such as @2, @1,3, @2-4 or @3-"
            ))
        })
}

/// `250ms`, `1.5s`, `2m`; a bare number is seconds.
pub fn parse_time(text: &str) -> Result<Duration, FaultError> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("", 1.0)];
    units
        .iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))
        .and_then(|(number, seconds)| Some(number.parse::<f64>().ok()? * seconds))
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| FaultError(format!("\"{text}\" is no time such as 250ms, 1.5s or 2m")))
}

/// A prompt and the markers that stood in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Marked {
    /// The prompt without its markers: what is drawn.
    pub(super) subject: String,
    pub(super) faults: Vec<Fault>,
}

/// Takes the markers out of a prompt.
pub(super) fn read_markers(prompt: &str) -> Result<Marked, FaultError> {
    let mut pieces = Vec::new();
    let mut faults = Vec::new();
    let mut rest = prompt;
    // Lower-casing ASCII keeps every byte in its place.
    while let Some(start) = rest.to_ascii_lowercase().find(OPENING) {
        let inside = &rest[start + OPENING.len()..];
        let Some(end) = inside.find(']') else {
            return Err(FaultError(
                "a [sim: marker in the prompt has no closing bracket".to_owned(),
            ));
        };
        faults.push(inside[..end].parse()?);
        pieces.push(rest[..start].trim());
        rest = &inside[end + 1..];
    }
    pieces.push(rest.trim());
    pieces.retain(|piece| !piece.is_empty());
    Ok(Marked {
        subject: pieces.join(" "),
        faults,
    })
}

#[cfg(test)]
mod tests;
