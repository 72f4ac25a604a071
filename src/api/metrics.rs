//! `GET /metrics`, for Prometheus: what this process counts, and what the tables say of the fleet.
//!
//! The second is the same from every process, so it is read from one, not summed up. Finished jobs are
//! not counted in the tables, where they may be millions: each process counts what it ends.

use std::fmt::Write as _;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use metrics::{counter, describe_counter, describe_histogram, histogram};

use super::vitals::Vitals;
use crate::db::vitals::{self, Account, Depth};
use crate::domain::Status;

const REQUESTS: &str = "safelight_http_requests_total";
const REQUEST_SECONDS: &str = "safelight_http_request_duration_seconds";
/// From a poll that is answered from memory to one that waits a minute.
const REQUEST_BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 20.0, 60.0];

/// The histograms and the bounds of their buckets, in seconds.
pub const HISTOGRAMS: [(&str, &[f64]); 1] = [(REQUEST_SECONDS, &REQUEST_BUCKETS)];

/// Reading the tables takes no longer, or is given up for this time.
const DEADLINE: Duration = Duration::from_secs(5);

/// Says what each is.
pub fn describe() {
    describe_counter!(REQUESTS, "HTTP requests, by the pattern of their route.");
    describe_histogram!(
        REQUEST_SECONDS,
        metrics::Unit::Seconds,
        "Until the answer began, by the pattern of the route."
    );
}

pub(super) fn request_ended(route: &str, method: &'static str, status: StatusCode, took: Duration) {
    let route = route.to_owned();
    counter!(REQUESTS, "route" => route.clone(), "method" => method,
             "status" => status.as_str().to_owned())
    .increment(1);
    histogram!(REQUEST_SECONDS, "route" => route, "method" => method).record(took.as_secs_f64());
}

/// What Prometheus scrapes
#[utoipa::path(get, path = "/metrics", tag = "extra", security(()), responses(
    (status = 200, body = String, description = "Its text format", content_type = "text/plain; version=0.0.4"),
))]
pub(super) async fn metrics(State(vitals): State<Vitals>) -> impl IntoResponse {
    let mut page = vitals.recorder().render();
    if let Some(worker) = vitals.worker() {
        let now = *worker.occupation.borrow();
        let mut here = Page::default();
        here.one(
            "safelight_worker_jobs_running",
            "Jobs that run in this process.",
            number(i64::try_from(now.running).unwrap_or(i64::MAX)),
        );
        here.one(
            "safelight_worker_listening",
            "1 while new rows wake the worker of this process.",
            flag(worker.bell.is_connected()),
        );
        page.push_str(&here.0);
    }
    page.push_str(&vitals.page().await);
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (text, page)
}

/// What the tables say; only that they do not, where they cannot be read.
pub(super) async fn of_the_tables(vitals: &Vitals) -> String {
    let db = vitals.db();
    let both = async { tokio::try_join!(vitals::depth(db), vitals::accounts(db)) };
    let read = tokio::time::timeout(DEADLINE, both).await;
    let mut page = Page::default();
    page.one(
        "safelight_database_up",
        "1 if the tables could be read for this scrape; if not, what they say is missing here.",
        flag(matches!(read, Ok(Ok(_)))),
    );
    match read {
        Ok(Ok((depth, accounts))) => {
            page.depth(&depth);
            page.accounts(&accounts);
        }
        Ok(Err(error)) => tracing::warn!(%error, "the tables could not be read for metrics"),
        Err(_) => {
            db.distrust_connections();
            tracing::warn!("the database does not answer for metrics");
        }
    }
    page.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "exact up to nine quadrillions, and every value of the format is a float"
)]
fn number(count: i64) -> f64 {
    count as f64
}

fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

/// Gauges in the text format of Prometheus.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn depth(&mut self, depth: &Depth) {
        self.head("safelight_jobs", "Unfinished jobs of the fleet, by state.");
        for (state, jobs) in [
            ("waiting", depth.waiting),
            (Status::Processing.as_str(), depth.processing),
        ] {
            self.line("safelight_jobs", &[("state", state)], number(jobs));
        }
        self.one(
            "safelight_oldest_waiting_seconds",
            "How long the job has waited that is due and has waited longest; 0 if none is due.",
            depth.oldest_seconds,
        );
        self.one(
            "safelight_tenants_waiting",
            "Tenants with a job that is due.",
            number(depth.tenants_waiting),
        );
        self.one(
            "safelight_calls_running",
            "Provider calls of the fleet in flight.",
            number(depth.calls_running),
        );
        for (name, meaning, value) in [
            (
                "safelight_spool_photos",
                "Photos that are paid for and wait in spools of workers until the storage takes them.",
                depth.spool_photos,
            ),
            (
                "safelight_spool_bytes",
                "The same in bytes.",
                depth.spool_bytes,
            ),
            (
                "safelight_spools_full",
                "Spools that are full: their workers claim nothing until the storage takes something.",
                depth.spools_full,
            ),
        ] {
            self.one(name, meaning, number(value));
        }
        self.one(
            "safelight_workers",
            "Workers of the fleet that live.",
            number(depth.workers),
        );
    }

    fn accounts(&mut self, accounts: &[Account]) {
        type Gauge = (&'static str, &'static str, fn(&Account) -> f64);
        let gauges: [Gauge; 5] = [
            (
                "safelight_account_blocked",
                "1 while an account takes no calls until somebody mends it: bad key, no credit.",
                |one| flag(one.blocked),
            ),
            (
                "safelight_account_cooling",
                "1 while the provider asked to wait, or the daily quota is used up.",
                |one| flag(one.cooling),
            ),
            (
                "safelight_account_paused",
                "1 while an operator has paused an account.",
                |one| flag(one.paused),
            ),
            (
                "safelight_account_calls_today",
                "Calls of the provider's day.",
                |one| number(one.calls_today),
            ),
            (
                "safelight_account_cost_today_usd",
                "What the calls since midnight UTC cost, in US dollars, as far as prices are known.",
                |one| one.cost_today,
            ),
        ];
        for (name, meaning, value) in gauges {
            self.head(name, meaning);
            for one in accounts {
                let labels = [
                    ("provider", one.provider.as_str()),
                    ("account", &one.account),
                    ("model", &one.model),
                ];
                self.line(name, &labels, value(one));
            }
        }
    }

    fn one(&mut self, name: &str, meaning: &str, value: f64) {
        self.head(name, meaning);
        self.line(name, &[], value);
    }

    fn head(&mut self, name: &str, meaning: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {meaning}\n# TYPE {name} gauge");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, text)| format!("{label}=\"{}\"", escaped(text)))
            .collect();
        let labels = labels.join(",");
        let labels = if labels.is_empty() {
            labels
        } else {
            format!("{{{labels}}}")
        };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

/// As the format asks for; an operator may name an account anything.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}

#[cfg(test)]
mod tests;
