//! What a caller has left to spend.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::caller::Caller;
use super::error::ApiError;
use super::extract::Query;
use super::owner::{Id, Owner};
use crate::db::credits;

/// Credits of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Credits {
    /// To be spent.
    remaining: i64,
    /// Set aside for images that are not made yet.
    reserved: i64,
}

/// What is left
///
/// Zeros where the server keeps no accounts (`CREDITS`).
#[utoipa::path(get, path = "/api/credits", tag = "extra", operation_id = "credits",
    params(("teamId" = Option<String>, Query, description = "Of this team; for service keys"),
           ("userId" = Option<String>, Query, description = "Of this user; for service keys")),
    responses((status = 200, description = "What is left", body = Credits)))]
pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query,
) -> Result<Json<Credits>, ApiError> {
    // A view token opens one job and nothing else.
    caller.tenant()?;
    let mut named = [None, None];
    for (name, value) in query {
        match name.as_str() {
            "teamId" => named[0] = Some(Id::Text(value)),
            "userId" => named[1] = Some(Id::Text(value)),
            _ => {}
        }
    }
    let [team, user] = named;
    let owner = Owner::of(&caller, team.as_ref(), user.as_ref())?;
    let left = credits::left(api.db(), &owner.tenant()).await?;
    Ok(Json(Credits {
        remaining: left.remaining,
        reserved: left.reserved,
    }))
}
