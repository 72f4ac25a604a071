//! Asking a person who sits at the terminal before something happens that cannot be taken back.

use std::io::{self, IsTerminal as _};

use super::CommandError;

/// How sure a person is already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sure {
    /// `--yes`
    Yes,
    Ask,
}

impl From<bool> for Sure {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::Ask }
    }
}

/// Shows what was found, and asks whether to go on, if that is not said yet.
pub(super) fn confirm(found: &str, sure: Sure) -> Result<(), CommandError> {
    if sure == Sure::Yes {
        eprintln!("{found}");
        return Ok(());
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let found = found.trim_end_matches('.');
        return Err(CommandError::Usage(format!(
            "{found}. Nobody can be asked here; --yes does it without asking"
        )));
    }
    let found = found.trim_end_matches('.');
    eprint!("{found}. Go on? [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if is_yes(&answer) {
        Ok(())
    } else {
        Err(CommandError::Failed("nothing was changed".to_owned()))
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests;
