//! Results on stdout: lines for people.
//!
//! `println!` would panic when the reader of a pipe has seen enough (`safelight demo | head`);
//! here that is an error like others, and a quiet one.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use super::CommandError;

/// One line.
pub(super) fn line(text: impl Display) -> Result<(), CommandError> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// Whether a person sees both what we say and what we draw.
pub(super) fn is_watched_by_a_person() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal()
}
