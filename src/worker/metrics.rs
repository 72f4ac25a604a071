//! What a worker counts, for Prometheus: each beside the event, like its log line.
//!
//! Names are stable: dashboards and alerts hold them. What the tables know is not counted here but read
//! from them when somebody asks, as it is the same for every process.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

use crate::db::ledger::Scarce;
use crate::domain::outcome::Outcome;
use crate::domain::{Model, Status};

const CALLS: &str = "safelight_calls_total";
const CALL_SECONDS: &str = "safelight_call_duration_seconds";
const CLAIM_SECONDS: &str = "safelight_claim_duration_seconds";
const JOBS_CLAIMED: &str = "safelight_jobs_claimed_total";
const JOBS_ENDED: &str = "safelight_jobs_ended_total";
const ATTEMPTS_GIVEN_BACK: &str = "safelight_attempts_given_back_total";
const GRANT_WAITS: &str = "safelight_grant_waits_total";
const LEASES_LOST: &str = "safelight_leases_lost_total";
const JOBS_RECLAIMED: &str = "safelight_jobs_reclaimed_total";
const WEBHOOKS: &str = "safelight_webhooks_total";

/// A flash picture takes 5 to 15 s, a pro one up to a minute; the timeout is 180.
const CALL_BUCKETS: [f64; 10] = [1.0, 2.0, 4.0, 6.0, 10.0, 15.0, 30.0, 60.0, 120.0, 180.0];
/// A claim takes a few milliseconds; a second is a database in trouble.
const CLAIM_BUCKETS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// The histograms and the bounds of their buckets, in seconds.
pub const HISTOGRAMS: [(&str, &[f64]); 2] = [
    (CALL_SECONDS, &CALL_BUCKETS),
    (CLAIM_SECONDS, &CLAIM_BUCKETS),
];

/// Says what each is.
pub fn describe() {
    for (name, meaning) in [
        (
            CALLS,
            "Provider calls of this process that have ended, by what they led to.",
        ),
        (JOBS_CLAIMED, "Jobs that this process claimed."),
        (JOBS_ENDED, "Jobs that this process ended, by status."),
        (
            ATTEMPTS_GIVEN_BACK,
            "Attempts of this process that ended without ending the job: retry, rate_limited, released.",
        ),
        (
            GRANT_WAITS,
            "How often an image was told to wait before a call, by what there was too little of.",
        ),
        (
            LEASES_LOST,
            "Jobs that were no longer this process's when it wanted to write.",
        ),
        (
            JOBS_RECLAIMED,
            "Jobs that this process took back from workers that were gone.",
        ),
        (
            WEBHOOKS,
            "Tries of this process to tell an app that a job has ended: delivered, failed, given_up.",
        ),
    ] {
        describe_counter!(name, meaning);
    }
    describe_histogram!(CALL_SECONDS, Unit::Seconds, "How long the provider worked.");
    describe_histogram!(
        CLAIM_SECONDS,
        Unit::Seconds,
        "How long the statement took that claims jobs."
    );
}

/// `outcome`: the word of the ledger, or `abandoned` for a call of a job that was lost meanwhile.
pub(super) fn call_ended(model: &Model, outcome: &'static str, took: Duration) {
    if took.is_zero() {
        // Written down, and given up before it was made.
        return;
    }
    let provider = model.provider().as_str();
    let name = model.name().to_owned();
    counter!(CALLS, "provider" => provider, "model" => name.clone(), "outcome" => outcome)
        .increment(1);
    histogram!(CALL_SECONDS, "provider" => provider, "model" => name).record(took.as_secs_f64());
}

pub(super) fn claim_ended(took: Duration, jobs: usize) {
    histogram!(CLAIM_SECONDS).record(took.as_secs_f64());
    counter!(JOBS_CLAIMED).increment(jobs as u64);
}

pub(super) fn job_ended(status: Status) {
    counter!(JOBS_ENDED, "status" => status.as_str()).increment(1);
}

/// The attempt ended, the job did not.
pub(super) fn attempt_ended(outcome: &Outcome) {
    let outcome = match outcome {
        Outcome::Retry { .. } | Outcome::Broken { .. } => "retry",
        Outcome::RateLimited { .. } => Status::RateLimited.as_str(),
        Outcome::Released { .. } | Outcome::Kept { .. } => "released",
        // These are counted as ended, or as lost.
        Outcome::Finished | Outcome::Rejected(_) | Outcome::Lost => return,
    };
    counter!(ATTEMPTS_GIVEN_BACK, "outcome" => outcome).increment(1);
}

pub(super) fn told_to_wait(why: Scarce) {
    let why = match why {
        Scarce::Pace => "pace",
        Scarce::Concurrency => "concurrency",
        Scarce::Budget => "budget",
        Scarce::Leave => "paused",
    };
    counter!(GRANT_WAITS, "reason" => why).increment(1);
}

pub(super) fn lease_lost(reason: Option<&'static str>) {
    counter!(LEASES_LOST, "reason" => reason.unwrap_or("unknown")).increment(1);
}

pub(super) fn job_reclaimed() {
    counter!(JOBS_RECLAIMED).increment(1);
}

/// `outcome`: `delivered`, `failed` for a try that is followed by another, `given_up`.
pub(super) fn webhook_ended(outcome: &'static str) {
    counter!(WEBHOOKS, "outcome" => outcome).increment(1);
}
