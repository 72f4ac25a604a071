//! What the end of a call shows of the account that it was made on, where that is blocked or cooling down.
//!
//! A blocked account is tried by one job every five minutes. Whichever job that is, a bad one included, it
//! tells whether somebody has mended the account; what the call was worth to its job is another matter.

use super::lines;
use crate::db::limits::{self, Granted};
use crate::db::{Db, DbError, persist};
use crate::domain::Model;
use crate::domain::failure::{CallResult, Remedy};

/// What an answer shows of the account that it came to.
#[derive(Clone, Copy)]
pub(super) enum Shown {
    /// It works: the provider took the call, whatever came of it.
    Works,
    /// The provider knew the key and found a mistake in the request, perhaps before it looked for credit:
    /// the next job may try.
    NotRefused,
    /// Nothing, or what the refusal says.
    Nothing,
}

impl Shown {
    pub(super) fn by(result: &CallResult) -> Self {
        match result {
            CallResult::Picture(_)
            | CallResult::Words(_)
            | CallResult::Refused(_)
            | CallResult::Empty(_)
            | CallResult::Failed {
                accepted: Some(true),
                ..
            } => Self::Works,
            CallResult::Failed {
                accepted: Some(false),
                failure,
            } => match failure.remedy {
                Remedy::Never | Remedy::WithoutFidelity => Self::NotRefused,
                // An address that leads elsewhere, a provider that asks for patience.
                Remedy::Retry | Remedy::RetryOnce => Self::Nothing,
            },
            CallResult::Failed { accepted: None, .. }
            | CallResult::Ambiguous(_)
            | CallResult::Limited(_) => Self::Nothing,
        }
    }

    /// Tells the fleet.
    pub(super) async fn tell(
        self,
        db: &Db,
        granted: &Granted,
        model: &Model,
    ) -> Result<(), DbError> {
        match self {
            Self::Works => {
                if persist(|| limits::recovered(db, granted, model)).await? {
                    lines::account_recovered();
                }
            }
            Self::NotRefused => {
                persist(|| limits::probe_again(db, granted, model)).await?;
            }
            Self::Nothing => {}
        }
        Ok(())
    }
}
