//! The picture of a try-on: drawn, looked at, and drawn once more where the face is not where it was.
//!
//! The first drawing takes the way of any image up to its object in the storage, and then waits: its call
//! stays open while the small model is asked where the face is. So there is never a picture that is paid for
//! and that nobody would find: whoever settles the call, after a crash, a cancellation or at the end, takes
//! the better one of what was drawn until then. Nothing that goes wrong with the second drawing or with a
//! look costs the first one.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::time::Instant;
use uuid::Uuid;

use super::call::Drawing;
use super::image::{self, Wanted, Worked};
use super::patience::{Patience, Until};
use super::settle::{self, SettleError};
use super::{Attempt, Context, lines};
use crate::db::steps::{self, PlannedStep};
use crate::db::{DbError, persist};
use crate::domain::failure::{Failure, Remedy};
use crate::domain::outcome::ImageOutcome;
use crate::domain::tryon::{self, FaceBox};
use crate::domain::{ImageState, JobId, Model, Provider, Step, Target, Tenant};
use crate::pipeline::publish::{Place, Published};
use crate::pipeline::tryon as pipeline;
use crate::providers::{Ask, ImageRequest};

/// What a try-on is drawn from.
pub(super) struct Sitting {
    pub(super) request: ImageRequest,
    /// The row does not say how closely to keep to the pictures.
    pub(super) may_lose_fidelity: bool,
    /// Where the person's face was found.
    pub(super) face: Option<FaceBox>,
    /// Width and height of the person's picture.
    pub(super) shape: (u32, u32),
}

/// When there is still time for more than the first drawing.
#[derive(Clone, Copy)]
struct Times {
    redraw: Until,
    /// Somebody waits: which drawing it is, is known by then.
    decided: Instant,
}

/// Models that have refused to be told how closely to keep to their pictures, as this process has learned.
#[derive(Debug, Default)]
pub(super) struct Unfaithful(Mutex<HashSet<String>>);

impl Unfaithful {
    fn learn(&self, model: &Model) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(model.name().to_owned());
    }

    fn has(&self, model: &Model) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(model.name())
    }
}

impl Attempt<'_> {
    /// Draws the one picture of a try-on.
    pub(super) async fn draw(self, sitting: &Sitting) -> Result<ImageOutcome, SettleError> {
        let patience = Patience::new(self.context.settings.job_timeout);
        let wanted = Wanted {
            is_held: sitting.face.is_some() && !self.context.accounts(Provider::Gemini).is_empty(),
            ..Wanted::of(self, Target::Image(1), &sitting.request)
        };
        let drawn = self.faithfully(sitting, wanted, &patience).await?;
        let Some(first) = drawn.drawing.filter(|_| wanted.is_held) else {
            return Ok(drawn.outcome);
        };
        let (call, usage, took) = (first.picture.call, first.usage, first.took);
        let request_id = first.request_id.clone();
        let chosen = self.better(sitting, *first, &patience).await?;
        let picture = chosen.into();
        let of_answer = (usage, request_id.as_deref());
        settle::record(self, wanted.target, call, &picture, of_answer).await?;
        let model = &sitting.request.model;
        lines::image_stored(model, took, request_id.as_deref(), &picture.key);
        Ok(ImageOutcome::Settled)
    }

    /// The first drawing, or a second one that is nearer to the person.
    async fn better(
        self,
        sitting: &Sitting,
        first: Drawing,
        patience: &Patience,
    ) -> Result<Published, DbError> {
        let (db, job) = (self.context.db(), self.lease.job());
        let Drawing {
            picture: first,
            bytes,
            usage,
            request_id,
            began,
            took,
        } = first;
        let is_alike = tryon::have_one_shape(sitting.shape, (first.width, first.height));
        // Nothing is asked whose answer would change nothing.
        let is_late = !tryon::may_redraw(began.elapsed(), took);
        let (key, id) = (first.key.as_str(), request_id.as_deref());
        if !is_alike
            || is_late
            || !persist(|| steps::drawn(db, self.lease, first.call, key, usage, id)).await?
        {
            return Ok(first);
        }
        let times = Times {
            redraw: Until {
                begin: began + tryon::redraws_until(took),
                end: began + tryon::REDRAWN_BY,
            },
            decided: began + tryon::DECIDED_BY,
        };
        self.look(Step::Check, bytes, times.redraw.begin, patience)
            .await?;
        let found = persist(|| steps::of_job(db, job)).await?;
        let has_drifted =
            faces(&found).is_some_and(|faces| faces.first.has_drifted_from(faces.own));
        lines::drawing_checked(has_drifted);
        if !has_drifted || !tryon::may_redraw(began.elapsed(), took) {
            return Ok(first);
        }
        let second = self.redraw(sitting, times, patience).await?;
        let found = persist(|| steps::of_job(db, job)).await?;
        Ok(match (better_call(&found, &first), second) {
            (Some(call), Some(second)) if call == second.call => second,
            (Some(_) | None, _) => first,
        })
    }

    /// Draws once more, and looks at it, if there is time for both. Of what was not looked at in time nobody
    /// knows that it is the nearer one: the first drawing stands.
    async fn redraw(
        self,
        sitting: &Sitting,
        times: Times,
        patience: &Patience,
    ) -> Result<Option<Published>, DbError> {
        let both = [Step::Redraw, Step::Recheck];
        let planned = persist(|| steps::plan(self.context.db(), self.lease, &both)).await?;
        let is_free =
            |step| row(&planned, step).is_some_and(|row| row.state == ImageState::Planned);
        if !both.into_iter().all(is_free) {
            return Ok(None);
        }
        let wanted = Wanted {
            until: Some(times.redraw),
            ..Wanted::of(self, Target::Step(Step::Redraw), &sitting.request)
        };
        let drawn = self.faithfully(sitting, wanted, patience).await?;
        let Some(second) = drawn.drawing else {
            return Ok(None);
        };
        self.look(Step::Recheck, second.bytes, times.decided, patience)
            .await?;
        Ok(Some(second.picture))
    }

    /// Asks where the face of a drawing is; the step has the answer, if there is one by then.
    async fn look(
        self,
        step: Step,
        bytes: Bytes,
        before: Instant,
        patience: &Patience,
    ) -> Result<(), DbError> {
        let Ok(picture) = pipeline::picture(&self.context.tools.decoder, bytes).await else {
            return Ok(());
        };
        let question = pipeline::face_question(&picture);
        let wanted = Wanted {
            target: Target::Step(step),
            ask: Ask::Words(&question),
            deadline: self.context.settings.call_timeout,
            until: Some(Until::look_before(before, Instant::now())),
            may_lose_fidelity: false,
            is_held: false,
        };
        match image::work(self, wanted, patience).await? {
            ImageOutcome::Lost => Err(DbError::LeaseLost),
            ImageOutcome::Settled
            | ImageOutcome::Retryable(_)
            | ImageOutcome::RateLimited { .. }
            | ImageOutcome::Waiting { .. }
            | ImageOutcome::Kept => Ok(()),
        }
    }

    /// Draws, and once more where the model refuses to be told how closely to keep to its pictures. That
    /// was our wish; what the row wishes is left to fail.
    async fn faithfully(
        self,
        sitting: &Sitting,
        wanted: Wanted<'_>,
        patience: &Patience,
    ) -> Result<Worked, DbError> {
        let model = &sitting.request.model;
        let unfaithful = &self.context.unfaithful;
        let request = if sitting.may_lose_fidelity && unfaithful.has(model) {
            Cow::Owned(pipeline::without_fidelity(&sitting.request))
        } else {
            Cow::Borrowed(&sitting.request)
        };
        let wanted = Wanted {
            ask: Ask::Picture(&request),
            may_lose_fidelity: sitting.may_lose_fidelity,
            ..wanted
        };
        let worked = image::draw(self, wanted, patience).await?;
        if !sitting.may_lose_fidelity || !is_about_fidelity(&worked.outcome) {
            return Ok(worked);
        }
        unfaithful.learn(model);
        let request = pipeline::without_fidelity(&sitting.request);
        let wanted = Wanted {
            ask: Ask::Picture(&request),
            may_lose_fidelity: false,
            ..wanted
        };
        image::draw(self, wanted, patience).await
    }
}

fn is_about_fidelity(outcome: &ImageOutcome) -> bool {
    match outcome {
        ImageOutcome::Retryable(Failure { remedy, .. }) => *remedy == Remedy::WithoutFidelity,
        ImageOutcome::Settled
        | ImageOutcome::RateLimited { .. }
        | ImageOutcome::Waiting { .. }
        | ImageOutcome::Kept
        | ImageOutcome::Lost => false,
    }
}

/// Of the drawings of a job whose attempt is over, the first of which was found in the storage, the one
/// that it gets.
pub(super) async fn chosen(
    context: &Context,
    (job, job_uuid, tenant): (JobId, Uuid, &Tenant),
    first: Published,
) -> Result<Published, SettleError> {
    let found = persist(|| steps::of_job(context.db(), job)).await?;
    let second = better_call(&found, &first)
        .and_then(|call| Place::of(Target::Step(Step::Redraw), tenant, job_uuid, call));
    Ok(match second {
        Some(place) => settle::find(context, place).await?.unwrap_or(first),
        None => first,
    })
}

/// Where faces were found.
struct Faces {
    /// In the person's picture.
    own: FaceBox,
    first: FaceBox,
    second: Option<FaceBox>,
}

fn faces(found: &[PlannedStep]) -> Option<Faces> {
    let face = |step| FaceBox::read(row(found, step)?.result.as_deref()?);
    Some(Faces {
        own: face(Step::Face)?,
        first: face(Step::Check)?,
        second: face(Step::Recheck),
    })
}

/// The call of the second drawing, if it is known to be nearer to the person than `first`: one in which no
/// face was found is not.
fn better_call(found: &[PlannedStep], first: &Published) -> Option<Uuid> {
    let checked = row(found, Step::Check)?;
    // Else it was another drawing that was looked at.
    if checked.storage_key.as_deref() != Some(first.key.as_str()) {
        return None;
    }
    let Faces {
        own,
        first,
        second: Some(second),
    } = faces(found)?
    else {
        return None;
    };
    let redrawn = row(found, Step::Redraw).filter(|row| row.state == ImageState::Stored)?;
    redrawn
        .made_by
        .filter(|_| second.overlap(own) > first.overlap(own))
}

fn row(found: &[PlannedStep], step: Step) -> Option<&PlannedStep> {
    found.iter().find(|row| row.step == step)
}
