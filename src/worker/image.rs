//! One image, or one step, until it is bought, refused or must wait: stand in line, call.
//!
//! The waits are here, the money is in [`super::call`].

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::call::{self, Drawing, Step, Turn};
use super::patience::{Patience, Until};
use super::{Attempt, jitter, metrics};
use crate::db::ledger::{self, Gate, NewCall};
use crate::db::limits::Granted;
use crate::db::{DbError, persist};
use crate::domain::Target;
use crate::domain::outcome::{ImageOutcome, Resume};
use crate::pipeline::spool::Ahead;
use crate::providers::{Ask, ImageRequest};

/// A call that may begin within this long is waited for in place; for a longer wait the job goes back
/// and its slot serves somebody else.
const WAIT_IN_PLACE: Duration = Duration::from_secs(5);

/// How long a job waits while the spool of this worker has no room for its pictures.
const NO_ROOM: Duration = Duration::from_secs(10);

/// How long a job waits of which a step may not be called, until somebody acts. The claim looks at the
/// model that the job names, not at those of its steps, and would find it free again and again.
const STEP_FORBIDDEN: Duration = Duration::from_secs(30);

/// What is to be bought.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) target: Target,
    pub(super) ask: Ask<'a>,
    /// Nobody waits longer for the answer.
    pub(super) deadline: Duration,
    /// Nor after these moments, if the job can do without it.
    pub(super) until: Option<Until>,
    /// It may be asked for once more without input fidelity, where that is what is refused.
    pub(super) may_lose_fidelity: bool,
    /// Its picture is looked at before it counts: its call is left open, and settled by `drift`.
    pub(super) is_held: bool,
}

/// What came of it.
pub(super) struct Worked {
    pub(super) outcome: ImageOutcome,
    /// That lies in the storage now.
    pub(super) drawing: Option<Box<Drawing>>,
}

impl From<ImageOutcome> for Worked {
    fn from(outcome: ImageOutcome) -> Self {
        Self {
            outcome,
            drawing: None,
        }
    }
}

impl<'a> Wanted<'a> {
    /// As patient as the settings are.
    pub(super) fn of(attempt: Attempt<'_>, target: Target, request: &'a ImageRequest) -> Self {
        Self {
            target,
            ask: Ask::Picture(request),
            deadline: attempt.context.settings.call_timeout,
            until: None,
            may_lose_fidelity: false,
            is_held: false,
        }
    }

    /// How long the answer is waited for, if it is asked for now.
    pub(super) fn answered_within(self) -> Duration {
        match self.until {
            Some(until) => until.within(self.deadline, Instant::now()),
            None => self.deadline,
        }
    }

    /// Its answer would come too late.
    pub(super) fn is_too_late(self) -> bool {
        self.until
            .is_some_and(|until| until.is_too_late(Instant::now()))
    }

    /// When a job may go on that waits for somebody to act.
    pub(super) fn when_allowed(self) -> Resume {
        match self.target {
            Target::Image(_) => Resume::Now,
            Target::Step(_) => Resume::After(jitter().added_to(STEP_FORBIDDEN)),
        }
    }
}

/// Works one image or step until it is settled, must wait, or is lost.
pub(super) async fn work(
    attempt: Attempt<'_>,
    wanted: Wanted<'_>,
    patience: &Patience,
) -> Result<ImageOutcome, DbError> {
    Ok(draw(attempt, wanted, patience).await?.outcome)
}

/// The same for whoever has a look at the picture.
pub(super) async fn draw(
    attempt: Attempt<'_>,
    wanted: Wanted<'_>,
    patience: &Patience,
) -> Result<Worked, DbError> {
    let context = attempt.context;
    let model = wanted.ask.model();
    let accounts = context.accounts(model.provider());
    let mut limited = 0;
    loop {
        if attempt.lost.is_cancelled() {
            return Ok(ImageOutcome::Lost.into());
        }
        // An expired job ends as such, whatever its images would wait for.
        if attempt.expiry.has_passed() || context.shutdown.stop.is_cancelled() {
            return Ok(waiting(Resume::Now).into());
        }
        let new = NewCall {
            id: Uuid::new_v4(),
            target: wanted.target,
            run: context.run(),
            tenant: &attempt.job.tenant,
            accounts: &accounts,
            model,
            deadline: wanted.answered_within(),
        };
        let (granted, ahead) = match stand_in_line(attempt, wanted, &new).await? {
            InLine::Granted(granted, ahead) => (granted, ahead),
            InLine::Over(outcome) => return Ok(outcome.into()),
            InLine::Interrupted => continue,
        };
        patience.renew();
        let turn = Turn { granted, limited };
        let made = call::make(attempt, wanted, &new, turn, patience).await;
        // Its picture, if there was one, is counted by now.
        drop(ahead);
        match made? {
            Step::Done(outcome) => {
                patience.renew();
                return Ok(outcome.into());
            }
            Step::Stored(drawing) => {
                patience.renew();
                return Ok(Worked {
                    outcome: ImageOutcome::Settled,
                    drawing: Some(drawing),
                });
            }
            Step::AskAgain => {}
            Step::CallAgain(pause) => {
                limited += 1;
                tokio::select! {
                    () = sleep(pause) => {}
                    // The line says so.
                    () = too_late(wanted) => {}
                    () = interrupted(attempt) => {}
                }
            }
        }
    }
}

/// How standing in line ended.
enum InLine {
    Granted(Granted, Ahead),
    /// It is not this image's turn for long, or never.
    Over(ImageOutcome),
    Interrupted,
}

/// Waits for permission to call. Nothing interrupts the question itself: it may be answered with a
/// call that is on record.
async fn stand_in_line(
    attempt: Attempt<'_>,
    wanted: Wanted<'_>,
    new: &NewCall<'_>,
) -> Result<InLine, DbError> {
    let context = attempt.context;
    let mut place = context.lines.join(new.model);
    loop {
        tokio::select! {
            // In this order: the first of an empty line would go on whatever the time.
            biased;
            () = too_late(wanted) => return Ok(InLine::Over(waiting(wanted.when_allowed()))),
            () = interrupted(attempt) => return Ok(InLine::Interrupted),
            () = place.come_first() => {}
        }
        if !context.liveness.may_call() {
            return Ok(InLine::Over(call::not_renewed()));
        }
        let Some(ahead) = context.tools.spool.ahead() else {
            return Ok(InLine::Over(waiting(Resume::After(NO_ROOM))));
        };
        let question = persist(|| ledger::calling(context.db(), attempt.lease, new));
        let wait = match place.ask(question).await? {
            Gate::Open(granted) => return Ok(InLine::Granted(granted, ahead)),
            Gate::Expired => {
                attempt.expiry.tell();
                return Ok(InLine::Over(waiting(Resume::Now)));
            }
            Gate::Wait(wait) => wait,
        };
        drop(ahead);
        metrics::told_to_wait(wait.why);
        match wait.length {
            Some(length) if length <= WAIT_IN_PLACE => tokio::select! {
                () = place.wait(length, wait.why) => {}
                () = too_late(wanted) => return Ok(InLine::Over(waiting(wanted.when_allowed()))),
                () = interrupted(attempt) => return Ok(InLine::Interrupted),
            },
            Some(length) => {
                return Ok(InLine::Over(waiting(Resume::After(
                    jitter().added_to(length),
                ))));
            }
            // Paused by an operator, or blocked: the claim looks at that itself.
            None => return Ok(InLine::Over(waiting(wanted.when_allowed()))),
        }
    }
}

fn waiting(resume: Resume) -> ImageOutcome {
    ImageOutcome::Waiting { resume }
}

/// Permission would come too late.
async fn too_late(wanted: Wanted<'_>) {
    match wanted.until {
        Some(until) => sleep_until(until.begin).await,
        None => std::future::pending().await,
    }
}

/// The job is lost, expired, or this worker stops.
async fn interrupted(attempt: Attempt<'_>) {
    tokio::select! {
        () = attempt.lost.cancelled() => {}
        () = attempt.expiry.passed() => {}
        () = attempt.context.shutdown.stop.cancelled() => {}
    }
}
