//! Lines as people and programs read them.

use std::fmt::Display;

use serde::Serialize;

use crate::cli::words::{count, one_line};
use crate::cli::{CommandError, output};

/// Below a line, what mends it stands under what was seen.
const INDENT: &str = "                ";

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    Warn,
    Fail,
    /// Another check has to pass first.
    Skip,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::Skip => "skip",
        }
    }
}

/// One step of mending something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mend {
    /// A sentence.
    Say(String),
    /// A statement for psql or a SQL editor.
    Sql(String),
    /// A line for the shell.
    Shell(String),
}

impl Mend {
    pub(super) fn say(text: impl Into<String>) -> Self {
        Self::Say(text.into())
    }

    pub(super) fn sql(text: impl Into<String>) -> Self {
        Self::Sql(text.into())
    }

    pub(super) fn shell(text: impl Into<String>) -> Self {
        Self::Shell(text.into())
    }

    fn text(&self) -> &str {
        match self {
            Self::Say(text) | Self::Sql(text) | Self::Shell(text) => text,
        }
    }
}

/// What one check saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    level: Level,
    name: &'static str,
    seen: String,
    /// In this order.
    mend: Vec<Mend>,
}

impl Line {
    pub(super) fn ok(name: &'static str, seen: impl Display) -> Self {
        Self::new(Level::Ok, name, seen, [])
    }

    pub(super) fn warn(
        name: &'static str,
        seen: impl Display,
        mend: impl IntoIterator<Item = Mend>,
    ) -> Self {
        Self::new(Level::Warn, name, seen, mend)
    }

    pub(super) fn fail(
        name: &'static str,
        seen: impl Display,
        mend: impl IntoIterator<Item = Mend>,
    ) -> Self {
        Self::new(Level::Fail, name, seen, mend)
    }

    pub(super) fn skip(name: &'static str, why: &str) -> Self {
        Self::new(Level::Skip, name, format!("not checked: {why}"), [])
    }

    fn new(
        level: Level,
        name: &'static str,
        seen: impl Display,
        mend: impl IntoIterator<Item = Mend>,
    ) -> Self {
        Self {
            level,
            name,
            // Some of it was written by apps and providers.
            seen: one_line(&seen.to_string()),
            mend: mend.into_iter().collect(),
        }
    }

    pub(super) fn is_ok(&self) -> bool {
        self.level == Level::Ok
    }

    fn text(&self) -> Vec<String> {
        let head = format!("{:<4}  {:<8}  {}", self.level.word(), self.name, self.seen);
        let mends = self.mend.iter();
        let mends = mends.map(|mend| format!("{INDENT}{}", one_line(mend.text())));
        std::iter::once(head).chain(mends).collect()
    }
}

/// How the report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Each line as soon as it is known.
    Text,
    /// One document at the end.
    Json,
}

/// All lines so far.
#[derive(Debug)]
pub(super) struct Report {
    form: Form,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Document<'a> {
    failed: usize,
    warned: usize,
    checks: &'a [Line],
}

impl Report {
    pub(super) fn new(form: Form) -> Self {
        Self {
            form,
            lines: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, lines: Vec<Line>) -> Result<(), CommandError> {
        if self.form == Form::Text {
            for line in lines.iter().flat_map(Line::text) {
                output::line(line)?;
            }
        }
        self.lines.extend(lines);
        Ok(())
    }

    /// Fails if any line does.
    pub(super) fn end(self) -> Result<(), CommandError> {
        let (failed, warned) = (self.number(Level::Fail), self.number(Level::Warn));
        if self.form == Form::Json {
            output::json(&Document {
                failed,
                warned,
                checks: &self.lines,
            })?;
        }
        let warnings = count(warned, "warning");
        if failed > 0 {
            let failures = count(failed, "failure");
            return Err(CommandError::Failed(format!("{failures}, {warnings}")));
        }
        match (self.form, warned) {
            (Form::Json, _) => Ok(()),
            (Form::Text, 0) => output::line("All is well."),
            (Form::Text, _) => output::line(format!("Nothing fails; {warnings}.")),
        }
    }

    fn number(&self, level: Level) -> usize {
        self.lines.iter().filter(|line| line.level == level).count()
    }
}

#[cfg(test)]
mod tests;
