//! One paid call, of an image or a step: `calling`, the call, decode, store, `stored`.
//!
//! The order is the product: the ledger says `calling` before the request leaves, the object is
//! whole in storage before the ledger says `stored`. While the storage takes nothing, the picture is
//! whole in the spool before the ledger says so. Wherever the process dies between two of these
//! lines, [`super::settle`] finds out what happened.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tracing::Instrument as _;
use uuid::Uuid;

use super::image::Wanted;
use super::patience::Patience;
use super::{Attempt, jitter, lines, settle};
use crate::db::ledger::{self, CallState, EndedCall, Lost, NewCall, OrphanedCall};
use crate::db::limits::{self, Granted, Refusal};
use crate::db::steps::{self, Found};
use crate::db::{DbError, persist};
use crate::domain::backoff;
use crate::domain::failure::{Answer, CallResult, Failure, Limit, Remedy, Usage, Words, excerpt};
use crate::domain::outcome::{ImageOutcome, Resume};
use crate::domain::tryon::FaceBox;
use crate::domain::{self, ImageState, Model, Status, Target};
use crate::pipeline::publish::{self, Publication, Published};
use crate::storage::ObjectKey;
use shown::Shown;

mod shown;

/// How long a job waits whose worker could not renew.
const NOT_RENEWED: Duration = Duration::from_secs(2);
/// A grant is used this soon, or given up: `photo_generation_budget` counts on it.
const USE_GRANT_WITHIN: Duration = Duration::from_millis(500);
/// A 429 that is over this soon is waited out in place (before jitter) ...
const LIMITED_IN_PLACE: Duration = Duration::from_secs(2);
/// ... and at most this often for one image.
const LIMITED_TRIES: u32 = 3;

/// The right to make one call now.
pub(super) struct Turn {
    pub(super) granted: Granted,
    /// How often this image was refused for a moment before.
    pub(super) limited: u32,
}

/// What one call led to.
pub(super) enum Step {
    Done(ImageOutcome),
    /// Its picture is in the storage; recorded, if it was not to be held.
    Stored(Box<Drawing>),
    /// Refused for a moment: ask for a new grant after this long.
    CallAgain(Duration),
    /// The grant came too late to be used.
    AskAgain,
}

/// What one call has drawn.
pub(super) struct Drawing {
    pub(super) picture: Published,
    pub(super) bytes: Bytes,
    pub(super) usage: Usage,
    pub(super) request_id: Option<String>,
    pub(super) began: Instant,
    /// The provider, for its part.
    pub(super) took: Duration,
}

/// Makes one paid call, which is on record, and settles it.
pub(super) async fn make(
    attempt: Attempt<'_>,
    wanted: Wanted<'_>,
    new: &NewCall<'_>,
    turn: Turn,
    patience: &Patience,
) -> Result<Step, DbError> {
    let span = lines::call_span(wanted.target, new.id, &turn.granted.account);
    let made = make_in_span(attempt, wanted, new, turn, patience)
        .instrument(span)
        .await;
    attempt.context.lines.call_ended(wanted.ask.model());
    made
}

async fn make_in_span(
    attempt: Attempt<'_>,
    wanted: Wanted<'_>,
    new: &NewCall<'_>,
    turn: Turn,
    patience: &Patience,
) -> Result<Step, DbError> {
    let context = attempt.context;
    let granted = &turn.granted;
    let started = Instant::now();
    let mut ended = Ended {
        attempt,
        wanted,
        model: wanted.ask.model(),
        granted,
        call: new.id,
        began: started,
        took: Duration::ZERO,
    };
    tracing::debug!("call started");
    if !context.liveness.may_call() || granted.held_for > USE_GRANT_WITHIN || wanted.is_too_late() {
        // The database was away in between: others may have been granted what we were, or our jobs. Or it
        // took so long to answer that nobody waits any more.
        return ended.not_made().await;
    }
    let result = tokio::select! {
        // In this order: what is lost already is not even begun.
        biased;
        () = attempt.lost.cancelled() => {
            lines::call_abandoned(ended.model, started.elapsed());
            ended.abandoned().await;
            return Ok(Step::Done(ImageOutcome::Lost));
        }
        () = context.shutdown.abort.cancelled() => CallResult::Ambiguous(Failure::retry(
            "shutdown", "The worker was stopped in the middle of a call.")),
        () = patience.exhausted() => CallResult::Ambiguous(Failure::retry(
            "job_timeout", "No image was finished for too long.")),
        result = context.tools.providers.call(&granted.account, wanted.ask, wanted.answered_within()) => result,
    };
    ended.took = started.elapsed();
    let shown = Shown::by(&result);
    let step = ended.settle(result, turn.limited).await?;
    // After the ledger: a worker that lost its lease writes nothing, not here.
    if granted.troubled && !matches!(step, Step::Done(ImageOutcome::Lost)) {
        shown.tell(context.db(), granted, ended.model).await?;
    }
    Ok(step)
}

/// Too long without a renewal to start a paid call: the job waits until we are sure that we live.
pub(super) fn not_renewed() -> ImageOutcome {
    ImageOutcome::Waiting {
        resume: Resume::After(NOT_RENEWED),
    }
}

/// The provider knows the answer that brought this by an id, and bills what it used.
fn of_answer(failure: Failure, provider_request_id: Option<String>, usage: Usage) -> Failure {
    Failure {
        provider_request_id,
        usage: Some(Box::new(usage)),
        ..failure
    }
}

/// An answer in words that says nothing of what was asked.
fn not_understood(text: &str) -> Failure {
    let text = excerpt(text);
    Failure::retry(
        "unusable_answer",
        format!("The provider's answer says nothing that can be used: {text}"),
    )
}

/// A call that has ended and must be settled.
#[derive(Clone, Copy)]
struct Ended<'a> {
    attempt: Attempt<'a>,
    wanted: Wanted<'a>,
    model: &'a Model,
    granted: &'a Granted,
    call: Uuid,
    began: Instant,
    /// The provider, for its part.
    took: Duration,
}

impl Ended<'_> {
    /// The job is not ours any more, and nobody waits for the answer. So the ledger says at once, for until
    /// it does the call takes the place of another one. Under no lease: while the job has not ended, its next
    /// attempt does it; what cannot be written now the sweep writes later.
    async fn abandoned(self) {
        let Attempt { job, lease, .. } = self.attempt;
        let call = OrphanedCall {
            id: self.call,
            job: job.id,
            lease: lease.token(),
            job_uuid: job.job_id,
            index: self.wanted.target.index(),
            step: self.wanted.target.step(),
            tenant: job.tenant.as_str().to_owned(),
            attempt: i32::try_from(job.attempts.saturating_add(1)).unwrap_or(i32::MAX),
            account: self.granted.account.clone(),
            model: self.model.name().to_owned(),
            spool: None,
        };
        let db = self.attempt.context.db();
        if let Err(error) = ledger::settle_orphan(db, &call, None, Lost::WithItsJob).await {
            tracing::debug!(%error, "an abandoned call is left to the sweep");
        }
    }

    async fn settle(self, result: CallResult, limited: u32) -> Result<Step, DbError> {
        match result {
            CallResult::Picture(answer) => self.with_picture(answer).await,
            CallResult::Words(words) => self.with_words(words).await,
            CallResult::Refused(failure) => {
                self.write(
                    CallState::Refused,
                    Some(true),
                    Some(ImageState::Refused),
                    &failure,
                )
                .await?;
                Ok(Step::Done(ImageOutcome::Settled))
            }
            CallResult::Empty(failure) => {
                self.with_error(CallState::Empty, Some(true), failure).await
            }
            CallResult::Failed { failure, accepted } => {
                self.with_error(CallState::Error, accepted, failure).await
            }
            CallResult::Ambiguous(failure) => self.without_knowing(failure).await,
            CallResult::Limited(limit) => self.at_a_limit(limit, limited).await,
        }
    }

    async fn with_picture(self, answer: Answer) -> Result<Step, DbError> {
        let tools = &self.attempt.context.tools;
        let job = self.attempt.job;
        let target = self.wanted.target;
        let Some(place) = publish::Place::of(target, &job.tenant, job.job_id, self.call) else {
            return self.not_asked_for().await;
        };
        let bytes = Bytes::from(answer.bytes);
        let published = publish::publish(
            &tools.decoder,
            &tools.storage,
            &tools.spool,
            place,
            bytes.clone(),
        )
        .await;
        match published {
            Ok(Publication::Kept(published, spool)) => {
                let of_answer = (answer.usage, answer.request_id.as_deref());
                self.keep(&published.key, spool, of_answer).await
            }
            Ok(Publication::Stored(published)) => {
                if !self.wanted.is_held {
                    let picture = published.clone().into();
                    let request_id = answer.request_id.as_deref();
                    let of_answer = (answer.usage, request_id);
                    settle::record(self.attempt, target, self.call, &picture, of_answer).await?;
                    lines::image_stored(self.model, self.took, request_id, &picture.key);
                }
                Ok(Step::Stored(Box::new(Drawing {
                    picture: published,
                    bytes,
                    usage: answer.usage,
                    request_id: answer.request_id,
                    began: self.began,
                    took: self.took,
                })))
            }
            Err(publish::PublishError::Unreadable(failure)) => {
                let failure = of_answer(failure, answer.request_id, answer.usage);
                self.with_error(CallState::Empty, Some(true), failure).await
            }
            Err(publish::PublishError::NotStored(failure)) => {
                let failure = of_answer(failure, answer.request_id, answer.usage);
                self.with_error(CallState::Error, Some(true), failure).await
            }
        }
    }

    /// What a question has found out.
    async fn with_words(self, words: Words) -> Result<Step, DbError> {
        let found = match self.wanted.target {
            Target::Step(domain::Step::Face | domain::Step::Check | domain::Step::Recheck) => {
                FaceBox::read(&words.text).map(FaceBox::to_json)
            }
            Target::Step(domain::Step::Garment(_) | domain::Step::Redraw) | Target::Image(_) => {
                None
            }
        };
        let Some(found) = found else {
            let failure = of_answer(not_understood(&words.text), words.request_id, words.usage);
            return self.with_error(CallState::Empty, Some(true), failure).await;
        };
        let (db, lease) = (self.attempt.context.db(), self.attempt.lease);
        let (usage, request_id) = (words.usage, words.request_id.as_deref());
        persist(|| {
            steps::stored(
                db,
                lease,
                self.call,
                Found::Words(&found),
                usage,
                request_id,
            )
        })
        .await?;
        lines::step_answered(self.model, self.took, request_id);
        Ok(Step::Done(ImageOutcome::Settled))
    }

    /// A picture came of a call that makes none.
    async fn not_asked_for(self) -> Result<Step, DbError> {
        let failure = not_understood("");
        self.with_error(CallState::Empty, Some(true), failure).await
    }

    /// Says in the ledger that the picture waits in the spool: from here on `worker::spool` has it.
    async fn keep(
        self,
        key: &ObjectKey,
        spool: Uuid,
        (usage, provider_request_id): (Usage, Option<&str>),
    ) -> Result<Step, DbError> {
        let context = self.attempt.context;
        let (db, name) = (context.db(), context.name());
        let request_id = provider_request_id;
        if !persist(|| ledger::spooled(db, self.call, spool, &name, usage, request_id)).await? {
            // Another attempt has settled it, which it may only when the job is no longer ours.
            return Ok(Step::Done(ImageOutcome::Lost));
        }
        lines::image_kept(self.model, self.took, provider_request_id, key);
        Ok(Step::Done(ImageOutcome::Kept))
    }

    async fn with_error(
        self,
        state: CallState,
        accepted: Option<bool>,
        failure: Failure,
    ) -> Result<Step, DbError> {
        let wanted = match failure.remedy {
            Remedy::WithoutFidelity if self.wanted.may_lose_fidelity => Some(ImageState::Planned),
            Remedy::Never | Remedy::WithoutFidelity => Some(ImageState::Failed),
            Remedy::Retry | Remedy::RetryOnce if self.is_dispensable() => Some(ImageState::Failed),
            Remedy::Retry => match self.wanted.target {
                Target::Image(_) => Some(ImageState::Planned),
                // Whoever can do without it tries once more, not as often as the job is tried.
                Target::Step(_) => None,
            },
            // The statement knows what came before.
            Remedy::RetryOnce => None,
        };
        let image = self.write(state, accepted, wanted, &failure).await?;
        Ok(Step::Done(if image == ImageState::Failed {
            ImageOutcome::Settled
        } else {
            ImageOutcome::Retryable(failure)
        }))
    }

    /// Nothing of this job is tried again for the sake of this step.
    fn is_dispensable(self) -> bool {
        let job = self.attempt.job;
        match self.wanted.target {
            Target::Image(_) => false,
            Target::Step(
                domain::Step::Face
                | domain::Step::Check
                | domain::Step::Redraw
                | domain::Step::Recheck,
            ) => true,
            Target::Step(domain::Step::Garment(_)) => job.attempts + 1 >= job.max_attempts,
        }
    }

    /// The call was written down and not made.
    async fn not_made(self) -> Result<Step, DbError> {
        let failure = Failure::retry("not_called", "The call was given up before it was made.");
        self.write(
            CallState::Error,
            Some(false),
            Some(ImageState::Planned),
            &failure,
        )
        .await?;
        Ok(if self.attempt.context.liveness.may_call() {
            Step::AskAgain
        } else {
            Step::Done(not_renewed())
        })
    }

    async fn without_knowing(self, failure: Failure) -> Result<Step, DbError> {
        let wanted = self.is_dispensable().then_some(ImageState::Ambiguous);
        let image = self
            .write(CallState::Ambiguous, None, wanted, &failure)
            .await?;
        Ok(Step::Done(if image == ImageState::Ambiguous {
            ImageOutcome::Settled
        } else if self.attempt.context.shutdown.abort.is_cancelled() {
            ImageOutcome::Waiting {
                resume: Resume::Now,
            }
        } else {
            ImageOutcome::Retryable(failure)
        }))
    }

    async fn at_a_limit(self, limit: Limit, limited: u32) -> Result<Step, DbError> {
        let failure = Failure::retry(
            Status::RateLimited.as_str(),
            "The provider asks us to wait.",
        );
        let outcome = match limit {
            Limit::Short { wait, per_minute } => {
                let in_a_row = self.granted.limited_in_a_row;
                let wait = backoff::after_limited(in_a_row, wait);
                let pause = jitter().added_to(wait);
                self.write_limited(&failure).await?;
                self.refuse(Refusal::Cooldown {
                    wait: pause,
                    in_a_row: in_a_row + 1,
                    per_minute,
                })
                .await?;
                if wait <= LIMITED_IN_PLACE && limited < LIMITED_TRIES {
                    return Ok(Step::CallAgain(pause));
                }
                ImageOutcome::RateLimited {
                    until: Resume::After(pause),
                    failure,
                }
            }
            Limit::Daily => {
                let failure =
                    Failure::retry("daily_quota", "The provider's daily quota is used up.");
                self.write_limited(&failure).await?;
                self.refuse(Refusal::QuotaDay).await?;
                ImageOutcome::RateLimited {
                    until: Resume::NextQuotaDay,
                    failure,
                }
            }
            Limit::Blocked { reason, detail } => {
                let failure = Failure::retry(reason.as_str(), "The provider's account is blocked.");
                self.write_limited(&failure).await?;
                self.refuse(Refusal::Blocked {
                    reason,
                    detail: &detail,
                })
                .await?;
                ImageOutcome::Waiting {
                    resume: self.wanted.when_allowed(),
                }
            }
        };
        Ok(Step::Done(outcome))
    }

    /// Tells the fleet. After the ledger: a worker that lost its lease writes nothing, not here.
    async fn refuse(self, refusal: Refusal<'_>) -> Result<(), DbError> {
        let db = self.attempt.context.db();
        let (granted, model) = (self.granted, self.model);
        if persist(|| limits::refused(db, granted, model, refusal)).await? {
            lines::account_limited(refusal);
        }
        Ok(())
    }

    async fn write_limited(self, failure: &Failure) -> Result<(), DbError> {
        self.write(
            CallState::Limited,
            Some(false),
            Some(ImageState::Planned),
            failure,
        )
        .await?;
        Ok(())
    }

    async fn write(
        self,
        state: CallState,
        accepted: Option<bool>,
        image: Option<ImageState>,
        failure: &Failure,
    ) -> Result<ImageState, DbError> {
        let end = EndedCall {
            state,
            accepted,
            image,
            failure,
            provider_request_id: failure.provider_request_id.as_deref(),
        };
        let db = self.attempt.context.db();
        let image = persist(|| ledger::ended(db, self.attempt.lease, self.call, &end)).await?;
        lines::call_ended(self.model, (state, image), self.took, failure);
        Ok(image)
    }
}
