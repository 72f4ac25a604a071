//! The log lines of a job's life: one for each change of state, after it is committed.
//!
//! What they have in common (job, lease, attempt, model, call, account) is said by the spans that
//! they stand in, see [`crate::telemetry`]. What only helps to find a mistake of ours is `debug`.
//! What is told here is also counted here, see [`metrics`].

use std::time::Duration;

use tracing::Span;
use uuid::Uuid;

use super::{Attempt, metrics};
use crate::db::lease::Finished;
use crate::db::ledger::{CallState, OrphanedCall};
use crate::db::limits::Refusal;
use crate::db::sweep::{Expired, Reclaimed};
use crate::db::webhooks::Message;
use crate::domain::failure::{Failure, excerpt};
use crate::domain::outcome::{Outcome, Resume};
use crate::domain::{ImageState, JobType, Model, Status, Target};
use crate::storage::ObjectKey;
use crate::webhooks::SendError;

// Texts of an app, and labels, are told as excerpts: they are of any length.

/// What all lines about an attempt say. At the level of errors, so that these have them always.
pub(super) fn attempt_span(attempt: Attempt<'_>) -> Span {
    let job = attempt.job;
    tracing::error_span!(
        "job",
        job = job.id, job_id = %job.job_id, lease = attempt.lease.token(),
        attempt = job.attempts + 1,
        model = %excerpt(&job.model), request_id = %excerpt(&job.request_id),
        tenant = %excerpt(job.tenant.as_str())
    )
}

/// A word that is mistyped waits for jobs that never come. No error: a newer worker may know the type, and
/// share the setting.
pub(super) fn unknown_types(types: &[String]) {
    let unknown = types.iter().filter(|word| JobType::named(word).is_none());
    for word in unknown {
        let (word, known) = (excerpt(word), JobType::ALL.map(JobType::as_str).join(", "));
        tracing::warn!(
            "WORKER_TYPES names \"{word}\", of which this version knows nothing; it knows {known}"
        );
    }
}

/// What all lines about a call say besides.
pub(super) fn call_span(target: Target, call: Uuid, account: &str) -> Span {
    let step = target.step();
    tracing::error_span!(
        "call", image = target.index(), step = step.as_deref(), %call, account
    )
}

/// A step has its answer.
pub(super) fn step_answered(model: &Model, took: Duration, provider_request_id: Option<&str>) {
    metrics::call_ended(model, ImageState::Stored.as_str(), took);
    tracing::info!(
        elapsed_ms = millis(took),
        provider_request_id,
        "step answered"
    );
}

/// A try-on was drawn, and looked at.
pub(super) fn drawing_checked(has_drifted: bool) {
    tracing::info!(has_drifted, "drawing checked");
}

pub(super) fn image_stored(
    model: &Model,
    took: Duration,
    provider_request_id: Option<&str>,
    key: &str,
) {
    metrics::call_ended(model, ImageState::Stored.as_str(), took);
    tracing::info!(
        elapsed_ms = millis(took),
        provider_request_id,
        key,
        "image stored"
    );
}

/// Bought, and not stored: the storage takes nothing now.
pub(super) fn image_kept(
    model: &Model,
    took: Duration,
    provider_request_id: Option<&str>,
    key: &ObjectKey,
) {
    metrics::call_ended(model, "spooled", took);
    tracing::info!(
        elapsed_ms = millis(took),
        provider_request_id,
        %key,
        "image kept in the spool"
    );
}

/// What waited in the spool is in the storage, outside of any attempt.
pub(super) fn spooled_image_stored(call: &OrphanedCall, key: &str) {
    tracing::info!(
        image = call.index, step = call.step, call = %call.id, account = call.account, job = call.job,
        job_id = %call.job_uuid, lease = call.lease, attempt = call.attempt, model = call.model,
        tenant = %excerpt(&call.tenant), key, "image stored from the spool"
    );
}

/// A call that brought no picture, and what became of its image.
pub(super) fn call_ended(
    model: &Model,
    (state, image): (CallState, ImageState),
    took: Duration,
    failure: &Failure,
) {
    metrics::call_ended(model, state.as_str(), took);
    let (elapsed_ms, code, error) = (millis(took), failure.code, &failure.message);
    let provider_request_id = failure.provider_request_id.as_deref();
    macro_rules! line {
        ($level:ident, $message:literal) => {
            tracing::$level!(elapsed_ms, code, error, provider_request_id, $message)
        };
    }
    match (state, image) {
        (CallState::Refused, _) => line!(info, "image refused"),
        (CallState::Limited, _) => line!(info, "call limited"),
        (CallState::Ambiguous, ImageState::Ambiguous) => line!(warn, "image ambiguous"),
        (CallState::Ambiguous, _) => line!(warn, "call ambiguous"),
        (CallState::Empty | CallState::Error, ImageState::Failed) => line!(warn, "image failed"),
        (CallState::Empty | CallState::Error, _) => line!(warn, "call failed"),
    }
}

/// The job was lost in the middle of a call. It may be billed; a later attempt or a sweep settles it.
pub(super) fn call_abandoned(model: &Model, took: Duration) {
    metrics::call_ended(model, "abandoned", took);
    tracing::warn!(elapsed_ms = millis(took), "call abandoned");
}

/// A call whose worker died, or lost the job, settled by the attempt that has it now.
pub(super) fn abandoned_call_settled(
    target: Target,
    call: Uuid,
    call_state: &str,
    state: ImageState,
) {
    tracing::warn!(image = target.index(), step = target.step(), %call, call_state,
        image_state = state.as_str(), "abandoned call settled");
}

/// The same by a sweep, outside of any attempt.
pub(super) fn orphan_settled(call: &OrphanedCall, call_state: &str) {
    tracing::warn!(
        image = call.index, step = call.step, call = %call.id, call_state, account = call.account, job = call.job,
        job_id = %call.job_uuid, lease = call.lease, attempt = call.attempt, model = call.model,
        tenant = %excerpt(&call.tenant), "abandoned call settled"
    );
}

/// The attempt ended the job, and with it perhaps a batch.
pub(super) fn job_finished(attempt: Attempt<'_>, finished: &Finished) {
    metrics::job_ended(finished.status);
    let elapsed_ms = millis(attempt.started.elapsed());
    let images = finished.stored;
    if finished.status == Status::Completed {
        tracing::info!(elapsed_ms, images, "job completed");
    } else {
        let (code, error) = (finished.code.as_deref(), finished.error.as_deref());
        tracing::warn!(elapsed_ms, images, code, error, "job failed");
    }
    if let Some((batch, status)) = attempt.lease.batch().zip(finished.batch.as_deref()) {
        batch_ended(batch, status);
    }
}

/// The attempt ended, the job did not.
pub(super) fn attempt_ended(attempt: Attempt<'_>, outcome: &Outcome) {
    metrics::attempt_ended(outcome);
    let elapsed_ms = millis(attempt.started.elapsed());
    match outcome {
        Outcome::Retry { failure, wait } | Outcome::Broken { failure, wait } => {
            let (code, error) = (failure.code, &failure.message);
            tracing::warn!(
                elapsed_ms,
                wait_ms = millis(*wait),
                code,
                error,
                "job to be retried"
            );
        }
        Outcome::RateLimited { until, failure } => {
            let (code, error) = (failure.code, &failure.message);
            let (wait_ms, until) = resume(*until);
            tracing::info!(elapsed_ms, wait_ms, until, code, error, "job rate limited");
        }
        Outcome::Released { resume: when } => {
            let (wait_ms, until) = resume(*when);
            let reason = if attempt.context.shutdown.stop.is_cancelled() {
                "this worker stops"
            } else if attempt.context.tools.spool.stops().is_some() {
                "no more photos can be kept while the storage takes none"
            } else {
                "no call may be made now"
            };
            tracing::info!(elapsed_ms, wait_ms, until, reason, "job given back");
        }
        Outcome::Kept { resume: when } => {
            let (wait_ms, until) = resume(*when);
            let reason = "photos that are paid for wait for the storage";
            tracing::info!(elapsed_ms, wait_ms, until, reason, "job given back");
        }
        // These have lines of their own.
        Outcome::Finished | Outcome::Rejected(_) | Outcome::Lost => {}
    }
}

/// `reason`: see [`why_lost`]; `None` if nobody could be asked.
pub(super) fn job_lost(attempt: Attempt<'_>, reason: Option<&'static str>) {
    metrics::lease_lost(reason);
    let elapsed_ms = millis(attempt.started.elapsed());
    tracing::warn!(elapsed_ms, reason, "job lost, it is no longer ours");
}

/// By where the job is now; `None`: its row is gone.
pub(super) fn why_lost(status: Option<Status>) -> &'static str {
    match status {
        None => "deleted",
        Some(Status::Canceled) => "canceled",
        Some(Status::Pending | Status::RateLimited) => "released",
        Some(Status::Processing) => "taken over",
        Some(Status::Completed | Status::Failed) => "ended",
    }
}

pub(super) fn job_reclaimed(job: &Reclaimed) {
    metrics::job_reclaimed();
    tracing::warn!(
        job = job.id,
        job_id = job.job_id.map(tracing::field::display),
        lease = job.lease,
        attempt = job.attempts,
        request_id = job.request_id.as_deref().map(excerpt),
        lost_by = job.holder.as_deref().map(excerpt),
        "job reclaimed from a worker that is gone"
    );
}

/// By a sweep, where it waited.
pub(super) fn job_expired(job: &Expired) {
    let job_id = job.job_id.map(tracing::field::display);
    let request_id = job.request_id.as_deref().map(excerpt);
    let (images, code) = (job.images, Failure::expired().code);
    macro_rules! line {
        ($level:ident, $message:literal) => {
            tracing::$level!(job = job.id, job_id, request_id, images, code, $message)
        };
    }
    if images > 0 {
        metrics::job_ended(Status::Completed);
        line!(info, "job completed");
    } else {
        metrics::job_ended(Status::Failed);
        line!(warn, "job failed");
    }
}

pub(super) fn batch_ended(batch: i64, status: &str) {
    tracing::info!(batch, status, "batch ended");
}

/// The receiver took it.
pub(super) fn webhook_delivered(message: &Message, took: Duration) {
    metrics::webhook_ended("delivered");
    let Message {
        id,
        job,
        event,
        host,
        tries,
        ..
    } = message;
    let elapsed_ms = millis(took);
    tracing::info!(job, webhook = %id, event, host = %excerpt(host), tries, elapsed_ms, "webhook delivered");
}

/// `again`: how long until the next try; `None`: there is none.
pub(super) fn webhook_failed(message: &Message, error: SendError, again: Option<Duration>) {
    let Message {
        id,
        job,
        event,
        host,
        tries,
        ..
    } = message;
    let host = excerpt(host);
    let wait_ms = again.map(millis);
    if wait_ms.is_some() {
        metrics::webhook_ended("failed");
        tracing::warn!(job, webhook = %id, event, %host, tries, wait_ms, %error, "webhook failed");
    } else {
        metrics::webhook_ended("given_up");
        tracing::warn!(job, webhook = %id, event, %host, tries, %error, "webhook given up");
    }
}

/// The first refusal of this kind; the fleet makes no calls to this account and model for now.
pub(super) fn account_limited(refusal: Refusal<'_>) {
    match refusal {
        Refusal::Cooldown { wait, .. } => {
            tracing::info!(wait_ms = millis(wait), "account cooling down");
        }
        Refusal::QuotaDay => {
            tracing::warn!(
                until = "next quota day",
                "account has used up its daily quota"
            );
        }
        Refusal::Blocked { reason, detail } => {
            let (code, advice) = (reason.as_str(), reason.advice());
            tracing::error!(code, error = detail, advice, "account blocked");
        }
    }
}

pub(super) fn account_recovered() {
    tracing::info!("account recovered");
}

fn resume(resume: Resume) -> (Option<u64>, Option<&'static str>) {
    match resume {
        Resume::Now => (None, None),
        Resume::After(wait) => (Some(millis(wait)), None),
        Resume::NextQuotaDay => (None, Some("next quota day")),
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
