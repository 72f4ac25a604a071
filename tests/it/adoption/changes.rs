//! What an adoption changes: shown before, printed as SQL, the same after any accident.

use std::process::Stdio;
use std::time::Duration;

use safelight::db::schema::{self, SchemaError};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use super::{APPS, ENUM, Stage, TEXT};
use crate::harness::empty_database;

/// Everything that a catalog tells of the tables: columns, constraints, indexes, triggers, functions,
/// row level security, storage parameters. Types of one name are one.
pub(super) async fn schema_of(stage: &Stage) -> Vec<String> {
    let lines: Vec<String> = sqlx::query_scalar(
        r"SELECT concat_ws(' ', 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                 a.attnotnull, pg_get_expr(d.adbin, d.adrelid)) AS line
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
          LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
          WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
            AND NOT a.attisdropped
          UNION ALL
          SELECT concat_ws(' ', 'table', relname, reloptions::text, relrowsecurity)
          FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
          UNION ALL
          SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, convalidated,
                 pg_get_constraintdef(oid))
          FROM pg_constraint WHERE connamespace = 'public'::regnamespace
          UNION ALL
          SELECT concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisvalid)
          FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
          WHERE relnamespace = 'public'::regnamespace
          UNION ALL
          SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(oid))
          FROM pg_trigger WHERE NOT tgisinternal
          UNION ALL
          SELECT concat_ws(' ', 'function', oid::regprocedure, md5(prosrc), prosecdef)
          FROM pg_proc WHERE pronamespace = 'public'::regnamespace
          UNION ALL
          SELECT concat_ws(' ', 'label', enumtypid::regtype, enumlabel) FROM pg_enum
          ORDER BY line",
    )
    .fetch_all(&stage.pool)
    .await
    .unwrap();
    lines
}

fn migrate(stage: &Stage, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
    command
        .args(["migrate", "--database-url", &stage.url])
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn output_of(stage: &Stage, more: &[&str]) -> String {
    let output = migrate(stage, more).output().await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

async fn psql(stage: &Stage, script: &str) {
    let mut psql = Command::new("psql")
        .args(["--quiet", "--set=ON_ERROR_STOP=1", "--dbname", &stage.url])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = psql.stdin.take().unwrap();
    input.write_all(script.as_bytes()).await.unwrap();
    drop(input);
    assert!(psql.wait().await.unwrap().success(), "{script}");
}

#[tokio::test]
async fn a_plan_names_each_change_and_makes_none() {
    let stage = Stage::of(TEXT).await;
    let before = schema_of(&stage).await;

    let plan = output_of(&stage, &["--plan"]).await;

    for change in [
        "photo_generation_queue is your app's own, with about 340 rows",
        "photo_generation_queue: add \"jobId\" uuid, ",
        "photo_generation_queue: may be null: \"batchId\", \"userId\", ",
        "drop the check photo_generation_queue_status_check",
        "drop the check photo_generation_queue_aspectRatio_check",
        "drop the check photo_generation_batches_status_check",
        "replace the trigger photo_job_trigger",
        "\"errorMessage\" may be of any length",
        "Nothing is changed yet.",
    ] {
        assert!(plan.contains(change), "{change}\n{plan}");
    }
    assert_eq!(schema_of(&stage).await, before);
}

#[tokio::test]
async fn the_printed_sql_does_the_same() {
    for app in APPS {
        let [by_us, by_hand] = [Stage::of(app).await, Stage::of(app).await];

        by_us.migrate().await;
        psql(&by_hand, &output_of(&by_hand, &["--print"]).await).await;

        assert_eq!(
            schema_of(&by_hand).await,
            schema_of(&by_us).await,
            "{}",
            app.name
        );
        assert_eq!(by_hand.migrate().await.plan.steps, [], "{}", app.name);
    }
}

#[tokio::test]
async fn an_empty_database_and_a_bare_table_get_the_same_columns_and_indexes() {
    let fresh = Stage::new().await;
    let bare = Stage::at(empty_database().await, super::SimulatorConfig::instant()).await;
    bare.sql("CREATE TABLE photo_generation_queue (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
                  status text NOT NULL DEFAULT 'pending')")
        .await;

    bare.migrate().await;

    let (fresh, bare) = (schema_of(&fresh).await, schema_of(&bare).await);
    // Foreign keys and row level security are the app's affair.
    let is_the_apps = |line: &&String| {
        line.contains("photo_generation_queue_batchId_fkey")
            || line.starts_with("table photo_generation_queue ")
    };
    let differs = |one: &[String], other: &[String]| -> Vec<String> {
        let lines = one.iter().filter(|line| !other.contains(line));
        lines.filter(|line| !is_the_apps(line)).cloned().collect()
    };
    assert_eq!(differs(&fresh, &bare), Vec::<String>::new());
    assert_eq!(differs(&bare, &fresh), Vec::<String>::new());
}

#[tokio::test]
async fn twice_and_two_at_once_is_the_same_as_once() {
    for app in [TEXT, ENUM] {
        let [once, together] = [Stage::of(app).await, Stage::of(app).await];
        once.migrate().await;

        let (one, other) = tokio::join!(
            migrate(&together, &[]).output(),
            migrate(&together, &[]).output()
        );

        assert!(one.unwrap().status.success() && other.unwrap().status.success());
        assert_eq!(schema_of(&together).await, schema_of(&once).await);
        assert_eq!(together.migrate().await.plan.steps, [], "{}", app.name);
    }
}

/// Killed after each line that it writes, and run again: the same as without an accident.
#[tokio::test]
async fn killed_at_any_step_and_run_again_is_the_same_as_once() {
    let once = Stage::of(ENUM).await;
    once.migrate().await;
    let stage = Stage::of(ENUM).await;

    let kills = migrate_and_be_killed(&stage).await;

    assert!(kills > 5, "{kills}");
    assert_eq!(schema_of(&stage).await, schema_of(&once).await);
    let nameless = r#"SELECT count(*) FROM photo_generation_queue WHERE "jobId" IS NULL"#;
    assert_eq!(stage.number(nameless).await, 0);
}

#[tokio::test]
async fn an_empty_database_bears_the_same() {
    let stage = Stage::at(empty_database().await, super::SimulatorConfig::instant()).await;

    let kills = migrate_and_be_killed(&stage).await;

    assert!(kills > 2, "{kills}");
    assert_eq!(
        schema_of(&stage).await,
        schema_of(&Stage::new().await).await
    );
}

/// What a later version needs is what an older schema lacks.
#[tokio::test]
async fn an_older_schema_gets_what_it_lacks() {
    let stage = Stage::new().await;
    stage.job("a lake", 1).await;
    stage
        .sql(
            r#"ALTER TABLE photo_generation_calls DROP worker;
               ALTER TABLE photo_generation_webhooks DROP "tenantLot";
               ALTER TABLE photo_generation_queue DROP CONSTRAINT safelight_sane_counts, DROP "requestId";
               DROP INDEX safelight_retrying_idx;
               DROP TABLE photo_generation_shares;
               CREATE INDEX photo_generation_queue_fresh_idx ON photo_generation_queue (model);
               CREATE INDEX safelight_place_idx ON photo_generation_queue (priority);
               ALTER TABLE photo_generation_queue ADD CONSTRAINT photo_generation_queue_final_check
                   CHECK (status <> 'completed' OR "completedAt" IS NOT NULL);
               DROP TRIGGER photo_generation_fence ON photo_generation_queue;
               UPDATE photo_generation_settings SET value = '1' WHERE key = 'version'"#,
        )
        .await;

    let migrated = stage.migrate().await;

    assert_eq!((migrated.from, migrated.plan.adopts), (Some(1), vec![]));
    assert_eq!(
        schema_of(&stage).await,
        schema_of(&Stage::new().await).await
    );
    stage.drain().await;
    stage.assert_sound(1).await;
}

/// How often it was killed until it came to its end.
async fn migrate_and_be_killed(stage: &Stage) -> usize {
    let mut kills = 0;
    loop {
        let mut running = migrate(stage, &[]).spawn().unwrap();
        let mut lines = BufReader::new(running.stderr.take().unwrap()).lines();
        // One line more each time, of what the runs before have left to do.
        let mut said = 0;
        while said <= kills && lines.next_line().await.unwrap().is_some() {
            said += 1;
        }
        if said <= kills {
            assert!(running.wait().await.unwrap().success());
            return kills;
        }
        running.kill().await.unwrap();
        kills += 1;
    }
}

/// What a failed CREATE INDEX CONCURRENTLY leaves behind.
#[tokio::test]
async fn an_index_that_was_left_half_built_is_built_again() {
    let stage = Stage::of(TEXT).await;
    stage.migrate().await;
    stage
        .sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'safelight_fresh_idx'::regclass")
        .await;

    let migrated = stage.migrate().await;

    let changes: Vec<&String> = migrated
        .plan
        .steps
        .iter()
        .flat_map(|step| &step.changes)
        .collect();
    assert!(
        changes[0].contains("drop the index safelight_fresh_idx"),
        "{changes:?}"
    );
    assert_eq!(stage.migrate().await.plan.steps, []);
}

/// Whoever holds the table is named; meanwhile others are not held up.
#[tokio::test]
async fn a_lock_that_is_held_for_long_is_waited_for_and_named() {
    let stage = Stage::of(TEXT).await;
    let mut holder = stage.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE photo_generation_queue IN ROW EXCLUSIVE MODE")
        .execute(&mut *holder)
        .await
        .unwrap();
    let mut running = migrate(&stage, &[]).spawn().unwrap();
    let mut lines = BufReader::new(running.stderr.take().unwrap()).lines();
    loop {
        let line = lines
            .next_line()
            .await
            .unwrap()
            .expect("it says what it waits for");
        if line.contains("waiting for a lock that is held by") {
            assert!(line.contains("SELECT pg_terminate_backend("), "{line}");
            break;
        }
    }

    // The app is let through between two tries.
    tokio::time::timeout(Duration::from_secs(2), stage.sql(super::APPS_INSERT))
        .await
        .unwrap();
    holder.rollback().await.unwrap();

    while lines.next_line().await.unwrap().is_some() {}
    assert!(running.wait().await.unwrap().success());
    schema::check(&stage.db().await).await.unwrap();
}

#[tokio::test]
async fn a_transaction_pooler_is_no_way_to_change_a_schema() {
    let stage = Stage::of(TEXT).await;
    let pooled = format!("{}?pgbouncer=true", stage.url);
    let db = safelight::db::Db::connect(&pooled, None, 1).await.unwrap();

    let refused = schema::migrate(&db, &|_| {}).await;

    assert!(matches!(refused, Err(SchemaError::Pooled)), "{refused:?}");
}

/// The app's policies are the app's.
#[tokio::test]
async fn row_level_security_of_an_adopted_table_stays_as_found() {
    let stage = Stage::of(TEXT).await;
    stage
        .sql(
            "CREATE POLICY own ON photo_generation_queue USING (true);
              ALTER TABLE photo_generation_queue ENABLE ROW LEVEL SECURITY",
        )
        .await;

    stage.migrate().await;

    let secured = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
        WHERE relname IN ('photo_generation_queue', 'photo_generation_batches') AND relrowsecurity";
    assert_eq!(stage.text(secured).await, "photo_generation_queue");
}

/// Not by any lock of a table: by a transaction that is older than the index.
#[tokio::test]
async fn an_index_that_waits_for_an_old_transaction_says_for_which() {
    let stage = Stage::of(TEXT).await;
    let mut old = stage.pool.begin().await.unwrap();
    sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM users")
        .execute(&mut *old)
        .await
        .unwrap();
    let mut running = migrate(&stage, &[]).spawn().unwrap();
    let mut lines = BufReader::new(running.stderr.take().unwrap()).lines();
    loop {
        let line = lines
            .next_line()
            .await
            .unwrap()
            .expect("it says what it waits for");
        if line.contains("waiting for the end of") {
            assert!(line.contains("SELECT pg_terminate_backend("), "{line}");
            break;
        }
    }

    old.rollback().await.unwrap();

    while lines.next_line().await.unwrap().is_some() {}
    assert!(running.wait().await.unwrap().success());
}

/// What cannot be foreseen: the message has the app's own words, and says what to do.
#[tokio::test]
async fn a_step_that_postgres_refuses_is_told_in_full() {
    let stage = Stage::of(TEXT).await;
    stage
        .sql("CREATE FUNCTION freeze() RETURNS trigger LANGUAGE plpgsql AS
                  'BEGIN RAISE EXCEPTION ''ended jobs are frozen'' USING hint = ''ask Finance''; END';
              CREATE TRIGGER frozen BEFORE UPDATE ON photo_generation_queue
                  FOR EACH ROW WHEN (OLD.status = 'completed') EXECUTE FUNCTION freeze()")
        .await;

    let refused = migrate(&stage, &[]).output().await.unwrap();

    let said = String::from_utf8(refused.stderr).unwrap();
    for part in [
        "refused this step: photo_generation_queue: give every row its \"jobId\"",
        "ended jobs are frozen",
        "ask Finance",
        "safelight migrate --undo",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    stage
        .sql("DROP TRIGGER frozen ON photo_generation_queue")
        .await;
    stage.migrate().await;
}

#[tokio::test]
async fn an_older_safelight_leaves_a_newer_schema_alone() {
    let stage = Stage::of(TEXT).await;
    stage.migrate().await;
    stage
        .sql("UPDATE photo_generation_settings SET value = '99' WHERE key = 'version'")
        .await;

    let plan = output_of(&stage, &["--plan"]).await;
    let printed = output_of(&stage, &["--print"]).await;
    let migrated = stage.migrate().await;

    assert!(plan.contains("Nothing to do"), "{plan}");
    assert!(printed.contains("Nothing to do"), "{printed}");
    assert_eq!((migrated.to, migrated.plan.steps), (99, Vec::new()));
}

/// What we neither change nor can foresee is said before.
#[tokio::test]
async fn a_plan_says_what_of_the_apps_own_may_be_in_the_way() {
    let stage = Stage::of(TEXT).await;
    stage
        .sql(
            r#"DELETE FROM photo_generation_queue WHERE id > 10;
            ALTER TABLE photo_generation_queue
                ADD CONSTRAINT keeps_locks CHECK (status <> 'completed' OR "lockedAt" IS NOT NULL),
                ADD CONSTRAINT few CHECK ("numImagesPerExample" < 9);
            CREATE UNIQUE INDEX once ON photo_generation_queue ("batchId", "exampleImageId");
            CREATE UNIQUE INDEX named ON photo_generation_queue (id, "batchId");
            CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            CREATE TRIGGER webhook AFTER INSERT OR UPDATE ON photo_generation_queue
                FOR EACH ROW EXECUTE FUNCTION tell();
            CREATE TRIGGER ended AFTER UPDATE OF status ON photo_generation_queue
                FOR EACH ROW EXECUTE FUNCTION tell()"#,
        )
        .await;

    let plan = output_of(&stage, &["--plan"]).await;

    let notes: Vec<&str> = plan
        .lines()
        .filter(|line| line.starts_with("Note: "))
        .collect();
    let said = [
        "The trigger webhook stays, and runs once for every row",
        "The check keeps_locks stays: CHECK (",
        "once allows no two rows with the same batchId, exampleImageId",
    ];
    assert_eq!(notes.len(), said.len(), "{notes:#?}");
    for said in said {
        assert!(plan.contains(said), "{said}\n{plan}");
    }
}
