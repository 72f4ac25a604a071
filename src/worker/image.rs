//! One image until it is bought, refused or must wait: throttle, grant, call.
//!
//! The waits are here, the money is in [`super::call`].

use std::time::Duration;

use tokio::time::sleep;

use super::call::{self, Step, Turn};
use super::patience::Patience;
use super::{Attempt, jitter};
use crate::db::limits::{self, Grant};
use crate::db::{DbError, persist};
use crate::domain::outcome::{ImageOutcome, Resume};
use crate::providers::ImageRequest;

/// A grant that is due within this long is waited for in place; for a longer one the job goes back
/// and its slot serves somebody else.
const WAIT_IN_PLACE: Duration = Duration::from_secs(5);
/// Works one image until it is settled, must wait, or is lost.
pub(super) async fn work(
    attempt: Attempt<'_>,
    request: &ImageRequest,
    index: i32,
    patience: &Patience,
) -> Result<ImageOutcome, DbError> {
    let context = attempt.context;
    let mut limited = 0;
    loop {
        if attempt.lost.is_cancelled() {
            return Ok(ImageOutcome::Lost);
        }
        // An expired job ends as such, whatever its images would wait for.
        if attempt.expiry.has_passed() || context.shutdown.stop.is_cancelled() {
            return Ok(ImageOutcome::Waiting {
                resume: Resume::Now,
            });
        }
        let slot = tokio::select! {
            slot = context.throttle.acquire(&request.model) => slot,
            () = attempt.lost.cancelled() => continue,
            () = attempt.expiry.passed() => continue,
            () = context.shutdown.stop.cancelled() => continue,
        };
        if !context.liveness.may_call() {
            return Ok(call::not_renewed());
        }
        let accounts = context.accounts(request.model.provider());
        let grant = persist(|| limits::grant(context.db(), &accounts, &request.model)).await?;
        let pause = match grant {
            Grant::Granted(granted) => {
                patience.renew();
                let turn = Turn {
                    slot,
                    granted,
                    limited,
                };
                match call::make(attempt, request, index, turn, patience).await? {
                    Step::Done(outcome) => {
                        patience.renew();
                        return Ok(outcome);
                    }
                    Step::CallAgain(pause) => {
                        limited += 1;
                        pause
                    }
                }
            }
            Grant::Wait(Some(wait)) if wait <= WAIT_IN_PLACE => {
                drop(slot);
                jitter().added_to(wait)
            }
            Grant::Wait(Some(wait)) => {
                let resume = Resume::After(jitter().added_to(wait));
                return Ok(ImageOutcome::Waiting { resume });
            }
            // Paused by an operator, or blocked: the claim looks at that itself.
            Grant::Wait(None) => {
                return Ok(ImageOutcome::Waiting {
                    resume: Resume::Now,
                });
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = attempt.lost.cancelled() => {}
            () = attempt.expiry.passed() => {}
            () = context.shutdown.stop.cancelled() => {}
        }
    }
}
