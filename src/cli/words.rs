//! Small pieces of sentences: excerpts, counts, sizes.
//!
//! Texts come from apps and providers, so whatever could move a terminal's cursor is taken out.

use crate::db::workers::Staff;
use crate::domain::Status;

/// Cells of a terminal that a text takes; what is written in Chinese or as emoji takes two each.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(cells).sum()
}

fn cells(c: char) -> usize {
    match u32::from(c) {
        // Accents that join the letter before, joiners, variation selectors.
        0x0300..=0x036F | 0x200B..=0x200D | 0xFE00..=0xFE0F => 0,
        // Hangul, CJK and their punctuation, full-width forms, emoji, rare ideographs.
        0x1100..=0x115F
        | 0x2E80..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1FAFF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

/// A text on one line, without anything that a terminal would obey.
pub(super) fn one_line(text: &str) -> String {
    let safe = text.replace(|c: char| c.is_control() || turns_text(c), " ");
    safe.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Marks that turn the direction of writing, and of what stands after them.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The beginning of a text, at most this many cells wide.
pub(super) fn excerpt(text: &str, cells_at_most: usize) -> String {
    let text = one_line(text);
    if width(&text) <= cells_at_most {
        return text;
    }
    let mut kept = String::new();
    let mut taken = 1; // the ellipsis
    for c in text.chars() {
        taken += cells(c);
        if taken > cells_at_most {
            break;
        }
        kept.push(c);
    }
    format!("{}…", kept.trim_end())
}

/// `1 job`, `2 jobs`.
pub(super) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// What to tell somebody whose job nobody would work; else a newcomer waits for ever.
pub(super) fn lack_of(staff: &Staff) -> Option<String> {
    match staff {
        Staff::Somebody => None,
        Staff::Nobody => Some("No worker is running; start one with: safelight worker".to_owned()),
        Staff::NobodyFor(provider) => Some(format!(
            "No running worker has a key of {provider}; start one with {}_API_KEY set.",
            provider.to_uppercase()
        )),
    }
}

/// `2 pending, 1 failed`, in the order of a job's life.
pub(super) fn tally(statuses: impl Iterator<Item = Status>) -> String {
    let statuses: Vec<Status> = statuses.collect();
    let parts = Status::ALL.into_iter().filter_map(|status| {
        let number = statuses.iter().filter(|other| **other == status).count();
        (number > 0).then(|| format!("{number} {status}"))
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// `812 B`, `48 kB`, `1.4 MB`, `61.2 GB`.
pub(super) fn size(bytes: i64) -> String {
    match bytes {
        ..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..1_000_000_000 => {
            format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
        }
        1_000_000_000.. => format!(
            "{}.{} GB",
            bytes / 1_000_000_000,
            bytes % 1_000_000_000 / 100_000_000
        ),
    }
}

#[cfg(test)]
mod tests;
