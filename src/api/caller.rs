//! Who asks, and what is theirs.
//!
//! A [`Caller`] is what a header or a token has proved. Whose a job is, is decided by comparing tenants,
//! `team:7` with `team:7`: team 7 is not user 7. What is not the caller's is answered as what is not there.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use uuid::Uuid;

use super::Api;
use super::error::ApiError;
use super::signing::Moment;
use crate::domain::Tenant;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// May do everything, and names whom it does it for: an app's own backend.
    Service,
    Team(String),
    User(String),
    /// Holds the view token of one job, until that ends.
    Viewer {
        job: Uuid,
        end: Moment,
    },
}

impl Caller {
    /// Whose jobs it sees; `None`: everybody's.
    ///
    /// # Errors
    /// For a view token, which opens one job and no list.
    pub fn tenant(&self) -> Result<Option<Tenant>, ApiError> {
        match self {
            Self::Service => Ok(None),
            Self::Team(team) => Ok(Some(Tenant::of(Some(team), None))),
            Self::User(user) => Ok(Some(Tenant::of(None, Some(user)))),
            Self::Viewer { .. } => Err(ApiError::Forbidden(
                "A view token opens one job and nothing else.".to_owned(),
            )),
        }
    }

    /// Whether a job is its to see.
    pub fn sees(&self, job: Option<Uuid>, tenant: &Tenant) -> bool {
        match self {
            Self::Service => true,
            Self::Team(team) => Tenant::of(Some(team), None) == *tenant,
            Self::User(user) => Tenant::of(None, Some(user)) == *tenant,
            Self::Viewer { job: seen, .. } => job == Some(*seen),
        }
    }

    /// # Errors
    /// For everybody else.
    pub fn must_be_service(&self) -> Result<(), ApiError> {
        match self {
            Self::Service => Ok(()),
            Self::Team(_) | Self::User(_) | Self::Viewer { .. } => Err(ApiError::Forbidden(
                "Only a service key may do this.".to_owned(),
            )),
        }
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        api.gate().admit(api, parts).await
    }
}

#[cfg(test)]
mod tests;
