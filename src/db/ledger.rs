//! The ledger of paid calls, and the images that came of them.
//!
//! A call is written as `calling` and committed before its request leaves; it is settled exactly
//! once, by `state = 'calling'` in the settling statement. Everything here but [`settle_orphan`] and
//! [`spooled`] needs the job's lease: a worker that lost it writes nothing.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::lease::must_be_one;
use super::limits::Granted;
use super::{Db, DbError, Lease, seconds};
use crate::domain::failure::{Failure, Usage};
use crate::domain::{ImageState, JobId, Model, Target, Tenant};
pub use orphans::{Lost, OrphanedCall, orphaned_calls, settle_orphan};

mod orphans;

/// One requested image, as the attempt finds it.
#[derive(Debug)]
pub struct PlannedImage {
    /// From 1.
    pub index: i32,
    pub state: ImageState,
    /// The call in flight when `state` is `calling`: a dead lease's, to be settled first.
    pub call: Option<DeadCall>,
    /// Its picture is bought and waits in a spool: nothing is to be done about it.
    pub spooled: bool,
}

/// A call that a dead lease left behind.
#[derive(Debug)]
pub struct DeadCall {
    pub id: Uuid,
    /// What its object would be called; as it was then, whatever the row says now.
    pub tenant: Tenant,
    pub job_uuid: Uuid,
}

impl DeadCall {
    /// As a row has it, if it has one.
    pub(super) fn read(
        id: Option<Uuid>,
        tenant: Option<String>,
        job_uuid: Option<Uuid>,
    ) -> Option<Self> {
        Some(Self {
            id: id?,
            tenant: Tenant::from_stored(&tenant?),
            job_uuid: job_uuid?,
        })
    }
}

/// A call that is wanted.
#[derive(Debug, Clone)]
pub struct NewCall<'a> {
    pub id: Uuid,
    pub target: Target,
    pub run: Uuid,
    pub tenant: &'a Tenant,
    /// Any of these accounts will do.
    pub accounts: &'a [String],
    pub model: &'a Model,
    /// Nobody waits for the answer after this long.
    pub deadline: Duration,
}

/// Whether a call that was asked for may be made.
#[derive(Debug)]
pub enum Gate {
    /// It is on record as `calling`.
    Open(Granted),
    /// The job has expired; nothing was written.
    Expired,
    /// No account takes a call now; nothing was written.
    Wait(Wait),
}

/// Why no account takes a call now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Until it may be asked again; `None`: not before somebody acts, or a moment that the claim knows.
    pub length: Option<Duration>,
    pub why: Scarce,
}

/// What there is too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scarce {
    /// This process goes as fast as it should where nobody has set a limit.
    Pace,
    /// Calls at a time, of the whole fleet.
    Concurrency,
    /// Anything else that the fleet shares.
    Budget,
    /// An operator's leave, perhaps for this job only.
    Leave,
}

impl Scarce {
    fn named(why: Option<&str>) -> Self {
        match why {
            Some("pace") => Self::Pace,
            Some("maxConcurrent") => Self::Concurrency,
            Some("paused") => Self::Leave,
            Some(_) | None => Self::Budget,
        }
    }
}

/// A picture as it lies in storage.
#[derive(Debug, Clone)]
pub struct StoredPicture {
    pub key: String,
    /// That made it.
    pub call: Uuid,
    /// What apps are shown of it; `None`: the key.
    pub url: Option<String>,
    pub mime: &'static str,
    pub bytes: i64,
    pub width: i32,
    pub height: i32,
    /// Lower-case hex.
    pub sha256: String,
}

/// How a call ended that brought nothing.
#[derive(Debug)]
pub struct EndedCall<'a> {
    pub state: CallState,
    /// Whether the provider took the call; `None` when unknown.
    pub accepted: Option<bool>,
    /// What becomes of the image or step; `None` lets the statement judge by what happened to it before:
    /// one more try, or none.
    pub image: Option<ImageState>,
    pub failure: &'a Failure,
    pub provider_request_id: Option<&'a str>,
}

/// The final states of a call that brought no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    Refused,
    Empty,
    Limited,
    Error,
    Ambiguous,
}

impl CallState {
    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Empty => "empty",
            Self::Limited => "limited",
            Self::Error => "error",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// Makes sure that each requested image has a row, and reads them.
pub async fn plan(db: &Db, lease: &Lease, images: i32) -> Result<Vec<PlannedImage>, DbError> {
    let planned = sqlx::query_file!("sql/queue/plan.sql", lease.job(), lease.token(), images)
        .execute(&db.pool)
        .await?;
    must_be_one(planned.rows_affected())?;
    images_of(db, lease.job()).await
}

/// The images of a job, in order.
pub async fn images_of(db: &Db, job: JobId) -> Result<Vec<PlannedImage>, DbError> {
    sqlx::query_file!("sql/queue/images.sql", job)
        .fetch_all(&db.pool)
        .await?
        .into_iter()
        .map(|row| {
            Ok(PlannedImage {
                index: row.index,
                state: row.state.parse().map_err(DbError::Corrupt)?,
                spooled: row.spooled,
                call: DeadCall::read(row.call, row.tenant, row.job_uuid),
            })
        })
        .collect()
}

/// Asks for one call and commits that it is about to be made: the fleet's permission and the last gate
/// before money, in one.
pub async fn calling(db: &Db, lease: &Lease, call: &NewCall<'_>) -> Result<Gate, DbError> {
    let pace = call.model.pace();
    let sent = Instant::now();
    let answer = sqlx::query_file!(
        "sql/queue/calling.sql",
        lease.job(),
        lease.token(),
        call.id,
        call.target.index(),
        call.run,
        call.tenant.as_str(),
        call.model.provider().as_str(),
        call.accounts,
        call.model.name(),
        seconds(call.deadline),
        pace.concurrent,
        pace.apart_ms,
        call.target.step(),
    )
    .fetch_one(&db.pool)
    .await?;
    match (answer.verdict.as_str(), answer.granted_at) {
        ("granted", Some(granted_at)) => Ok(Gate::Open(Granted {
            account: answer.account,
            limited_in_a_row: u32::try_from(answer.limited_in_a_row).unwrap_or(0),
            troubled: answer.troubled,
            granted_at,
            held_for: answer
                .held
                .map_or(Duration::ZERO, |after| held_for(sent.elapsed(), after)),
        })),
        ("expired", _) => Ok(Gate::Expired),
        ("wait", _) => Ok(Gate::Wait(Wait {
            length: answer
                .seconds
                .map(|wait| Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX)),
            why: Scarce::named(answer.why.as_deref()),
        })),
        ("lost", _) => Err(DbError::LeaseLost),
        (verdict, _) => Err(DbError::Corrupt(format!("a call is answered {verdict}"))),
    }
}

/// At most how long ago the grant was made, when the statement took `took` and the grant came `after`
/// seconds of it; before it began, when it was sent again.
fn held_for(took: Duration, after: f64) -> Duration {
    Duration::try_from_secs_f64(took.as_secs_f64() - after).unwrap_or_default()
}

/// Records that the picture of a call is in storage, or the one that is taken in its place.
pub async fn stored(
    db: &Db,
    lease: &Lease,
    call: Uuid,
    picture: &StoredPicture,
    usage: Usage,
    provider_request_id: Option<&str>,
) -> Result<(), DbError> {
    let written = sqlx::query_file!(
        "sql/queue/stored.sql",
        lease.job(),
        lease.token(),
        call,
        picture.key,
        picture.mime,
        picture.bytes,
        picture.width,
        picture.height,
        picture.sha256,
        provider_request_id,
        usage.input_tokens,
        usage.output_tokens,
        picture.url,
        usage.input_image_tokens,
        usage.output_image_tokens,
        picture.call,
    )
    .execute(&db.pool)
    .await?;
    match must_be_one(written.rows_affected()) {
        // Sent twice after a lost connection, the first one had been committed.
        Err(DbError::LeaseLost) if is_stored(db, call).await? => Ok(()),
        result => result,
    }
}

pub(super) async fn is_stored(db: &Db, call: Uuid) -> Result<bool, DbError> {
    let state = sqlx::query_scalar!(
        "SELECT state FROM photo_generation_calls WHERE id = $1",
        call
    )
    .fetch_optional(&db.pool)
    .await?;
    Ok(state.as_deref() == Some(ImageState::Stored.as_str()))
}

/// Records that a call ended without a result; returns what became of the image or step.
pub async fn ended(
    db: &Db,
    lease: &Lease,
    call: Uuid,
    end: &EndedCall<'_>,
) -> Result<ImageState, DbError> {
    let usage = end.failure.usage.as_deref().copied().unwrap_or_default();
    let state = sqlx::query_file_scalar!(
        "sql/queue/ended.sql",
        lease.job(),
        lease.token(),
        call,
        end.state.as_str(),
        end.accepted,
        end.image.map(ImageState::as_str),
        end.failure.code,
        end.failure.message,
        end.provider_request_id,
        usage.input_tokens,
        usage.input_image_tokens,
        usage.output_tokens,
        usage.output_image_tokens,
    )
    .fetch_optional(&db.pool)
    .await?;
    match state {
        Some(state) => state.parse().map_err(DbError::Corrupt),
        None => settled_before(db, lease, call).await,
    }
}

/// The image or step of a call that this lease had already settled (sent twice after a lost connection).
async fn settled_before(db: &Db, lease: &Lease, call: Uuid) -> Result<ImageState, DbError> {
    let state = sqlx::query_scalar!(
        r#"SELECT wanted.state AS "state!"
           FROM (SELECT "jobId", "callId", state FROM photo_generation_images
                 UNION ALL SELECT "jobId", "callId", state FROM photo_generation_steps) AS wanted
           JOIN photo_generation_calls AS call ON call.id = wanted."callId"
           JOIN photo_generation_queue AS job ON job.id = wanted."jobId"
           WHERE call.id = $1 AND call.state <> 'calling' AND wanted.state <> 'calling'
             AND wanted."jobId" = $2 AND job.lease = $3 AND job.status = 'processing'"#,
        call,
        lease.job(),
        lease.token()
    )
    .fetch_optional(&db.pool)
    .await?;
    state
        .ok_or(DbError::LeaseLost)?
        .parse()
        .map_err(DbError::Corrupt)
}

/// Records that the picture of a call waits in a spool. `false`: the call was settled before.
pub async fn spooled(
    db: &Db,
    call: Uuid,
    spool: Uuid,
    worker: &str,
    usage: Usage,
    provider_request_id: Option<&str>,
) -> Result<bool, DbError> {
    let kept = sqlx::query_file_scalar!(
        "sql/queue/spooled.sql",
        call,
        spool,
        worker,
        provider_request_id,
        usage.input_tokens,
        usage.output_tokens,
        usage.input_image_tokens,
        usage.output_image_tokens,
    )
    .fetch_one(&db.pool)
    .await?;
    Ok(kept == 1)
}

/// A call whose picture was found in a spool.
#[derive(Debug)]
pub enum InSpool {
    /// It is to be settled.
    Waiting(OrphanedCall),
    /// It was settled, as this.
    Settled(String),
}

/// What the ledger knows of these calls; nothing of those that it does not know.
pub async fn in_spool(db: &Db, calls: &[Uuid]) -> Result<HashMap<Uuid, InSpool>, DbError> {
    let rows = sqlx::query_file!("sql/queue/in_spool.sql", calls)
        .fetch_all(&db.pool)
        .await?;
    let found = rows.into_iter().map(|row| {
        let known = if row.state == ImageState::Calling.as_str() {
            InSpool::Waiting(OrphanedCall {
                id: row.id,
                job: row.job,
                lease: row.lease,
                job_uuid: row.job_uuid,
                index: row.index,
                step: row.step,
                tenant: row.tenant,
                attempt: row.attempt,
                account: row.account,
                model: row.model,
                spool: row.spool,
            })
        } else {
            InSpool::Settled(row.state)
        };
        (row.id, known)
    });
    Ok(found.collect())
}

/// Lets a job be claimed at once that waits for a moment and has nothing left to make; or only the picture
/// of a try-on, whose garments are all made. After the last of its pictures was recorded, in a statement of
/// its own: of two that are recorded at once neither sees the other. Returns whether it was so.
pub async fn bring_forward(db: &Db, job: JobId) -> Result<bool, DbError> {
    let brought = sqlx::query!(
        r#"UPDATE photo_generation_queue AS job
           SET "retryAt" = NULL
           WHERE id = $1 AND status IN ('pending', 'rate_limited') AND "retryAt" > now()
             AND NOT EXISTS (SELECT FROM photo_generation_images AS image
                             WHERE image."jobId" = job.id AND image.state = 'calling')
             AND (NOT EXISTS (SELECT FROM photo_generation_images AS image
                              WHERE image."jobId" = job.id AND image.state = 'planned')
                  OR (SELECT coalesce(bool_and(step.state NOT IN ('planned', 'calling')), false)
                      FROM photo_generation_steps AS step
                      WHERE step."jobId" = job.id AND step.garment IS NOT NULL))"#,
        job
    )
    .execute(&db.pool)
    .await?;
    Ok(brought.rows_affected() == 1)
}
