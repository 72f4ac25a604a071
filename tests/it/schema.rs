//! The schema itself: how it is made, what it refuses, who may touch it, and the app's hook.

use std::collections::BTreeSet;

use safelight::db::Db;
use safelight::db::schema::{self, Migrated, SchemaError};
use sqlx::PgPool;

use crate::harness::{Stage, empty_database};

mod hook;

async fn empty() -> Db {
    Db::connect(&empty_database().await, None, 2).await.unwrap()
}

async fn migrate(db: &Db) -> Result<Migrated, SchemaError> {
    schema::migrate(db, &|_| {}).await
}

async fn names(pool: &PgPool, sql: &str) -> BTreeSet<String> {
    let names: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned()))
        .fetch_all(pool)
        .await
        .unwrap();
    names.into_iter().collect()
}

#[tokio::test]
async fn migrating_twice_changes_nothing_and_two_at_once_are_safe() {
    let db = empty().await;
    assert!(matches!(
        schema::check(&db).await,
        Err(SchemaError::Missing)
    ));

    let (one, other) = tokio::join!(migrate(&db), migrate(&db));
    let again = migrate(&db).await.unwrap();

    let (one, other) = (one.unwrap(), other.unwrap());
    let mut from = [one.from, other.from];
    from.sort_unstable();
    assert_eq!(from, [None, Some(again.to)], "one did it, one found it");
    assert_eq!(again.plan.steps, [], "nothing was left to do");
    schema::check(&db).await.unwrap();
}

#[tokio::test]
async fn a_worker_refuses_a_schema_that_is_too_old_or_too_new_for_it() {
    let stage = Stage::new().await;
    let db = stage.db().await;
    let set = async |key: &str, value: &str| {
        stage
            .sql(&format!(
                "UPDATE photo_generation_settings SET value = '{value}' WHERE key = '{key}'"
            ))
            .await;
    };

    set("version", "9").await;
    schema::check(&db).await.unwrap();
    set("oldestWorker", "9").await;
    assert!(matches!(
        schema::check(&db).await,
        Err(SchemaError::WorkerTooOld(9))
    ));
    set("version", "0").await;
    assert!(matches!(
        schema::check(&db).await,
        Err(SchemaError::TooOld(0))
    ));
}

/// Roles belong to the whole server, so that they are made once and stay.
pub(crate) const SUPABASE_ROLES: &str = "DO $$ BEGIN
    PERFORM pg_advisory_xact_lock(7335111);
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'anon') THEN CREATE ROLE anon; END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated') THEN
        CREATE ROLE authenticated; END IF;
    END $$";

#[tokio::test]
async fn where_supabase_has_its_roles_they_may_touch_nothing_of_ours() {
    let db = empty().await;
    // As Supabase sets up its databases.
    for sql in [
        SUPABASE_ROLES,
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated",
    ] {
        sqlx::raw_sql(sql).execute(db.pool()).await.unwrap();
    }

    migrate(&db).await.unwrap();

    let open = "SELECT relname::text FROM pg_class
        WHERE relname LIKE 'photo_generation%' AND relkind IN ('r', 'p', 'v') AND NOT relrowsecurity";
    assert_eq!(names(db.pool(), open).await, BTreeSet::new(), "without RLS");
    let granted = "SELECT relname || ' to ' || rolname FROM pg_class, pg_roles
        WHERE relname LIKE 'photo_generation%' AND rolname IN ('anon', 'authenticated')
          AND CASE relkind WHEN 'r' THEN has_table_privilege(rolname, pg_class.oid,
                  'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                  OR has_any_column_privilege(rolname, pg_class.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
              WHEN 'S' THEN has_sequence_privilege(rolname, pg_class.oid, 'SELECT, UPDATE, USAGE') END";
    assert_eq!(names(db.pool(), granted).await, BTreeSet::new());
    let callable = "SELECT proname || ' by ' || rolname FROM pg_proc, pg_roles
        WHERE proname LIKE 'photo_generation%' AND proname NOT IN ('photo_generation_place', 'photo_generation_model', 'photo_generation_type', 'photo_generation_tenant') AND rolname IN ('anon', 'authenticated')
          AND has_function_privilege(rolname, pg_proc.oid, 'EXECUTE')";
    assert_eq!(names(db.pool(), callable).await, BTreeSet::new());
}

/// Where a path does not name `pg_temp`, Postgres looks for types there first: a cast in one of our
/// triggers would take that of whoever inserts, and run its check as the owner.
#[tokio::test]
async fn whoever_inserts_cannot_slip_a_type_of_his_own_into_our_triggers() {
    let stage = Stage::new().await;
    let role = format!("inserts_{}", uuid::Uuid::new_v4().simple());
    stage
        .sql(&format!(
            "CREATE ROLE {role}; GRANT INSERT ON photo_generation_queue TO {role};
             ALTER TABLE photo_generation_queue DISABLE ROW LEVEL SECURITY"
        ))
        .await;

    stage
        .sql(&format!(
            r#"BEGIN;
               SET LOCAL ROLE {role};
               CREATE FUNCTION pg_temp.checked(pg_catalog.text) RETURNS boolean LANGUAGE plpgsql AS
                   $$ BEGIN RAISE EXCEPTION 'run in the name of %', current_user; END $$;
               CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (pg_temp.checked(VALUE));
               CREATE DOMAIN pg_temp.jsonb AS pg_catalog.jsonb CHECK (pg_temp.checked(VALUE::pg_catalog.text));
               INSERT INTO photo_generation_queue ("basePrompt", type, provider, payload)
               VALUES ('a lake', 'tryon', 'openai', '{{}}');
               COMMIT"#
        ))
        .await;

    let exposed = r"SELECT count(*) FROM pg_proc
        WHERE prosecdef AND proname LIKE 'photo\_generation\_%'
          AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(proconfig, '{}'))";
    assert_eq!(stage.number(exposed).await, 0);
    stage
        .sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
}

/// As an app that may do nothing but insert, in a database that is closed by default.
#[tokio::test]
async fn a_role_that_may_only_insert_needs_no_right_to_a_function_of_ours() {
    let db = empty().await;
    let sql = async |sql: String| {
        let result = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(db.pool());
        result.await.map(|_| ())
    };
    let role = format!("inserts_{}", uuid::Uuid::new_v4().simple());
    sql(
        "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
         CREATE FUNCTION photo_generation_stats() RETURNS integer LANGUAGE sql AS 'SELECT 7'"
            .to_owned(),
    )
    .await
    .unwrap();
    sql(format!(
        "CREATE ROLE {role}; GRANT EXECUTE ON FUNCTION photo_generation_stats() TO {role}, PUBLIC"
    ))
    .await
    .unwrap();
    sql(SUPABASE_ROLES.to_owned()).await.unwrap();

    migrate(&db).await.unwrap();
    sql(format!(
        "GRANT INSERT ON photo_generation_queue TO {role};
                 ALTER TABLE photo_generation_queue DISABLE ROW LEVEL SECURITY"
    ))
    .await
    .unwrap();
    let inserted = sql(format!(
        r#"BEGIN; SET LOCAL ROLE {role};
           INSERT INTO photo_generation_queue ("basePrompt") VALUES ('a lake'); COMMIT"#
    ))
    .await;
    let called = sql(
        "BEGIN; SET LOCAL ROLE authenticated; SELECT photo_generation_stats(); COMMIT".to_owned(),
    )
    .await;
    sql(format!("ROLLBACK; DROP OWNED BY {role}; DROP ROLE {role}"))
        .await
        .unwrap();

    assert!(inserted.is_ok(), "{inserted:?}");
    assert!(called.is_ok(), "the app's own function: {called:?}");
}

#[tokio::test]
async fn what_we_write_is_constrained() {
    let stage = Stage::new().await;
    stage.job("a lake", 1).await;
    let refused = async |sql: &str| {
        let result = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(&stage.pool)
            .await;
        assert!(result.is_err(), "{sql}");
    };

    for change in [
        "status = 'done'",
        "status = NULL",
        "attempts = -1",
        r#""imagesTotal" = 1, "imagesCompleted" = 2"#,
        r#""imagesCompleted" = -1"#,
    ] {
        refused(&format!("UPDATE photo_generation_queue SET {change}")).await;
    }
    for values in [
        "1, 0, 'planned'",
        "1, 101, 'planned'",
        "1, 1, 'bought'",
        "1, 1, 'stored'",
        "2, 1, 'planned'",
    ] {
        refused(&format!(
            r#"INSERT INTO photo_generation_images ("jobId", index, state) VALUES ({values})"#
        ))
        .await;
    }
    for limit in [
        "requestsPerMinute",
        "requestsPerDay",
        "maxConcurrent",
        "maxCostPerDay",
    ] {
        refused(&format!(
            r#"UPDATE photo_generation_limits SET "{limit}" = 0"#
        ))
        .await;
    }
    stage
        .sql(r#"UPDATE photo_generation_limits SET "minIntervalMs" = 0"#)
        .await;
}

/// What an app writes is its own affair: it inserts, and ends failed with a sentence.
#[tokio::test]
async fn what_an_app_writes_is_not_constrained() {
    let stage = Stage::new().await;
    for row in [
        r#"("basePrompt") VALUES (NULL)"#,
        r#"("basePrompt", "numImagesPerExample") VALUES ('a lake', 0)"#,
        r#"("basePrompt", "numImagesPerExample") VALUES ('a lake', -2147483648)"#,
        r#"("basePrompt", "aspectRatio") VALUES ('a lake', 'very wide')"#,
        r#"("basePrompt", type) VALUES ('a lake', 'a type of tomorrow')"#,
        r#"("basePrompt", provider) VALUES ('a lake', 'somebody')"#,
        r#"("basePrompt", "trainingImageUrls") VALUES ('a lake', '{"not": "an array"}')"#,
        r#"("basePrompt", "exampleImageUrl") VALUES ('a lake', 'no url at all')"#,
        r#"("basePrompt", "exampleImageUrl") VALUES ('a lake', 'http://127.0.0.1/secret')"#,
        r#"("basePrompt", payload) VALUES ('a lake', '{"imageSize": 7}')"#,
    ] {
        stage
            .sql(&format!("INSERT INTO photo_generation_queue {row}"))
            .await;
    }
    let odd = stage
        .insert_odd(
            r#"("basePrompt", attempts, "maxAttempts", lease, "jobId", priority, "createdAt", type,
                "trainingImageUrls", "numImagesPerExample", "requestId", "userId", "imagesCompleted")
               VALUES ('a lake', NULL, NULL, NULL, NULL, 'whenever', NULL, NULL, NULL, NULL, NULL, '', NULL)"#,
        )
        .await;

    stage.drain().await;

    let failed = r#"SELECT count(*) FROM photo_generation_queue
        WHERE status = 'failed' AND length("errorMessage") > 20 AND "errorCode" IS NOT NULL AND attempts = 0"#;
    assert_eq!(stage.number(failed).await, 10, "{}", stage.dump().await);
    assert_eq!(
        stage
            .text(&format!(
                r#"SELECT concat_ws(' ', status, "imagesCompleted", "jobId" IS NOT NULL) FROM photo_generation_queue WHERE id = {odd}"#
            ))
            .await,
        "completed 4 t"
    );
    assert_eq!(stage.simulator.log().len(), 4);
}

impl Stage {
    async fn insert_odd(&self, row: &str) -> i64 {
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "INSERT INTO photo_generation_queue {row} RETURNING id"
        )))
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }
}

/// Rows that the old worker writes, and an app's import.
#[tokio::test]
async fn rows_of_other_programs_violate_nothing_and_keep_their_locks() {
    let stage = Stage::new().await;
    let job = stage.job("a lake", 1).await;
    let columns = format!(
        r#"SELECT concat_ws(' ', status, "lockedBy", "lockedAt" IS NOT NULL, "completedAt" IS NOT NULL)
           FROM photo_generation_queue WHERE id = {job}"#
    );

    stage
        .sql(r#"UPDATE photo_generation_queue SET status = 'processing', "lockedBy" = 'edge-1', "lockedAt" = now()"#)
        .await;
    stage
        .sql(r#"UPDATE photo_generation_queue SET status = 'completed', "completedAt" = now(), "errorMessage" = NULL"#)
        .await;
    assert_eq!(stage.text(&columns).await, "completed edge-1 t t");

    stage
        .sql("UPDATE photo_generation_queue SET status = 'pending'")
        .await;
    assert_eq!(stage.text(&columns).await, "pending f f");
    let imported = stage
        .insert_odd(r#"("basePrompt", status) VALUES ('a lake', 'failed')"#)
        .await;
    assert_eq!(
        stage
            .text(&format!(
                r#"SELECT "completedAt" IS NOT NULL FROM photo_generation_queue WHERE id = {imported}"#
            ))
            .await,
        "true"
    );
}
