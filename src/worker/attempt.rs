//! One attempt at one job, from the claim to the statement that ends it.
//!
//! Reads as a list of steps. Every write carries the lease; when one says that the lease is lost,
//! the attempt stops where it is and writes nothing more, in any table. A panic ends this attempt
//! and no other.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::expiry::Expiry;
use super::image::{self, Wanted};
use super::lines;
use super::liveness::Hold;
use super::patience::Patience;
use super::settle::{self, SettleError};
use super::spool;
use super::tryon::Dressed;
use super::{Attempt, Context, jitter};
use crate::db::lease::{self, Counted, Finished, GiveBack};
use crate::db::{DbError, Lease, ledger, persist};
use crate::domain::backoff;
use crate::domain::failure::Remedy;
use crate::domain::outcome::{ImageOutcome, Outcome, Resume, of_images};
use crate::domain::{ClaimedJob, Failure, ImageState, JobType, Request, Target};
use crate::providers::ImageRequest;

/// Images of one job that are worked at once; what the provider takes is decided elsewhere.
const IMAGES_AT_ONCE: usize = 8;

/// How long a job waits of which a call cannot be settled, as the storage does not answer. It is not the
/// job's fault, and costs it no attempt.
const STORAGE_AWAY: Duration = Duration::from_secs(15);

/// How long a job waits whose end the database refused.
const AFTER_REFUSED_END: Duration = Duration::from_mins(5);

/// The log may wait this long to say where a lost job went.
const LOST_TO_WHOM: Duration = Duration::from_secs(2);

/// Works a claimed job and ends the attempt.
pub(super) async fn run(context: Arc<Context>, lease: Lease, job: ClaimedJob, hold: Hold) {
    let expiry = Expiry::after(job.expires_in);
    let attempt = Attempt {
        context: &context,
        lease: &lease,
        job: &job,
        lost: &hold.lost,
        expiry: &expiry,
        started: Instant::now(),
    };
    async {
        tracing::info!(images = job.images, "job claimed");
        let outcome = contained(attempt.work(), &job).await;
        attempt.conclude(outcome).await;
    }
    .instrument(lines::attempt_span(attempt))
    .await;
    drop(hold);
}

/// What an attempt finds to do.
struct Plan {
    /// To be called.
    images: Vec<i32>,
    /// Other images are bought, and wait in a spool.
    is_kept: bool,
}

impl Attempt<'_> {
    async fn work(self) -> Result<Outcome, SettleError> {
        let request = match Request::parse(self.job) {
            Ok(request) => request,
            Err(error) => return Ok(Outcome::Rejected(error.into())),
        };
        persist(|| lease::reopen_batch(self.context.db(), self.lease)).await?;
        let plan = self.plan(request.images).await?;
        let outcome = self.work_images(request, plan.images).await?;
        Ok(if plan.is_kept {
            outcome.while_kept()
        } else {
            outcome
        })
    }

    /// Makes what is to be made.
    async fn work_images(
        self,
        request: Request,
        planned: Vec<i32>,
    ) -> Result<Outcome, SettleError> {
        if let Some(failure) = self.is_over() {
            return Ok(Outcome::Rejected(failure));
        }
        tracing::debug!(images = planned.len(), "images planned");
        if planned.is_empty() {
            return Ok(Outcome::Finished);
        }
        let prepared = tokio::select! {
            prepared = self.context.tools.inputs.prepare(&self.job.tenant, &request.pictures) => prepared,
            () = self.lost.cancelled() => return Ok(Outcome::Lost),
            () = self.expiry.passed() => return Ok(Outcome::Rejected(Failure::expired())),
            () = self.context.shutdown.stop.cancelled() => {
                return Ok(Outcome::Released { resume: Resume::Now });
            }
        };
        let pictures = match prepared {
            Ok(pictures) => pictures,
            Err(failure) => return Ok(self.without_inputs(failure)),
        };
        tracing::debug!(pictures = pictures.len(), "inputs ready");
        let images = match JobType::named(&self.job.kind) {
            Some(JobType::TryOn) => match self.dress(&request, &pictures).await? {
                Dressed::Ready(sitting) => vec![Box::pin(self.draw(&sitting)).await?],
                Dressed::NotNow(outcome) => return Ok(outcome),
            },
            Some(JobType::PhotoGeneration | JobType::ImageGeneration | JobType::ImageEdit)
            | None => {
                let call_of = |index| ImageRequest::of(&request, &pictures, index);
                self.generate(&call_of, planned).await?
            }
        };
        Ok(of_images(images, self.wait_after_error()))
    }

    /// What is to be done, after the calls of dead leases are settled.
    async fn plan(self, images: i32) -> Result<Plan, SettleError> {
        let db = self.context.db();
        let rows = persist(|| ledger::plan(db, self.lease, images)).await?;
        let mut plan = Plan {
            images: Vec::new(),
            is_kept: false,
        };
        for row in rows {
            let state = match (row.state, &row.call) {
                (ImageState::Calling, Some(call)) if !row.spooled => {
                    settle::call_of_dead_lease(self, Target::Image(row.index), call).await?
                }
                (state, _) => state,
            };
            // Fewer may be asked for than once were, when an operator changed the row.
            if state == ImageState::Planned && row.index <= images {
                plan.images.push(row.index);
            }
            plan.is_kept |= state == ImageState::Calling;
        }
        Ok(plan)
    }

    /// Why nothing may be called for this job any more, whatever the row asks for.
    fn is_over(self) -> Option<Failure> {
        if self.expiry.has_passed() {
            return Some(Failure::expired());
        }
        (self.job.attempts >= self.job.max_attempts).then(|| {
            Failure::never(
                "attempts_exhausted",
                format!("Given up after {} attempts.", self.job.attempts),
            )
        })
    }

    fn without_inputs(self, failure: Failure) -> Outcome {
        match failure.remedy {
            Remedy::Never | Remedy::WithoutFidelity => Outcome::Rejected(failure),
            Remedy::Retry | Remedy::RetryOnce => Outcome::Retry {
                failure,
                wait: self.wait_after_error(),
            },
        }
    }

    /// Works all planned images, some at once. When images had to wait while others went through
    /// (the probe of a blocked account succeeded), those get another turn.
    async fn generate(
        self,
        call_of: &(impl Fn(i32) -> ImageRequest + Sync),
        planned: Vec<i32>,
    ) -> Result<Vec<ImageOutcome>, DbError> {
        let patience = Patience::new(self.context.settings.job_timeout);
        let mut settled = Vec::new();
        let mut turn = planned;
        loop {
            let told_to_wait = OnceLock::new();
            let outcomes: Vec<(i32, Result<ImageOutcome, DbError>)> = stream::iter(turn)
                .map(|index| {
                    let (patience, told_to_wait) = (&patience, &told_to_wait);
                    async move {
                        // A hundred images would ask for half a minute, to be told the same.
                        if let Some(&resume) = told_to_wait.get() {
                            return (index, Ok(ImageOutcome::Waiting { resume }));
                        }
                        let request = call_of(index);
                        let wanted = Wanted::of(self, Target::Image(index), &request);
                        let outcome = image::work(self, wanted, patience).await;
                        if let Ok(ImageOutcome::Waiting { resume }) = outcome {
                            // What the first one was told stands.
                            let _ = told_to_wait.set(resume);
                        }
                        (index, outcome)
                    }
                })
                .buffer_unordered(IMAGES_AT_ONCE)
                .collect()
                .await;
            let (mut waiting, mut waits, mut went_through) = (Vec::new(), Vec::new(), false);
            for (index, outcome) in outcomes {
                match outcome? {
                    outcome @ ImageOutcome::Waiting { .. } => {
                        waiting.push(index);
                        waits.push(outcome);
                    }
                    outcome => {
                        went_through |= is_bought(&outcome);
                        settled.push(outcome);
                    }
                }
            }
            let another_turn = went_through
                && !waiting.is_empty()
                && settled.iter().all(is_bought)
                && !self.expiry.has_passed()
                && !self.context.shutdown.stop.is_cancelled();
            if !another_turn {
                settled.append(&mut waits);
                return Ok(settled);
            }
            turn = waiting;
        }
    }

    pub(super) fn wait_after_error(self) -> Duration {
        backoff::after_error(self.job.attempts, jitter())
    }

    /// Ends the attempt with the one statement that its outcome asks for.
    async fn conclude(self, outcome: Result<Outcome, SettleError>) {
        let outcome = match outcome {
            Ok(outcome) if self.expiry.has_passed() => outcome.past_expiry(),
            Ok(outcome) => outcome,
            Err(SettleError::Database(DbError::LeaseLost)) => Outcome::Lost,
            // The calls stay open, which only the next claim may settle. So it is not for an expiry to
            // end the job either; where it waits, the sweep does so.
            Err(SettleError::Storage(failure)) => {
                tracing::warn!(
                    code = failure.code,
                    error = failure.message,
                    "the storage does not say what became of a call"
                );
                Outcome::Released {
                    resume: Resume::After(jitter().added_to(STORAGE_AWAY)),
                }
            }
            Err(SettleError::Database(error)) => {
                tracing::error!(%error, "the database refused a step of this job");
                self.broken(internal_error())
            }
        };
        match self.write(&outcome).await {
            Ok(finished) => {
                if let Outcome::Kept { .. } = outcome {
                    // What it waits for may have been stored just before.
                    spool::bring_forward(self.context, self.job.id).await;
                }
                self.tell(&outcome, finished).await;
            }
            Err(DbError::LeaseLost) => self.tell(&Outcome::Lost, None).await,
            Err(error) => self.end_all_the_same(&error).await,
        }
    }

    /// The one line per end of an attempt.
    async fn tell(self, outcome: &Outcome, finished: Option<Finished>) {
        match (outcome, finished) {
            (Outcome::Lost, _) => {
                let status = lease::status_of_lost(self.context.db(), self.lease);
                let status = tokio::time::timeout(LOST_TO_WHOM, status).await;
                let reason = status.ok().and_then(Result::ok).map(lines::why_lost);
                lines::job_lost(self, reason);
            }
            (_, Some(finished)) => {
                if finished.has_webhook {
                    self.context.messages.notify_one();
                }
                lines::job_finished(self, &finished);
            }
            (outcome, None) => lines::attempt_ended(self, outcome),
        }
    }

    /// The database refuses the statement that ends the attempt (a trigger of the app's, say). The
    /// attempt counts and the job waits, else it would be bought again and again.
    async fn end_all_the_same(self, error: &DbError) {
        tracing::error!(%error, "the database refused to end this attempt");
        let fallback = Outcome::Broken {
            failure: internal_error(),
            wait: AFTER_REFUSED_END,
        };
        match self.write(&fallback).await {
            Ok(finished) => self.tell(&fallback, finished).await,
            Err(error) => {
                tracing::error!(%error, "the job is left as it is; it is given back later");
            }
        }
    }

    /// Our own side broke in the middle.
    fn broken(self, failure: Failure) -> Outcome {
        Outcome::Broken {
            failure,
            wait: self.wait_after_error(),
        }
    }

    async fn write(self, outcome: &Outcome) -> Result<Option<Finished>, DbError> {
        let (db, lease) = (self.context.db(), self.lease);
        let last = self.job.attempts + 1 >= self.job.max_attempts;
        persist(|| async move {
            let why = match outcome {
                Outcome::Finished => {
                    return lease::finish(db, lease, Counted::No, None).await.map(Some);
                }
                Outcome::Rejected(failure) => {
                    let finished = lease::finish(db, lease, Counted::No, Some(failure)).await;
                    return finished.map(Some);
                }
                Outcome::Retry { failure, .. } if last => {
                    let finished = lease::finish(db, lease, Counted::Yes, Some(failure)).await;
                    return finished.map(Some);
                }
                Outcome::Retry { failure, wait } | Outcome::Broken { failure, wait } => {
                    GiveBack::Retry(failure, *wait)
                }
                Outcome::RateLimited { until, failure } => GiveBack::RateLimited(failure, *until),
                Outcome::Released { resume } | Outcome::Kept { resume } => {
                    GiveBack::Released(*resume)
                }
                Outcome::Lost => return Ok(None),
            };
            lease::give_back(db, lease, why).await.map(|()| None)
        })
        .await
    }
}

/// Nothing is left to do about this image, here.
fn is_bought(outcome: &ImageOutcome) -> bool {
    match outcome {
        ImageOutcome::Settled | ImageOutcome::Kept => true,
        ImageOutcome::Retryable(_)
        | ImageOutcome::RateLimited { .. }
        | ImageOutcome::Waiting { .. }
        | ImageOutcome::Lost => false,
    }
}

/// A panic ends this attempt, as an error that is worth another try.
async fn contained(
    work: impl Future<Output = Result<Outcome, SettleError>>,
    job: &ClaimedJob,
) -> Result<Outcome, SettleError> {
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    ended.unwrap_or_else(|_| {
        Ok(Outcome::Broken {
            failure: internal_error(),
            wait: backoff::after_error(job.attempts, jitter()),
        })
    })
}

fn internal_error() -> Failure {
    Failure::retry("internal_error", "Something went wrong on our side.")
}

#[cfg(test)]
mod tests;
