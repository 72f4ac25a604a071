//! Giving a table back to the program that it was adopted from.
//!
//! All data stay, our columns and tables too; what goes is what would get in the old program's way
//! or on its nerves: our triggers, constraints and indexes. What adoption took away is made again, as
//! far as the rows that came since allow it.

use sqlx::{AssertSqlSafe, PgConnection};

use super::SchemaError;
use super::apply::{Event, Report, briefly};
use super::found::{self, Found, Table};
use super::plan::{How, Step, quote};
use crate::db::DbError;

/// Stands for a moment, and for good if the undo is killed then; the next migration drops it.
pub(super) const NOT_NULL_CHECK: &str = "safelight_not_null";

/// One row of `photo_generation_adoption`.
struct Taken {
    id: i64,
    table: String,
    kind: String,
    name: String,
    definition: String,
}

/// Returns what the rows that came since do not allow, in sentences.
pub(super) async fn undo(
    connection: &mut PgConnection,
    report: Report<'_>,
) -> Result<Vec<String>, SchemaError> {
    let found = found::look(connection).await?;
    if found.wanted.is_empty() {
        super::plan::plan(&found).map_err(SchemaError::Obstacles)?;
    }
    if found.adopted.is_empty() {
        return Err(SchemaError::NotAdopted);
    }
    close(connection, &found).await?;
    for step in withdraw(&found) {
        report(Event::Changes(&step.changes));
        briefly(connection, &step.sql, report).await?;
    }
    let mut left = Vec::new();
    for taken in taken(connection).await? {
        report(Event::Changes(&[format!(
            "{}: {}",
            taken.table,
            taken.in_words()
        )]));
        match give_back(connection, &taken, report).await {
            Ok(missing) => left.extend(missing),
            // The app has changed its schema meanwhile: a column or a function is gone.
            Err(SchemaError::Database(DbError::Refused(sqlx::Error::Database(error)))) => {
                left.push(taken.refused(error.message()));
            }
            Err(error) => return Err(error),
        }
        sqlx::query!(
            "DELETE FROM photo_generation_adoption WHERE id = $1",
            taken.id
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(left)
}

/// Lets no worker start any more. One that does so at this moment either is seen here, or sees that
/// the version is gone: it looks again after it has registered.
async fn close(connection: &mut PgConnection, found: &Found) -> Result<(), SchemaError> {
    set_version(connection, None).await?;
    let living = living_workers(connection).await?;
    if living.is_empty() {
        return Ok(());
    }
    set_version(connection, found.version).await?;
    Err(SchemaError::WorkersLive(living.join(", ")))
}

async fn set_version(connection: &mut PgConnection, version: Option<i32>) -> Result<(), DbError> {
    let version = version.map(|version| version.to_string());
    sqlx::query!(
        "WITH gone AS (DELETE FROM photo_generation_settings WHERE key = 'version' AND $1::text IS NULL)
         INSERT INTO photo_generation_settings (key, value)
         SELECT 'version', $1 WHERE $1 IS NOT NULL
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        version
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What is ours goes from the app's tables, and jobs of workers that are gone go back to the queue.
fn withdraw(found: &Found) -> Vec<Step> {
    let mut steps = vec![Step {
        changes: vec!["jobs of workers that are gone: pending".to_owned()],
        sql: format!(
            "UPDATE public.{} SET status = 'pending' WHERE status = 'processing' AND run IS NOT NULL;",
            found::QUEUE
        ),
        how: How::Briefly,
    }];
    for (name, table) in &found.tables {
        if found.adopted.contains(name) {
            steps.extend(withdraw_from(name, table));
        }
    }
    steps
}

fn withdraw_from(name: &str, table: &Table) -> Option<Step> {
    let mut changes = Vec::new();
    let mut sql = Vec::new();
    for trigger in table.triggers.iter().filter(|trigger| trigger.is_ours()) {
        changes.push(format!("{name}: drop the trigger {}", trigger.name));
        sql.push(format!(
            "DROP TRIGGER {} ON public.{name};",
            quote(&trigger.name)
        ));
    }
    for check in table
        .constraints
        .iter()
        .filter(|check| check.name.starts_with("safelight_"))
    {
        changes.push(format!("{name}: drop the check {}", check.name));
        sql.push(format!(
            "ALTER TABLE public.{name} DROP CONSTRAINT {};",
            quote(&check.name)
        ));
    }
    for index in table
        .indexes
        .iter()
        .filter(|index| index.name.starts_with("safelight_"))
    {
        changes.push(format!("{name}: drop the index {}", index.name));
        sql.push(format!("DROP INDEX public.{};", quote(&index.name)));
    }
    (!sql.is_empty()).then(|| Step {
        changes,
        sql: sql.join("\n"),
        how: How::Briefly,
    })
}

async fn living_workers(connection: &mut PgConnection) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT label FROM photo_generation_workers
           WHERE "renewedAt" > now() - interval '30 seconds' ORDER BY label"#
    )
    .fetch_all(connection)
    .await?)
}

/// The last one first.
async fn taken(connection: &mut PgConnection) -> Result<Vec<Taken>, DbError> {
    Ok(sqlx::query_as!(
        Taken,
        r#"SELECT id, "table", kind, name, definition FROM photo_generation_adoption
           WHERE kind <> 'table' ORDER BY id DESC"#
    )
    .fetch_all(connection)
    .await?)
}

impl Taken {
    fn in_words(&self) -> String {
        let Self { name, .. } = self;
        match self.kind.as_str() {
            "check" => format!("add the check {name}"),
            "notNull" => format!("\"{name}\" may not be null"),
            "trigger" => format!("add the trigger {name}"),
            _ => "set the storage parameters back".to_owned(),
        }
    }

    fn refused(&self, why: &str) -> String {
        let definition = match self.definition.as_str() {
            "" => String::new(),
            definition => format!(" It was: {definition}"),
        };
        format!("{}: {}: {why}.{definition}", self.table, self.in_words())
    }
}

/// What the rows do not allow, if so.
async fn give_back(
    connection: &mut PgConnection,
    taken: &Taken,
    report: Report<'_>,
) -> Result<Option<String>, SchemaError> {
    let table = format!("public.{}", quote(&taken.table));
    match taken.kind.as_str() {
        "check" => check(connection, taken, &table, report).await,
        "notNull" => not_null(connection, taken, &table, report).await,
        "trigger" => {
            let name = quote(&taken.name);
            let again = format!(
                "DROP TRIGGER IF EXISTS {name} ON {table}; {}",
                taken.definition
            );
            briefly(connection, &again, report).await?;
            Ok(None)
        }
        // Those of ours that it did not name go.
        _ => {
            let mut sql = vec![format!(
                "ALTER TABLE {table} RESET (fillfactor, autovacuum_vacuum_scale_factor,
                     autovacuum_vacuum_threshold, autovacuum_analyze_scale_factor,
                     autovacuum_analyze_threshold);"
            )];
            if !taken.definition.is_empty() {
                sql.push(format!("ALTER TABLE {table} SET ({});", taken.definition));
            }
            briefly(connection, &sql.concat(), report).await?;
            Ok(None)
        }
    }
}

/// NOT VALID first, because a check is otherwise tried on all rows under a lock.
async fn check(
    connection: &mut PgConnection,
    taken: &Taken,
    table: &str,
    report: Report<'_>,
) -> Result<Option<String>, SchemaError> {
    let name = quote(&taken.name);
    let (definition, was_valid) = match taken.definition.strip_suffix(" NOT VALID") {
        Some(definition) => (definition, false),
        None => (taken.definition.as_str(), true),
    };
    briefly(
        connection,
        &format!(
            "ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name},
                 ADD CONSTRAINT {name} {definition} NOT VALID"
        ),
        report,
    )
    .await?;
    let is_as_it_was = !was_valid || validate(connection, table, &name).await?;
    Ok((!is_as_it_was).then(|| {
        format!(
            "the check {} of {} holds for new rows only, because some rows do not meet it.",
            taken.name, taken.table
        )
    }))
}

/// By way of a check, because SET NOT NULL alone reads the whole table under a lock.
async fn not_null(
    connection: &mut PgConnection,
    taken: &Taken,
    table: &str,
    report: Report<'_>,
) -> Result<Option<String>, SchemaError> {
    let column = quote(&taken.name);
    let check = quote(NOT_NULL_CHECK);
    briefly(
        connection,
        &format!(
            "ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {check},
                 ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID"
        ),
        report,
    )
    .await?;
    let is_met = validate(connection, table, &check).await?;
    let set = if is_met {
        format!("ALTER COLUMN {column} SET NOT NULL, ")
    } else {
        String::new()
    };
    briefly(
        connection,
        &format!("ALTER TABLE {table} {set}DROP CONSTRAINT {check}"),
        report,
    )
    .await?;
    Ok((!is_met).then(|| {
        format!(
            "{column} of {} may still be null, because some rows are.",
            taken.table
        )
    }))
}

/// Whether all rows meet a constraint.
async fn validate(
    connection: &mut PgConnection,
    table: &str,
    constraint: &str,
) -> Result<bool, DbError> {
    let validated = sqlx::raw_sql(AssertSqlSafe(format!(
        "ALTER TABLE {table} VALIDATE CONSTRAINT {constraint}"
    )))
    .execute(connection)
    .await;
    match validated {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) if error.is_check_violation() => Ok(false),
        Err(error) => Err(error.into()),
    }
}
