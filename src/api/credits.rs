//! What a caller has left to spend.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::error::ApiError;

/// Credits of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Credits {
    /// To be spent.
    remaining: i64,
    /// Set aside for jobs that are not over.
    reserved: i64,
}

/// What is left. Zeros where credits are off, as they are in this version.
#[utoipa::path(
    get,
    path = "/api/credits",
    tag = "extra",
    operation_id = "credits",
    responses(
        (status = 200, description = "What is left", body = Credits),
    )
)]
pub(super) async fn show(caller: Caller) -> Result<Json<Credits>, ApiError> {
    caller.tenant()?;
    Ok(Json(Credits {
        remaining: 0,
        reserved: 0,
    }))
}
