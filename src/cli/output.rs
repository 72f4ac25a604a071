//! Results on stdout: lines for people, JSON for programs.
//!
//! `println!` would panic when the reader of a pipe has seen enough (`safelight list | head`);
//! here that is an error like others, and a quiet one.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use super::CommandError;

/// One line.
pub(super) fn line(text: impl Display) -> Result<(), CommandError> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// One document on one line.
pub(super) fn json(document: &impl Serialize) -> Result<(), CommandError> {
    let text = serde_json::to_string(document).map_err(io::Error::other)?;
    line(text)
}

/// Whether a person sees both what we say and what we draw.
pub(super) fn is_watched_by_a_person() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal()
}
