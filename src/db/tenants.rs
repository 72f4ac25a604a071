//! How many jobs of a tenant may run at a time: what operators set for one, and what is used of it.
//!
//! What holds for all is a setting of the fleet; the claim counts under its lock.

use serde::Serialize;

use super::{Db, DbError};
use crate::domain::Tenant;

/// How a tenant stands that runs jobs, or for which something else holds than for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantUse {
    pub tenant: String,
    pub running: i64,
    /// `None`: any number.
    pub max_running: Option<i64>,
    /// Set for this tenant, not for all.
    pub own: bool,
    pub paused: bool,
}

/// All such tenants, and what holds for every other one (`None`: any number of jobs).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenants {
    pub usual: Option<i64>,
    pub tenants: Vec<TenantUse>,
}

/// Lets a tenant run so many jobs at a time, 0: any number.
pub async fn set_max_running(db: &Db, tenant: &Tenant, jobs: i32) -> Result<(), DbError> {
    sqlx::query!(
        r#"INSERT INTO photo_generation_tenants (tenant, "maxRunning") VALUES (left($1, 200), $2)
           ON CONFLICT (tenant) DO UPDATE
           SET "maxRunning" = excluded."maxRunning", "updatedAt" = now()"#,
        tenant.as_str(),
        jobs,
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// For this tenant holds what holds for all.
pub async fn set_usual(db: &Db, tenant: &Tenant) -> Result<(), DbError> {
    sqlx::query!(
        "DELETE FROM photo_generation_tenants WHERE tenant = left($1, 200)",
        tenant.as_str(),
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// How many jobs of a tenant may run at a time; `None`: any number.
pub async fn max_running(db: &Db, tenant: &Tenant) -> Result<Option<i64>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT photo_generation_cap($1, (SELECT "maxRunning" FROM photo_generation_tenants
                                            WHERE tenant = left($1, 200)),
                                       photo_generation_number('tenantMaxRunning'))"#,
        tenant.as_str(),
    )
    .fetch_one(&db.pool)
    .await?)
}

/// Who runs jobs, is paused, or has a cap of its own.
pub async fn list(db: &Db) -> Result<Tenants, DbError> {
    let tenants = sqlx::query_as!(
        TenantUse,
        r#"SELECT tenant AS "tenant!", coalesce(busy.running, 0) AS "running!",
                  photo_generation_cap(tenant, own."maxRunning",
                                       (SELECT photo_generation_number('tenantMaxRunning')))
                      AS max_running,
                  own."maxRunning" IS NOT NULL AS "own!",
                  EXISTS (SELECT FROM photo_generation_pauses
                          WHERE what = 'tenant' AND name = tenant) AS "paused!"
           FROM photo_generation_busy() AS busy
           FULL JOIN photo_generation_tenants AS own USING (tenant)
           ORDER BY tenant"#
    )
    .fetch_all(&db.pool)
    .await?;
    let anybody = Tenant::of(None, Some("anybody"));
    Ok(Tenants {
        usual: sqlx::query_scalar!(
            "SELECT photo_generation_cap($1, NULL, photo_generation_number('tenantMaxRunning'))",
            anybody.as_str(),
        )
        .fetch_one(&db.pool)
        .await?,
        tenants,
    })
}
