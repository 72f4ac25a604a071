//! For whom something is made: the caller itself, or whom a service key names.

use serde::Deserialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::error::ApiError;
use crate::domain::Tenant;

/// Characters of an id; longer ones are cut in the index of tenants.
const LONGEST_ID: usize = 190;

/// An id of the app's: a text or a number.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(in crate::api) enum Id {
    Number(i64),
    Text(String),
}

impl Id {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// Whose something is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) struct Owner {
    pub(in crate::api) team_id: Option<String>,
    pub(in crate::api) user_id: Option<String>,
}

impl Owner {
    /// The caller itself; for a service key whom it names.
    pub(in crate::api) fn of(
        caller: &Caller,
        team: Option<&Id>,
        user: Option<&Id>,
    ) -> Result<Self, ApiError> {
        let (team, user) = (team.map(Id::text), user.map(Id::text));
        for id in [&team, &user].into_iter().flatten() {
            if id.chars().count() > LONGEST_ID {
                return Err(ApiError::Invalid(format!(
                    "An id of a team or user has at most {LONGEST_ID} characters."
                )));
            }
        }
        let own = match caller {
            Caller::Service => {
                return Ok(Self {
                    team_id: team,
                    user_id: user,
                });
            }
            Caller::Team(id) => Self {
                team_id: Some(id.clone()),
                user_id: None,
            },
            Caller::User(id) => Self {
                team_id: None,
                user_id: Some(id.clone()),
            },
            Caller::Viewer { .. } => {
                return Err(ApiError::Forbidden(
                    "A view token opens one job and enqueues none.".to_owned(),
                ));
            }
        };
        let names_another =
            |named: &Option<String>, own: &Option<String>| named.is_some() && named != own;
        if names_another(&team, &own.team_id) || names_another(&user, &own.user_id) {
            return Err(ApiError::Forbidden(
                "Only a service key may name whose job it is.".to_owned(),
            ));
        }
        Ok(own)
    }

    pub(in crate::api) fn tenant(&self) -> Tenant {
        Tenant::of(self.team_id.as_deref(), self.user_id.as_deref())
    }
}
