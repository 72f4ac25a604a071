//! A provider's own words on their way into a table that customers read.
//!
//! Whoever quotes has struck out the key before. What must not stop a fleet because a provider
//! wrote it, the length of a wait, has its bound here, too.

use std::time::Duration;

use crate::domain::failure::excerpt;

/// No quota is longer than a day; a longer wait is a mistake that must not stop a fleet.
pub(super) const MAX_STATED_WAIT: Duration = Duration::from_hours(24);

/// A provider's own words, fit for one line of a table that customers read; `None` if there are
/// none. Links go: they lead to a console that is not the customer's. So do pictures spelled in
/// base64, which some gateways send as text.
pub(super) fn quoted(text: &str) -> Option<String> {
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| !word.contains("://") && !word.contains(";base64,"))
        .collect();
    (!words.is_empty()).then(|| excerpt(&words.join(" ")))
}

/// `sentence`, then what the provider said to it, if anything.
pub(super) fn with_quote(sentence: &str, quote: Option<&str>) -> String {
    match quote.and_then(quoted) {
        Some(quote) => format!("{sentence}: {quote}"),
        None => format!("{sentence}."),
    }
}

/// Whether a message says `limit: 0`, but not "limit: 05" nor "limit: 0.5".
pub(super) fn says_limit_zero(message: &str) -> bool {
    let message = message.to_lowercase();
    message.match_indices("limit: 0").any(|(start, found)| {
        let mut rest = message[start + found.len()..].chars();
        match rest.next() {
            Some('.') => !rest.next().is_some_and(|c| c.is_ascii_digit()),
            Some(c) => !c.is_ascii_digit(),
            None => true,
        }
    })
}
