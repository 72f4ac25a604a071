use super::*;
use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;

/// Where the lines of one test go.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Paper {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// What is logged by `say`, without the time.
fn logged(format: LogFormat, say: impl FnOnce()) -> String {
    let paper = Paper::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .fmt_fields(JsonFields::new())
        .event_format(Line(format))
        .with_writer(paper.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, say);
    let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    let from = text.find('Z').expect("a time") + 1;
    text[from..].to_owned()
}

fn in_a_call() {
    let _job = tracing::error_span!("job", job = 7, tenant = "user:7").entered();
    let _call = tracing::error_span!("call", image = 2, job = 8).entered();
    tracing::warn!(
        error = "two \"words\"\nand a line",
        missing = None::<&str>,
        done = false,
        "call {}",
        "failed"
    );
}

#[test]
fn a_line_of_json_holds_all_fields_side_by_side_and_the_nearest_wins() {
    assert_eq!(
        logged(LogFormat::Json, in_a_call),
        "\",\"level\":\"WARN\",\"message\":\"call failed\",\"error\":\"two \\\"words\\\"\\nand a line\",\
         \"done\":false,\"image\":2,\"job\":8,\"tenant\":\"user:7\"}\n"
    );
}

#[test]
fn a_line_of_text_is_one_line_and_says_first_what_happened() {
    assert_eq!(
        logged(LogFormat::Text, in_a_call),
        "  WARN call failed error=\"two \\\"words\\\"\\nand a line\" done=false image=2 job=8 tenant=user:7\n"
    );
    let escape = || tracing::info!("a \x1b[31m b");
    assert_eq!(logged(LogFormat::Text, escape), "  INFO a  [31m b\n");
    // To a terminal this is an escape, too.
    let escape = || tracing::info!(error = "a \u{9b}2J b", "seen");
    assert_eq!(
        logged(LogFormat::Text, escape),
        "  INFO seen error=\"a  2J b\"\n"
    );
}
