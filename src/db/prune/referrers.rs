//! Rows of the app's own tables that refer to a job, one of its images, or a batch.
//!
//! Such a job is never pruned: Postgres would remove the app's row with it, empty its column, or refuse.
//! When the app's rows are gone, the job goes, too.

use sqlx::AssertSqlSafe;

use crate::db::connections::Transaction;
use crate::db::{Db, DbError};
use crate::domain::JobId;

/// A foreign key of the app's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    pub name: String,
    /// As SQL writes it, and its columns.
    table: String,
    columns: String,
    /// Each look reads the whole table, which is not small: pruning would take for ever.
    slow: bool,
    to_batches: bool,
    /// In SQL, on `job` or `batch`.
    condition: String,
}

/// All that there are.
#[derive(Clone, Debug, Default)]
pub struct Referrers(Vec<Referrer>);

impl Referrer {
    /// Why nothing can be pruned while it is slow, and what mends it.
    pub fn complaint(&self) -> String {
        let Self {
            name,
            table,
            columns,
            ..
        } = self;
        format!(
            "{name} of {table} refers to what would go, and to look there for each row takes long; make it \
             quick with: CREATE INDEX CONCURRENTLY ON {table} ({columns});"
        )
    }
}

impl Referrers {
    pub async fn find(db: &Db) -> Result<Self, DbError> {
        let rows = sqlx::query_file!("sql/queue/prune_referrers.sql")
            .fetch_all(&db.pool)
            .await?;
        let referrers = rows.into_iter().map(|row| Referrer {
            name: row.name,
            table: row.table,
            columns: row.columns,
            slow: !row.quick,
            to_batches: row.to_batches,
            condition: row.condition,
        });
        Ok(Self(referrers.collect()))
    }

    /// Names of the keys that refer to jobs or their images, with their tables.
    pub fn to_jobs(&self) -> Vec<String> {
        let to_jobs = self.0.iter().filter(|referrer| !referrer.to_batches);
        to_jobs
            .map(|referrer| format!("{} of {}", referrer.name, referrer.table))
            .collect()
    }

    /// The first one that would make pruning take for ever.
    pub fn slow(&self) -> Option<&Referrer> {
        self.0.iter().find(|referrer| referrer.slow)
    }

    /// Those of these jobs that nothing of the app refers to.
    pub async fn free_jobs(&self, db: &Db, jobs: Vec<JobId>) -> Result<Vec<JobId>, DbError> {
        let mut transaction = db.pool.begin().await?;
        let free = self.without_referred(&mut transaction, jobs).await?;
        transaction.commit().await?;
        Ok(free)
    }

    pub(super) async fn without_referred(
        &self,
        transaction: &mut Transaction,
        jobs: Vec<JobId>,
    ) -> Result<Vec<JobId>, DbError> {
        let conditions = self.conditions(|referrer| !referrer.to_batches);
        filter(
            transaction,
            "photo_generation_queue AS job",
            "job",
            conditions,
            jobs,
        )
        .await
    }

    pub(super) async fn without_referred_batches(
        &self,
        transaction: &mut Transaction,
        batches: Vec<i64>,
    ) -> Result<Vec<i64>, DbError> {
        let conditions = self.conditions(|referrer| referrer.to_batches);
        filter(
            transaction,
            "photo_generation_batches AS batch",
            "batch",
            conditions,
            batches,
        )
        .await
    }

    fn conditions(&self, which: impl Fn(&Referrer) -> bool) -> Option<String> {
        let conditions: Vec<&str> = self
            .0
            .iter()
            .filter(|referrer| which(referrer))
            .map(|referrer| referrer.condition.as_str())
            .collect();
        (!conditions.is_empty()).then(|| conditions.join(" OR "))
    }
}

/// Those that no condition holds for. Rows that a policy hides from this role count as well: with
/// `row_security` off Postgres refuses to look instead of overlooking them.
async fn filter(
    transaction: &mut Transaction,
    from: &str,
    row: &str,
    conditions: Option<String>,
    ids: Vec<i64>,
) -> Result<Vec<i64>, DbError> {
    let Some(conditions) = conditions else {
        return Ok(ids);
    };
    sqlx::query!("SET LOCAL row_security = off")
        .execute(&mut *transaction)
        .await?;
    let free = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT {row}.id::bigint FROM public.{from}
         WHERE {row}.id = ANY ($1) AND NOT ({conditions}) ORDER BY 1"
    )))
    .bind(ids)
    .fetch_all(&mut *transaction)
    .await?;
    sqlx::query!("SET LOCAL row_security = on")
        .execute(transaction)
        .await?;
    Ok(free)
}
