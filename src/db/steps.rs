//! The steps of a job: paid calls that make none of its images, and what they found.
//!
//! A step takes the way of an image through [`super::ledger`], which asks for its call and settles one
//! that brought nothing. Here is what only steps have: their plan, their results, and who makes a garment
//! that several jobs want.

use uuid::Uuid;

use super::lease::must_be_one;
use super::ledger::{DeadCall, is_stored};
use super::{Db, DbError, Lease};
use crate::domain::failure::Usage;
use crate::domain::{ImageState, JobId, Step, Tenant};

/// One step, as the attempt finds it.
#[derive(Debug)]
pub struct PlannedStep {
    pub step: Step,
    pub state: ImageState,
    /// What it has found, as JSON.
    pub result: Option<String>,
    /// Of the picture that it has made, or that it looks at.
    pub storage_key: Option<String>,
    /// The call that has found it, or that looked for it last.
    pub made_by: Option<Uuid>,
    /// The call in flight when `state` is `calling`: a dead lease's, to be settled first.
    pub call: Option<DeadCall>,
    /// Its picture is bought and waits in a spool: nothing is to be done about it.
    pub spooled: bool,
}

/// What a step has found.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// As JSON.
    Words(&'a str),
    /// The key of a picture.
    Picture(&'a str),
}

/// Who makes a garment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Garment {
    /// It was made before; the step has it.
    Ready,
    /// The provider has just refused to another job to make it, and so it is with this step.
    Refused,
    /// This step is to make it.
    Mine,
    /// Another job makes it at this moment.
    Busy,
    /// It is bought, and waits for the storage.
    Kept,
}

/// Makes sure that each of these steps has a row, and reads all that the job has.
pub async fn plan(db: &Db, lease: &Lease, steps: &[Step]) -> Result<Vec<PlannedStep>, DbError> {
    let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
    sqlx::query_file!(
        "sql/queue/plan_steps.sql",
        lease.job(),
        lease.token(),
        &steps
    )
    .fetch_optional(&db.pool)
    .await?
    .ok_or(DbError::LeaseLost)?;
    of_job(db, lease.job()).await
}

/// The steps of a job, those that another version knows left out.
pub async fn of_job(db: &Db, job: JobId) -> Result<Vec<PlannedStep>, DbError> {
    let rows = sqlx::query_file!("sql/queue/steps.sql", job)
        .fetch_all(&db.pool)
        .await?;
    rows.into_iter()
        .filter_map(|row| Some((row.step.parse().ok()?, row)))
        .map(|(step, row)| {
            Ok(PlannedStep {
                step,
                state: row.state.parse().map_err(DbError::Corrupt)?,
                result: row.result,
                storage_key: row.storage_key,
                made_by: row.made_by,
                call: DeadCall::read(row.call, row.tenant, row.job_uuid),
                spooled: row.spooled,
            })
        })
        .collect()
}

/// Records what the call of a step has found.
pub async fn stored(
    db: &Db,
    lease: &Lease,
    call: Uuid,
    found: Found<'_>,
    usage: Usage,
    provider_request_id: Option<&str>,
) -> Result<(), DbError> {
    let (words, picture) = match found {
        Found::Words(json) => (Some(json), None),
        Found::Picture(key) => (None, Some(key)),
    };
    let written = sqlx::query_file!(
        "sql/queue/step_stored.sql",
        lease.job(),
        lease.token(),
        call,
        words,
        picture,
        provider_request_id,
        usage.input_tokens,
        usage.output_tokens,
        usage.input_image_tokens,
        usage.output_image_tokens,
    )
    .execute(&db.pool)
    .await?;
    match must_be_one(written.rows_affected()) {
        // Sent twice after a lost connection, the first one had been committed.
        Err(DbError::LeaseLost) if is_stored(db, call).await? => Ok(()),
        result => result,
    }
}

/// Says of the call that drew a try-on that its picture is in storage, and plans to look at it. The call
/// stays open until [`super::ledger::stored`]. `false`: it is not to be looked at.
pub async fn drawn(
    db: &Db,
    lease: &Lease,
    call: Uuid,
    key: &str,
    usage: Usage,
    provider_request_id: Option<&str>,
) -> Result<bool, DbError> {
    let planned = sqlx::query_file!(
        "sql/queue/drawn.sql",
        lease.job(),
        lease.token(),
        call,
        key,
        provider_request_id,
        usage.input_tokens,
        usage.output_tokens,
        usage.input_image_tokens,
        usage.output_image_tokens,
    )
    .execute(&db.pool)
    .await?;
    Ok(planned.rows_affected() == 1)
}

/// Asks for the right to make a garment, by its hash, for a step.
pub async fn take_garment(
    db: &Db,
    lease: &Lease,
    step: Step,
    tenant: &Tenant,
    garment: &str,
) -> Result<Garment, DbError> {
    let verdict = sqlx::query_scalar!(
        r#"SELECT photo_generation_take_garment($1, $2, $3, $4, $5) AS "verdict!""#,
        lease.job(),
        lease.token(),
        step.to_string(),
        tenant.as_str(),
        garment,
    )
    .fetch_one(&db.pool)
    .await?;
    match verdict.as_str() {
        "ready" => Ok(Garment::Ready),
        "refused" => Ok(Garment::Refused),
        "mine" => Ok(Garment::Mine),
        "busy" => Ok(Garment::Busy),
        "kept" => Ok(Garment::Kept),
        "lost" => Err(DbError::LeaseLost),
        verdict => Err(DbError::Corrupt(format!("a garment is answered {verdict}"))),
    }
}

/// Forgets a garment whose object cannot be had any more: the next job that wants it makes it again.
pub async fn forget_garment(db: &Db, key: &str) -> Result<(), DbError> {
    sqlx::query!(
        r#"DELETE FROM photo_generation_garments WHERE "storageKey" = $1"#,
        key
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}
