//! Calls that no living attempt will settle: who they are, and how they are settled without a lease.

use uuid::Uuid;

use super::StoredPicture;
use crate::db::spools::GONE_AFTER;
use crate::db::{Db, DbError, seconds};
use crate::domain::{Failure, JobId, Target};

/// Why nobody will ever know what became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Its worker died, and its picture was found nowhere.
    Worker,
    /// It was broken off, since its job had ended or was deleted. A job that only waits settles its calls
    /// with its next attempt: until then its rows stay as a hand has left them.
    WithItsJob,
}

impl Lost {
    fn failure(self) -> Failure {
        match self {
            Self::Worker => Failure::worker_lost(),
            Self::WithItsJob => Failure::abandoned(),
        }
    }
}

/// A call that no living attempt will settle.
#[derive(Debug, Clone)]
pub struct OrphanedCall {
    pub id: Uuid,
    pub job: JobId,
    pub lease: i64,
    /// What its object would be called: job, image or step, and tenant.
    pub job_uuid: Uuid,
    pub index: Option<i32>,
    pub step: Option<String>,
    pub tenant: String,
    pub attempt: i32,
    pub account: String,
    pub model: String,
    /// Where its picture waits.
    pub spool: Option<Uuid>,
}

impl OrphanedCall {
    /// What it was for; `None`: this version does not know it.
    pub fn target(&self) -> Option<Target> {
        Target::read(self.index, self.step.as_deref())
    }
}

/// The calls of `dead` runs, of runs without a row, past their deadline, and of spools that are gone,
/// whose jobs nobody works.
pub async fn orphaned_calls(db: &Db, dead: &[Uuid]) -> Result<Vec<OrphanedCall>, DbError> {
    let rows = sqlx::query_file_as!(
        OrphanedCall,
        "sql/queue/orphaned_calls.sql",
        dead,
        seconds(GONE_AFTER)
    )
    .fetch_all(&db.pool)
    .await?;
    Ok(rows)
}

/// Settles a call under no lease, once: stored when its object was found, else ambiguous, for the reason
/// given. Returns whether it was we who settled it.
pub async fn settle_orphan(
    db: &Db,
    call: &OrphanedCall,
    found: Option<&StoredPicture>,
    lost: Lost,
) -> Result<bool, DbError> {
    let failure = lost.failure();
    let settled = sqlx::query_file_scalar!(
        "sql/queue/settle_orphan.sql",
        call.id,
        call.job,
        call.lease,
        found.map(|picture| picture.key.as_str()),
        found.map(|picture| picture.mime),
        found.map(|picture| picture.bytes),
        found.map(|picture| picture.width),
        found.map(|picture| picture.height),
        found.map(|picture| picture.sha256.as_str()),
        found.and_then(|picture| picture.url.as_deref()),
        call.spool,
        found.map(|picture| picture.call),
        failure.code,
        failure.message,
        lost == Lost::WithItsJob,
    )
    .fetch_one(&db.pool)
    .await?;
    Ok(settled == 1)
}
