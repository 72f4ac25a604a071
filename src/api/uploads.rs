use super::Api;
use super::error::ApiError;
use crate::domain::Tenant;
pub(super) async fn claim(_: &Api, _: &Tenant, _: &[String]) -> Result<(), ApiError> {
    Ok(())
}
