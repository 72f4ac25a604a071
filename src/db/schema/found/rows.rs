//! What only the rows of an app's tables can tell: words that we do not know, keys that are not unique,
//! numbers that our checks refuse. Asked before any change, so that none is made in vain.

use sqlx::{AssertSqlSafe, PgConnection};

use super::{BATCHES, Found, QUEUE, Table};
use crate::db::DbError;
use crate::domain::{JobType, Status};

/// What only the rows can tell, as far as there are columns to ask.
pub(super) async fn look(connection: &mut PgConnection, found: &mut Found) -> Result<(), DbError> {
    let Some(queue) = found.tables.get(QUEUE) else {
        return Ok(());
    };
    // Refused for that already.
    if !queue.is_ours_to_change {
        return Ok(());
    }
    let has = |column| queue.column(column).is_some();
    if has("jobId") {
        found.nameless_rows = ask(
            connection,
            format!("SELECT EXISTS (SELECT FROM public.{QUEUE} WHERE \"jobId\" IS NULL)"),
        )
        .await?;
    } else {
        found.nameless_rows = ask(
            connection,
            format!("SELECT EXISTS (SELECT FROM public.{QUEUE})"),
        )
        .await?;
    }
    if !found.is_the_apps(QUEUE) {
        return Ok(());
    }
    if has("status") {
        let known = list(Status::ALL.iter().map(|status| status.as_str()));
        found.unknown_statuses = count_words(
            connection,
            "status",
            &format!("status IS NULL OR status::text NOT IN ({known})"),
        )
        .await?;
        if has("type") {
            let unfinished = list(
                Status::ALL
                    .iter()
                    .filter(|status| !status.is_final())
                    .map(|status| status.as_str()),
            );
            found.unknown_types = count_words(
                connection,
                "type",
                &format!(
                    "status::text IN ({unfinished}) AND type::text NOT IN ({})",
                    list(JobType::ALL.iter().map(|kind| kind.as_str()))
                ),
            )
            .await?;
        }
    }
    found.shared_job_ids = shared_job_ids(connection, queue).await?;
    found.shared_keys = shared_keys(connection, queue).await?;
    found.odd_counts = odd_counts(connection, queue).await?;
    found.narrow_checks = narrow_checks(connection, found.tables.get(BATCHES)).await?;
    Ok(())
}

/// Rows beyond the first one of each `"jobId"`, as long as no index of ours refuses them.
async fn shared_job_ids(connection: &mut PgConnection, queue: &Table) -> Result<i64, DbError> {
    if queue.column("jobId").is_none() || queue.has_index("safelight_job_id_key") {
        return Ok(0);
    }
    count(
        connection,
        &format!("SELECT count(\"jobId\") - count(DISTINCT \"jobId\"::text) FROM public.{QUEUE}"),
    )
    .await
}

/// The same of a tenant's `"idempotencyKey"`.
async fn shared_keys(connection: &mut PgConnection, queue: &Table) -> Result<i64, DbError> {
    if queue.column("idempotencyKey").is_none() || queue.has_index("safelight_idempotency_key") {
        return Ok(0);
    }
    count(
        connection,
        &format!(
            "SELECT count(*) - count(DISTINCT ({}, \"idempotencyKey\"::text)) FROM public.{QUEUE}
             WHERE \"idempotencyKey\" IS NOT NULL",
            queue.tenant()
        ),
    )
    .await
}

/// Rows that the check `safelight_sane_counts` would refuse.
async fn odd_counts(connection: &mut PgConnection, queue: &Table) -> Result<i64, DbError> {
    let is_held = queue
        .constraints
        .iter()
        .any(|check| check.name == "safelight_sane_counts" && check.validated);
    match queue.odd_counts() {
        Some(condition) if !is_held => {
            count(
                connection,
                &format!("SELECT count(*) FROM public.{QUEUE} WHERE {condition}"),
            )
            .await
        }
        Some(_) | None => Ok(0),
    }
}

async fn count(connection: &mut PgConnection, sql: &str) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(connection)
        .await?)
}

impl Table {
    fn has_index(&self, name: &str) -> bool {
        self.indexes
            .iter()
            .any(|index| index.name == name && index.valid)
    }

    /// As in the index of keys, from the columns that are there.
    pub(in super::super) fn tenant(&self) -> String {
        let part = |column: &str, word: &str| {
            self.column(column)
                .map(|_| format!("'{word}:' || nullif(\"{column}\"::text, ''), "))
                .unwrap_or_default()
        };
        format!(
            "coalesce({}{}'none')",
            part("teamId", "team"),
            part("userId", "user")
        )
    }

    /// What makes the counts of a row odd, as far as there are columns that count.
    pub(in super::super) fn odd_counts(&self) -> Option<String> {
        let counts = |name: &str| {
            self.column(name)
                .is_some_and(|column| matches!(column.type_name.as_str(), "integer" | "bigint"))
        };
        let mut odd: Vec<String> = ["attempts", "imagesTotal", "imagesCompleted"]
            .iter()
            .filter(|name| counts(name))
            .map(|name| format!("\"{name}\" < 0"))
            .collect();
        if counts("imagesTotal") && counts("imagesCompleted") {
            odd.push("\"imagesCompleted\" > \"imagesTotal\"".to_owned());
        }
        (!odd.is_empty()).then(|| odd.join(" OR "))
    }
}

async fn ask(connection: &mut PgConnection, sql: String) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(connection)
        .await?)
}

async fn count_words(
    connection: &mut PgConnection,
    column: &str,
    condition: &str,
) -> Result<Vec<(String, i64)>, DbError> {
    Ok(sqlx::query_as(AssertSqlSafe(format!(
        "SELECT coalesce({column}::text, 'NULL'), count(*) FROM public.{QUEUE}
         WHERE {condition} GROUP BY 1 ORDER BY 1 LIMIT 10"
    )))
    .fetch_all(connection)
    .await?)
}

/// Asks Postgres itself what it makes of our words.
async fn narrow_checks(
    connection: &mut PgConnection,
    batches: Option<&Table>,
) -> Result<Vec<String>, DbError> {
    let Some((batches, status)) =
        batches.and_then(|table| Some((table, table.column("status").filter(|c| !c.is_enum)?)))
    else {
        return Ok(Vec::new());
    };
    let mut narrow = Vec::new();
    for check in batches
        .constraints
        .iter()
        .filter(|check| check.columns == ["status"])
    {
        let Some(condition) = &check.condition else {
            continue;
        };
        let accepts_all = ask(
            connection,
            format!(
                "SELECT coalesce(bool_and({condition}), true)
                 FROM (SELECT unnest(ARRAY['generating', 'completed', 'failed'])::{} AS status) AS word",
                status.type_name
            ),
        )
        .await?;
        if !accepts_all {
            narrow.push(check.name.clone());
        }
    }
    Ok(narrow)
}

/// Words as SQL writes them in a list.
fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words
        .map(|word| format!("'{word}'"))
        .collect::<Vec<_>>()
        .join(", ")
}
