//! The steps of a try-on: its garments are cut out and the face is found, before the picture is drawn.
//!
//! Each is a paid call like any other, on record before it is made, and what it found is kept with the
//! job: whoever comes after a crash asks for what is missing. A try-on does without a step that brought
//! nothing for good: a garment stays in its picture, a face is where faces mostly are. What has only to
//! be waited for is waited for, but for the face, which has a time of its own.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::Attempt;
use super::drift::Sitting;
use super::image::{self, Wanted};
use super::patience::{Patience, Until};
use super::settle::{self, SettleError};
use crate::db::steps::{self, Garment, PlannedStep};
use crate::db::{DbError, persist};
use crate::domain::outcome::{ImageOutcome, Outcome, Resume, of_images};
use crate::domain::tryon::FaceBox;
use crate::domain::{ImageState, Provider, Request, Step, Target, tryon};
use crate::pipeline::tryon as pipeline;
use crate::providers::{Ask, PreparedPicture};
use crate::storage::{ObjectKey, StorageError};

/// How long a job waits whose garment another one is about to bring.
const GARMENT_BUSY: Duration = Duration::from_secs(3);
/// The same where it is bought, and only the storage is away.
const GARMENT_KEPT: Duration = Duration::from_secs(30);

/// What the steps come to.
pub(super) enum Dressed {
    /// The picture is to be drawn.
    Ready(Box<Sitting>),
    NotNow(Outcome),
}

impl Attempt<'_> {
    /// Takes the steps that are missing, and makes of all of them what the picture is drawn from.
    pub(super) async fn dress(
        self,
        request: &Request,
        pictures: &Arc<[PreparedPicture]>,
    ) -> Result<Dressed, SettleError> {
        let Some((person, garments)) = pictures.split_first() else {
            return Ok(Dressed::NotNow(Outcome::Finished));
        };
        let planned = self.plan_steps(garments.len()).await?;
        let outcomes = self.take_steps(&planned, person, garments).await?;
        match of_images(outcomes, self.wait_after_error()) {
            Outcome::Finished => {}
            not_yet => return Ok(Dressed::NotNow(not_yet)),
        }
        let found = persist(|| steps::of_job(self.context.db(), self.lease.job())).await?;
        let face = face_of(&found);
        // Else where faces mostly are.
        let close_up = face.unwrap_or(FaceBox::USUAL);
        let close_up = pipeline::face_of(&self.context.tools.decoder, person, close_up)
            .await
            .map_err(SettleError::Storage)?;
        let mut extracted = Vec::new();
        for original in garments {
            // The same one twice is made for the first.
            let first = (1..).zip(garments).find(|(_, it)| *it == original);
            let step = Step::Garment(first.map_or(1, |(number, _)| number));
            extracted.push(self.garment(&found, step, original).await?);
        }
        Ok(Dressed::Ready(Box::new(Sitting {
            request: pipeline::render(request, person, extracted, close_up),
            may_lose_fidelity: request.options.input_fidelity.is_none(),
            face,
            shape: (person.width, person.height),
        })))
    }

    /// The steps of this job, the calls of dead leases settled. Without a key for the models that they
    /// need there are none.
    async fn plan_steps(self, garments: usize) -> Result<Vec<PlannedStep>, SettleError> {
        let has_key = !self.context.accounts(Provider::Gemini).is_empty();
        let wanted = if has_key {
            tryon::steps(garments)
        } else {
            Vec::new()
        };
        let mut planned = persist(|| steps::plan(self.context.db(), self.lease, &wanted)).await?;
        for step in &mut planned {
            if let (ImageState::Calling, false, Some(call)) = (step.state, step.spooled, &step.call)
            {
                let target = Target::Step(step.step);
                step.state = settle::call_of_dead_lease(self, target, call).await?;
            }
        }
        planned.retain(|step| has_key || step.state == ImageState::Calling);
        Ok(planned)
    }

    /// All at once; one outcome for each step.
    async fn take_steps(
        self,
        planned: &[PlannedStep],
        person: &PreparedPicture,
        garments: &[PreparedPicture],
    ) -> Result<Vec<ImageOutcome>, DbError> {
        let patience = Patience::new(self.context.settings.job_timeout);
        let mut seen = Vec::new();
        let mut taken = Vec::new();
        for step in planned {
            let garment = garment_of(step.step, garments);
            if garment.is_some_and(|garment| seen.contains(&garment)) {
                continue;
            }
            seen.extend(garment);
            taken.push(self.take_step(step, person, garment, &patience));
        }
        // To their ends: an error of one does not give up what the others have paid for.
        join_all(taken).await.into_iter().collect()
    }

    async fn take_step(
        self,
        step: &PlannedStep,
        person: &PreparedPicture,
        garment: Option<&PreparedPicture>,
        patience: &Patience,
    ) -> Result<ImageOutcome, DbError> {
        match (step.state, step.step, garment) {
            // Its picture is bought, and waits for the storage.
            (ImageState::Calling, Step::Face | Step::Garment(_), _) => Ok(ImageOutcome::Kept),
            (ImageState::Planned, Step::Face, _) => self.find_face(person, patience).await,
            (ImageState::Planned, Step::Garment(_), Some(garment)) => {
                self.cut_out(step.step, garment, patience).await
            }
            // Of a garment that the row does not ask for any more.
            (ImageState::Planned, Step::Garment(_), None)
            // About a drawing, which comes later.
            | (_, Step::Check | Step::Redraw | Step::Recheck, _)
            | (
                ImageState::Stored
                | ImageState::Refused
                | ImageState::Failed
                | ImageState::Ambiguous,
                ..,
            ) => Ok(ImageOutcome::Settled),
        }
    }

    /// Asks where the face is. Whatever comes of it, the try-on goes on.
    async fn find_face(
        self,
        person: &PreparedPicture,
        patience: &Patience,
    ) -> Result<ImageOutcome, DbError> {
        let question = pipeline::face_question(person);
        let wanted = Wanted {
            target: Target::Step(Step::Face),
            ask: Ask::Words(&question),
            deadline: self.context.settings.call_timeout,
            until: Some(Until::look(Instant::now())),
            may_lose_fidelity: false,
            is_held: false,
        };
        Ok(match image::work(self, wanted, patience).await? {
            ImageOutcome::Lost => ImageOutcome::Lost,
            ImageOutcome::Settled
            | ImageOutcome::Retryable(_)
            | ImageOutcome::RateLimited { .. }
            | ImageOutcome::Waiting { .. }
            | ImageOutcome::Kept => ImageOutcome::Settled,
        })
    }

    /// Has a garment cut out of its picture, unless the tenant has it already.
    async fn cut_out(
        self,
        step: Step,
        garment: &PreparedPicture,
        patience: &Patience,
    ) -> Result<ImageOutcome, DbError> {
        let Some(request) = pipeline::extraction(garment) else {
            return Ok(ImageOutcome::Settled);
        };
        let (db, tenant) = (self.context.db(), &self.job.tenant);
        let hash = pipeline::garment_hash(tenant, garment);
        match persist(|| steps::take_garment(db, self.lease, step, tenant, &hash)).await? {
            Garment::Ready | Garment::Refused => Ok(ImageOutcome::Settled),
            Garment::Busy => Ok(waiting(GARMENT_BUSY)),
            Garment::Kept => Ok(waiting(GARMENT_KEPT)),
            Garment::Mine => {
                let wanted = Wanted::of(self, Target::Step(step), &request);
                image::work(self, wanted, patience).await
            }
        }
    }

    /// The garment alone if there is one, else its picture as it was given.
    async fn garment(
        self,
        found: &[PlannedStep],
        step: Step,
        original: &PreparedPicture,
    ) -> Result<PreparedPicture, SettleError> {
        let stored = found.iter().find(|it| it.step == step);
        let key = stored.and_then(|it| it.storage_key.as_deref());
        let Some(key) = key.and_then(|key| ObjectKey::parse(key).ok()) else {
            return Ok(original.clone());
        };
        let tools = &self.context.tools;
        let error = match tools.storage.get(&key).await {
            Ok(bytes) => {
                let garment = pipeline::picture(&tools.decoder, bytes).await;
                return Ok(garment.unwrap_or_else(|_| original.clone()));
            }
            Err(error) => error,
        };
        let is_gone = match error {
            StorageError::NotFound => true,
            // All else works: this one is archived, or somebody has taken it from us.
            StorageError::Refused(_) => tools.storage.probe().await.is_ok(),
            StorageError::Unavailable { .. } | StorageError::Unusable { .. } => false,
        };
        if !is_gone {
            return Err(SettleError::Storage(error.into()));
        }
        persist(|| steps::forget_garment(self.context.db(), key.as_str())).await?;
        Ok(original.clone())
    }
}

fn waiting(time: Duration) -> ImageOutcome {
    ImageOutcome::Waiting {
        resume: Resume::After(super::jitter().added_to(time)),
    }
}

fn garment_of(step: Step, garments: &[PreparedPicture]) -> Option<&PreparedPicture> {
    match step {
        Step::Face | Step::Check | Step::Redraw | Step::Recheck => None,
        Step::Garment(number) => garments.get(usize::from(number).checked_sub(1)?),
    }
}

/// As it was found.
fn face_of(found: &[PlannedStep]) -> Option<FaceBox> {
    let face = found.iter().find(|it| it.step == Step::Face);
    let answer = face.and_then(|it| it.result.as_deref());
    answer.and_then(FaceBox::read)
}
