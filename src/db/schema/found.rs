//! What is in the database: tables with their columns, constraints, triggers and indexes.
//!
//! Beside it the tables as they should be, read from the same catalog: they are made as temporary
//! ones in a transaction that is rolled back, so that no second list of columns has to be kept.

mod rows;

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::plan::quote;
use super::scripts;
use crate::db::DbError;

pub(super) const QUEUE: &str = "photo_generation_queue";
pub(super) const BATCHES: &str = "photo_generation_batches";
const SETTINGS: &str = "photo_generation_settings";

/// A database, looked at.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Who we are.
    pub role: String,
    /// Rights that we lack, each with what would grant it.
    pub lacks: Vec<(String, String)>,
    /// Schemas that have a queue, when public has none.
    pub elsewhere: Vec<String>,
    /// Of our schema; `None`: there is none, or its adoption was taken back.
    pub version: Option<i32>,
    /// Whether our settings are there, so that all tables but an app's two are ours.
    pub settled: bool,
    /// By name.
    pub tables: BTreeMap<String, Table>,
    /// As they should be.
    pub wanted: BTreeMap<String, Table>,
    /// Tables that are an app's, as an adoption before recorded.
    pub adopted: BTreeSet<String>,
    /// Supabase's roles for everybody, as far as they exist.
    pub api_roles: Vec<String>,
    /// Words in `status` of an app's queue that we do not know, with how many rows have each.
    pub unknown_statuses: Vec<(String, i64)>,
    /// The same for `type`, of rows that have not ended.
    pub unknown_types: Vec<(String, i64)>,
    /// Rows beyond the first of each `"jobId"`, and of each `"idempotencyKey"` of a tenant.
    pub shared_job_ids: i64,
    pub shared_keys: i64,
    /// Rows whose counts our check would refuse.
    pub odd_counts: i64,
    /// CHECKs on an app's batches that refuse a word of ours.
    pub narrow_checks: Vec<String>,
    /// Whether a row has no `"jobId"`.
    pub nameless_rows: bool,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Table {
    /// `relkind` of `pg_class`: r is an ordinary table; i for one that inherits or is inherited.
    pub kind: String,
    pub owner: String,
    /// Whether our role may change it.
    pub is_ours_to_change: bool,
    /// Whether row level security holds for our role.
    pub hides_rows: bool,
    /// As the planner guesses.
    pub rows: i64,
    /// Storage parameters, `name=value`.
    pub options: Vec<String>,
    /// In their order.
    pub columns: Vec<Column>,
    pub constraints: Vec<Constraint>,
    pub triggers: Vec<Trigger>,
    pub indexes: Vec<Index>,
}

#[derive(Debug, Clone)]
pub(super) struct Column {
    pub name: String,
    /// As Postgres writes it, length included.
    pub type_name: String,
    pub is_enum: bool,
    /// Of an enum.
    pub labels: Vec<String>,
    pub not_null: bool,
    pub default: Option<String>,
    /// Computed: nobody can write it.
    pub generated: bool,
    /// Of an enum that is not ours to change.
    pub foreign_owner: Option<String>,
    /// What hinders a change of its type, in Postgres's words: views, policies, triggers.
    pub used_by: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Constraint {
    pub name: String,
    /// c check, p primary key, u unique.
    pub kind: String,
    pub definition: String,
    /// The condition of a CHECK.
    pub condition: Option<String>,
    pub columns: Vec<String>,
    pub validated: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Trigger {
    pub name: String,
    /// As Postgres writes it, and how it is enabled if that is unusual.
    pub definition: String,
    pub for_each_row: bool,
    /// Not disabled.
    pub fires: bool,
    /// Source of its function.
    pub source: String,
}

#[derive(Debug, Clone)]
pub(super) struct Index {
    pub name: String,
    pub valid: bool,
    /// Or of an exclusion constraint.
    pub unique: bool,
    /// Those that it names outright.
    pub columns: Vec<String>,
}

impl Table {
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether a value of this column names one row.
    pub(super) fn is_key(&self, column: &str) -> bool {
        self.constraints
            .iter()
            .any(|c| matches!(c.kind.as_str(), "p" | "u") && c.columns == [column])
    }
}

impl Found {
    /// Whether an app made this table. Before our settings exist, whatever is there is an app's.
    pub(super) fn is_the_apps(&self, table: &str) -> bool {
        self.tables.contains_key(table) && (!self.settled || self.adopted.contains(table))
    }
}

/// Looks at everything. Changes nothing.
pub(super) async fn look(connection: &mut PgConnection) -> Result<Found, DbError> {
    let (role, may_compare, lacks) = lacks(connection).await?;
    if !may_compare {
        return Ok(Found {
            role,
            lacks,
            ..Found::default()
        });
    }
    let tables = tables(connection, Place::Real).await?;
    let mut found = Found {
        role,
        lacks,
        elsewhere: elsewhere(connection).await?,
        wanted: wanted(connection).await?,
        api_roles: api_roles(connection).await?,
        settled: tables.get(SETTINGS).is_some_and(|table| {
            ["key", "value", "updatedAt"]
                .iter()
                .all(|name| table.column(name).is_some())
        }),
        tables,
        ..Found::default()
    };
    if found.settled {
        found.version = super::version(connection).await?;
        if found.version == Some(super::VERSION) {
            found.lacks.clear();
        }
        if found.tables.contains_key("photo_generation_adoption") {
            let adopted: Vec<String> = sqlx::query_scalar!(
                r#"SELECT "table" FROM photo_generation_adoption WHERE kind = 'table'"#
            )
            .fetch_all(&mut *connection)
            .await?;
            found.adopted = adopted.into_iter().collect();
        }
    }
    rows::look(connection, &mut found).await?;
    Ok(found)
}

/// Our name, whether we may make the tables to compare with, and the rights that we lack.
async fn lacks(
    connection: &mut PgConnection,
) -> Result<(String, bool, Vec<(String, String)>), DbError> {
    let may = sqlx::query!(
        r#"SELECT current_user::text AS "role!", current_database()::text AS "database!",
                  has_database_privilege(current_database(), 'TEMPORARY') AS "temporary!",
                  has_schema_privilege('public', 'CREATE') AS "create!""#
    )
    .fetch_one(connection)
    .await?;
    let (role, database) = (quote(&may.role), quote(&may.database));
    let mut lacks = Vec::new();
    if !may.temporary {
        lacks.push((
            "make temporary tables, to which it compares those that are there".to_owned(),
            format!("GRANT TEMPORARY ON DATABASE {database} TO {role};"),
        ));
    }
    if !may.create {
        lacks.push((
            "create tables in schema public".to_owned(),
            format!("GRANT CREATE ON SCHEMA public TO {role};"),
        ));
    }
    Ok((may.role, may.temporary, lacks))
}

/// Tables of the queue's name outside of public, if there is none in it.
async fn elsewhere(connection: &mut PgConnection) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT relnamespace::regnamespace::text AS "schema!" FROM pg_class
           WHERE relname = $1 AND relkind IN ('r', 'p') AND relpersistence <> 't'
             AND to_regclass('public.photo_generation_queue') IS NULL
           ORDER BY 1"#,
        QUEUE as _
    )
    .fetch_all(connection)
    .await?)
}

async fn api_roles(connection: &mut PgConnection) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT rolname::text AS "name!" FROM pg_roles
           WHERE rolname IN ('anon', 'authenticated') ORDER BY rolname"#
    )
    .fetch_all(connection)
    .await?)
}

/// Our tables as the scripts make them. They are gone again when this returns.
async fn wanted(connection: &mut PgConnection) -> Result<BTreeMap<String, Table>, DbError> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(AssertSqlSafe(scripts::tables_for_comparison()))
        .execute(&mut *transaction)
        .await?;
    let tables = tables(&mut transaction, Place::Temporary).await?;
    transaction.rollback().await?;
    Ok(tables)
}

#[derive(Clone, Copy)]
enum Place {
    Real,
    Temporary,
}

async fn tables(
    connection: &mut PgConnection,
    place: Place,
) -> Result<BTreeMap<String, Table>, DbError> {
    let temporary = matches!(place, Place::Temporary);
    let rows = sqlx::query!(
        r#"SELECT c.oid AS "oid!", c.relname::text AS "name!", 
                  CASE WHEN EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent))
                       THEN 'i' ELSE c.relkind::text END AS "kind!",
                  pg_get_userbyid(c.relowner)::text AS "owner!",
                  pg_has_role(c.relowner, 'USAGE') AS "ours!", row_security_active(c.oid) AS "hidden!",
                  greatest(c.reltuples, 0)::bigint AS "rows!",
                  coalesce(c.reloptions, '{}') AS "options!"
           FROM pg_class AS c
           WHERE c.relnamespace = CASE WHEN $1 THEN pg_my_temp_schema() ELSE 'public'::regnamespace END
             AND c.relname LIKE 'photo\_generation\_%' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
           ORDER BY c.oid"#,
        temporary
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut tables = BTreeMap::new();
    for row in rows {
        let table = Table {
            kind: row.kind,
            owner: row.owner,
            is_ours_to_change: row.ours,
            hides_rows: row.hidden,
            rows: row.rows,
            options: row.options,
            columns: columns(connection, row.oid).await?,
            constraints: constraints(connection, row.oid).await?,
            triggers: triggers(connection, row.oid).await?,
            indexes: indexes(connection, row.oid).await?,
        };
        tables.insert(row.name, table);
    }
    Ok(tables)
}

type Oid = sqlx::postgres::types::Oid;

async fn columns(connection: &mut PgConnection, table: Oid) -> Result<Vec<Column>, DbError> {
    Ok(sqlx::query_as!(
        Column,
        r#"SELECT a.attname::text AS "name!", format_type(a.atttypid, a.atttypmod) AS "type_name!",
                  t.typtype = 'e' AS "is_enum!",
                  ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid) AS "labels!",
                  a.attnotnull AS "not_null!", pg_get_expr(d.adbin, d.adrelid) AS default,
                  a.attgenerated <> '' AS "generated!",
                  CASE WHEN t.typtype = 'e' AND NOT pg_has_role(t.typowner, 'USAGE')
                       THEN pg_get_userbyid(t.typowner)::text END AS foreign_owner,
                  ARRAY(SELECT DISTINCT replace(pg_describe_object(p.classid, p.objid, p.objsubid),
                                                'rule _RETURN on ', '')
                        FROM pg_depend AS p
                        WHERE p.refclassid = 'pg_class'::regclass
                          AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum
                          AND (p.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass,
                                             'pg_trigger'::regclass, 'pg_proc'::regclass,
                                             'pg_publication_rel'::regclass)
                               OR p.objid IN (SELECT g.oid FROM pg_attrdef AS g
                                              WHERE g.adrelid = a.attrelid AND g.adnum <> a.attnum))
                       ) AS "used_by!"
           FROM pg_attribute AS a
           JOIN pg_type AS t ON t.oid = a.atttypid
           LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
           WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
           ORDER BY a.attnum"#,
        table
    )
    .fetch_all(connection)
    .await?)
}

async fn constraints(
    connection: &mut PgConnection,
    table: Oid,
) -> Result<Vec<Constraint>, DbError> {
    Ok(sqlx::query_as!(
        Constraint,
        r#"SELECT c.conname::text AS "name!", c.contype::text AS "kind!",
                  pg_get_constraintdef(c.oid) AS "definition!",
                  pg_get_expr(c.conbin, c.conrelid) AS condition, c.convalidated AS "validated!",
                  ARRAY(SELECT attname::text FROM pg_attribute
                        WHERE attrelid = c.conrelid AND attnum = ANY (c.conkey)
                        ORDER BY attnum) AS "columns!"
           FROM pg_constraint AS c
           WHERE c.conrelid = $1 AND c.contype IN ('c', 'p', 'u')
           ORDER BY c.conname"#,
        table
    )
    .fetch_all(connection)
    .await?)
}

async fn triggers(connection: &mut PgConnection, table: Oid) -> Result<Vec<Trigger>, DbError> {
    Ok(sqlx::query_as!(
        Trigger,
        r#"SELECT t.tgname::text AS "name!",
                  pg_get_triggerdef(t.oid) || CASE t.tgenabled
                      WHEN 'A' THEN format('; ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', t.tgrelid::regclass, t.tgname)
                      WHEN 'R' THEN format('; ALTER TABLE %s ENABLE REPLICA TRIGGER %I', t.tgrelid::regclass, t.tgname)
                      ELSE '' END AS "definition!",
                  t.tgtype & 1 = 1 AS "for_each_row!", t.tgenabled <> 'D' AS "fires!",
                  p.prosrc AS "source!"
           FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
           WHERE t.tgrelid = $1 AND NOT t.tgisinternal
           ORDER BY t.tgname"#,
        table
    )
    .fetch_all(connection)
    .await?)
}

async fn indexes(connection: &mut PgConnection, table: Oid) -> Result<Vec<Index>, DbError> {
    Ok(sqlx::query_as!(
        Index,
        r#"SELECT c.relname::text AS "name!", i.indisvalid AS "valid!",
                  i.indisunique OR i.indisexclusion AS "unique!",
                  ARRAY(SELECT attname::text FROM pg_attribute
                        WHERE attrelid = i.indrelid AND attnum = ANY (i.indkey)
                        ORDER BY attnum) AS "columns!"
           FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
           WHERE i.indrelid = $1
           ORDER BY c.relname"#,
        table
    )
    .fetch_all(connection)
    .await?)
}
