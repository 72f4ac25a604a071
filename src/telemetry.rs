//! Logs, and where metrics are collected. Logs: human on a terminal, JSON otherwise, always to stderr.
//! Results belong to stdout.
//!
//! One line per change of state, told where it is committed. The same thing has the same name in
//! every line: `job` (the row), `job_id`, `lease`, `attempt`, `model`, `request_id`, `tenant`,
//! `worker`; of a call `image`, `call`, `account`, `elapsed_ms`, `provider_request_id`; of what went
//! wrong `code` and `error`.

mod line;

use std::io::IsTerminal as _;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::JsonFields;

use crate::config::{LogArgs, LogFormat};
use line::Line;

/// Our own lines, and what goes wrong in libraries.
const DEFAULT_FILTER: &str = "safelight=info,warn";

/// Begins to log. `quiet` is for commands whose output people read: only what goes wrong.
pub fn init(args: &LogArgs, loudness: Loudness) {
    let fallback = match loudness {
        Loudness::Worker => DEFAULT_FILTER,
        Loudness::Quiet => "error",
    };
    let filter = EnvFilter::try_new(args.log.as_deref().unwrap_or(fallback))
        .unwrap_or_else(|_| EnvFilter::new(fallback));
    let format = args
        .log_format
        .unwrap_or(if std::io::stderr().is_terminal() {
            LogFormat::Text
        } else {
            LogFormat::Json
        });
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second call (tests) changes nothing.
    let _ = builder
        .with_ansi(std::io::stderr().is_terminal())
        .fmt_fields(JsonFields::new())
        .event_format(Line(format))
        .try_init();
}

/// How much a command says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loudness {
    /// One line per change of a job.
    Worker,
    /// Only what goes wrong.
    Quiet,
}

/// Begins to collect what is counted anywhere in this process; `histograms` and the bounds of their
/// buckets. What a name means is told by who counts.
pub fn record_metrics(
    histograms: impl Iterator<Item = (&'static str, &'static [f64])>,
) -> PrometheusHandle {
    let builder = histograms.fold(PrometheusBuilder::new(), |builder, (name, bounds)| {
        let metric = Matcher::Full(name.to_owned());
        // It fails for no bounds at all, and ours are constants.
        builder
            .set_buckets_for_metric(metric, bounds)
            .unwrap_or_default()
    });
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    // A second recorder of a process (tests) gets nothing.
    let _ = metrics::set_global_recorder(recorder);
    handle
}
