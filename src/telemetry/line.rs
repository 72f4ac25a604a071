//! One line per event, with the fields of the event and of the spans around it side by side, so
//! that `job`, say, stands in the same place in every line that is about a job.

use std::fmt;
use std::fmt::Write as _;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;

/// The field that is the event's text.
const MESSAGE: &str = "message";

/// Writes lines in one of the two formats. The spans' fields must be kept as JSON.
pub(super) struct Line(pub(super) LogFormat);

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope().into_iter().flatten() {
            if let Some(formatted) = span.extensions().get::<FormattedFields<N>>() {
                fields.add_span(&formatted.fields);
            }
        }
        let level = *event.metadata().level();
        match self.0 {
            LogFormat::Json => fields.write_json(level, &mut writer),
            LogFormat::Text => fields.write_text(level, &mut writer),
        }
    }
}

/// What one line says, the nearest first.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(String, Value)>,
}

impl Fields {
    fn add(&mut self, name: &str, value: Value) {
        if name == MESSAGE {
            self.message = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
        } else if !self.others.iter().any(|(other, _)| other == name) {
            // What is said nearer wins.
            self.others.push((name.to_owned(), value));
        }
    }

    fn add_span(&mut self, json: &str) {
        if let Ok(Value::Object(fields)) = serde_json::from_str(json) {
            for (name, value) in fields {
                self.add(&name, value);
            }
        }
    }

    fn write_json(&self, level: Level, writer: &mut Writer<'_>) -> fmt::Result {
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(writer)?;
        let message = Value::from(self.message.as_str());
        write!(writer, "\",\"level\":\"{level}\",\"{MESSAGE}\":{message}")?;
        for (name, value) in &self.others {
            write!(writer, ",{}:{value}", Value::from(name.as_str()))?;
        }
        writeln!(writer, "}}")
    }

    fn write_text(&self, level: Level, writer: &mut Writer<'_>) -> fmt::Result {
        SystemTime.format_time(writer)?;
        let (colour, plain) = if writer.has_ansi_escapes() {
            (colour(level), "\x1b[0m")
        } else {
            ("", "")
        };
        write!(writer, " {colour}{level:>5}{plain} {}", safe(&self.message))?;
        for (name, value) in &self.others {
            match value.as_str() {
                Some(word) if is_word(word) => write!(writer, " {name}={word}")?,
                // As JSON, which lets some control characters stand.
                _ => write!(writer, " {name}={}", safe(&value.to_string()))?,
            }
        }
        writeln!(writer)
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG | Level::TRACE => "\x1b[34m",
    }
}

/// Needs no quotes.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"')
}

/// A message is one line, and moves no cursor.
fn safe(message: &str) -> String {
    message.replace(char::is_control, " ")
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // A value that cannot be written is left out, its line is not.
        if write!(text, "{value:?}").is_ok() {
            self.add(field.name(), text.into());
        }
    }
}

#[cfg(test)]
mod tests;
