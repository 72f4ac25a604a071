//! An adoption taken back: the app and its old worker go on as if we had never been there.

use safelight::db::schema::{self, SchemaError};

use super::changes::schema_of;
use super::{APPS_INSERT, Stage, TEXT};

async fn undo(stage: &Stage) -> Result<Vec<String>, SchemaError> {
    schema::undo(&stage.db().await, &|_| {}).await
}

/// What the app's tables are held to, without what is new.
async fn rules_of(stage: &Stage) -> Vec<String> {
    let is_about_the_app = |line: &String| {
        let tables = ["photo_generation_queue", "photo_generation_batches"];
        tables.iter().any(|table| line.contains(table))
    };
    schema_of(stage)
        .await
        .into_iter()
        .filter(is_about_the_app)
        // A longer text hurts nobody, and columns with data stay.
        .filter(|line| !line.contains("lockedBy") && !line.contains("errorMessage"))
        .collect()
}

#[tokio::test]
async fn an_adoption_taken_back_leaves_the_tables_as_they_were() {
    let stage = Stage::of(TEXT).await;
    let before = rules_of(&stage).await;
    stage.migrate().await;
    let worker = stage.worker().await;
    stage.sql(APPS_INSERT).await;
    stage.until_all_ended().await;
    worker.stop().await;
    let stored = "SELECT count(*) FROM photo_generation_images WHERE state = 'stored'";
    let photos = stage.number(stored).await;

    let left = undo(&stage).await.unwrap();

    assert_eq!(left, Vec::<String>::new());
    let after = rules_of(&stage).await;
    let missing: Vec<_> = before.iter().filter(|rule| !after.contains(rule)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    let added: Vec<_> = after
        .iter()
        .filter(|rule| !before.contains(rule))
        .filter(|rule| !rule.starts_with("column "))
        // Our own tables and functions, which hold what was paid for.
        .filter(|rule| !rule.contains("photo_generation_images") && !rule.starts_with("function "))
        .filter(|rule| !rule.contains("photo_generation_steps"))
        .collect();
    assert!(added.is_empty(), "{added:#?}");
    assert_eq!(stage.number(stored).await, photos, "what was bought stays");

    let refused = schema::check(&stage.db().await).await;
    assert!(matches!(refused, Err(SchemaError::Missing)), "{refused:?}");
}

/// The old worker's documented way: look, take by id, write by id.
#[tokio::test]
async fn afterwards_the_old_worker_and_the_app_work_as_before() {
    let stage = Stage::of(TEXT).await;
    stage.migrate().await;
    undo(&stage).await.unwrap();

    stage.sql(APPS_INSERT).await;
    stage
        .sql(r#"UPDATE photo_generation_queue SET status = 'processing', "lockedBy" = 'edge-worker-2', "lockedAt" = now()
                WHERE status = 'pending' AND "lockedBy" IS NULL;
                UPDATE photo_generation_queue SET status = 'completed', "completedAt" = now()
                WHERE "lockedBy" = 'edge-worker-2'"#)
        .await;

    let done = r#"SELECT count(*) FROM photo_generation_queue WHERE "lockedBy" = 'edge-worker-2'
        AND status = 'completed' AND "lockedAt" IS NOT NULL AND lease = 0"#;
    assert_eq!(
        stage.number(done).await,
        9,
        "none of our triggers had a say"
    );
    for refused in [
        APPS_INSERT.replace("'16:9'", "'7:5'"),
        APPS_INSERT.replace("'no'", "NULL"),
        "UPDATE photo_generation_queue SET status = 'canceled'".to_owned(),
    ] {
        let result = sqlx::raw_sql(sqlx::AssertSqlSafe(refused.clone()))
            .execute(&stage.pool)
            .await;
        assert!(result.is_err(), "{refused}");
    }

    let again = stage.migrate().await;
    assert!(!again.plan.steps.is_empty());
    stage.drain().await;
    stage.until_all_ended().await;
}

#[tokio::test]
async fn what_the_new_rows_do_not_allow_is_said_and_left() {
    let stage = Stage::of(TEXT).await;
    stage.migrate().await;
    stage
        .sql(r#"INSERT INTO photo_generation_queue ("basePrompt", status) VALUES ('by HTTP', 'canceled')"#)
        .await;

    let left = undo(&stage).await.unwrap();

    let said = left.join("\n");
    assert!(
        said.contains("photo_generation_queue_status_check"),
        "{said}"
    );
    assert!(
        said.contains("\"userId\" of photo_generation_queue may still be null"),
        "{said}"
    );
    assert!(!said.contains("basePrompt"), "{said}");
    let row = r#"SELECT status FROM photo_generation_queue WHERE "basePrompt" = 'by HTTP'"#;
    assert_eq!(stage.text(row).await, "canceled", "data stay");
}

#[tokio::test]
async fn nothing_is_taken_back_under_a_living_worker_or_where_nothing_was_adopted() {
    let stage = Stage::of(TEXT).await;
    stage.migrate().await;
    let before = schema_of(&stage).await;
    let worker = stage.worker().await;

    let refused = undo(&stage).await;

    assert!(
        matches!(refused, Err(SchemaError::WorkersLive(_))),
        "{refused:?}"
    );
    assert_eq!(schema_of(&stage).await, before);
    schema::check(&stage.db().await).await.unwrap();
    worker.stop().await;

    let ours = Stage::new().await;
    assert!(matches!(undo(&ours).await, Err(SchemaError::NotAdopted)));
}

/// A dead worker's jobs are the old worker's to do.
#[tokio::test]
async fn jobs_of_dead_workers_go_back_to_the_queue() {
    let stage = Stage::of(TEXT).await;
    stage.migrate().await;
    stage
        .sql(r#"UPDATE photo_generation_queue SET status = 'processing', run = gen_random_uuid(), "lockedBy" = 'dead'
                WHERE id = (SELECT min(id) FROM photo_generation_queue WHERE status = 'pending')"#)
        .await;

    undo(&stage).await.unwrap();

    let held = r#"SELECT count(*) FROM photo_generation_queue WHERE "lockedBy" = 'dead'"#;
    assert_eq!(stage.number(held).await, 0);
}

/// Named after the table, as ours are.
const APPS_TRIGGER: &str = r#"
    ALTER TABLE photo_generation_queue ADD "changedAt" timestamptz;
    CREATE FUNCTION photo_generation_queue_changed() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN NEW."changedAt" := now(); RETURN NEW; END';
    CREATE TRIGGER photo_generation_queue_changed BEFORE UPDATE ON photo_generation_queue
        FOR EACH ROW EXECUTE FUNCTION photo_generation_queue_changed()"#;

#[tokio::test]
async fn triggers_of_the_app_come_back_as_they_were_whatever_their_names() {
    let stage = Stage::of(TEXT).await;
    stage.sql(APPS_TRIGGER).await;
    stage
        .sql(
            "CREATE TRIGGER photo_generation_notify AFTER UPDATE ON photo_generation_queue
                  FOR EACH ROW EXECUTE FUNCTION notify_photo_job();
              ALTER TABLE photo_generation_queue ENABLE ALWAYS TRIGGER photo_generation_notify;
              CREATE TRIGGER off AFTER UPDATE ON photo_generation_queue
                  FOR EACH ROW EXECUTE FUNCTION notify_photo_job();
              ALTER TABLE photo_generation_queue DISABLE TRIGGER off",
        )
        .await;
    let triggers = "SELECT string_agg(concat_ws(' ', tgname, tgenabled), ', ' ORDER BY tgname)
        FROM pg_trigger WHERE tgrelid = 'photo_generation_queue'::regclass AND NOT tgisinternal
            AND tgname NOT LIKE 'photo_generation_wake%'";
    let before = stage.text(triggers).await;

    stage.migrate().await;
    // 9 kB that neither of the two may send.
    stage
        .sql(&APPS_INSERT.replace("'a person on a bicycle'", "repeat('a person ', 1000)"))
        .await;
    stage
        .sql("UPDATE photo_generation_queue SET attempts = attempts")
        .await;
    undo(&stage).await.unwrap();

    assert_eq!(stage.text(triggers).await, before);
}

#[tokio::test]
async fn what_the_app_has_dropped_meanwhile_is_said_and_the_rest_comes_back() {
    let stage = Stage::of(TEXT).await;
    stage.migrate().await;
    stage
        .sql(
            r#"ALTER TABLE photo_generation_queue DROP glasses, DROP "aspectRatio";
                DROP FUNCTION notify_photo_job()"#,
        )
        .await;

    let left = undo(&stage).await.unwrap().join("\n");

    for missing in [
        "\"glasses\" may not be null",
        "add the check photo_generation_queue_aspectRatio_check",
        "add the trigger photo_job_trigger",
        "CREATE TRIGGER photo_job_trigger",
    ] {
        assert!(left.contains(missing), "{missing}\n{left}");
    }
    let narrow = "UPDATE photo_generation_queue SET status = 'canceled'";
    assert!(sqlx::raw_sql(narrow).execute(&stage.pool).await.is_err());
}

/// Killed after it has made something again and before it has noted so.
#[tokio::test]
async fn an_undo_that_was_killed_goes_on() {
    let stage = Stage::of(TEXT).await;
    let before = rules_of(&stage).await;
    stage.migrate().await;
    // What it had for a moment only.
    stage
        .sql(
            "ALTER TABLE photo_generation_queue ADD CONSTRAINT safelight_not_null
                    CHECK (glasses IS NOT NULL) NOT VALID",
        )
        .await;
    stage.migrate().await;
    stage
        .sql("INSERT INTO photo_generation_queue (status) VALUES ('canceled'); DELETE FROM photo_generation_queue WHERE status = 'canceled'")
        .await;
    let taken = "CREATE TABLE taken AS SELECT * FROM photo_generation_adoption";
    stage.sql(taken).await;
    undo(&stage).await.unwrap();
    stage
        .sql(
            "INSERT INTO photo_generation_adoption OVERRIDING SYSTEM VALUE
              SELECT * FROM taken ON CONFLICT DO NOTHING",
        )
        .await;

    let left = undo(&stage).await.unwrap();

    assert_eq!(left, Vec::<String>::new());
    let after = rules_of(&stage).await;
    let missing: Vec<_> = before.iter().filter(|rule| !after.contains(rule)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[tokio::test]
async fn a_check_that_old_rows_never_met_comes_back_as_it_was() {
    let stage = Stage::of(TEXT).await;
    stage
        .sql(
            "ALTER TABLE photo_generation_queue
                  ADD CONSTRAINT of_late CHECK (status <> 'failed') NOT VALID",
        )
        .await;
    let before = rules_of(&stage).await;
    stage.migrate().await;

    let left = undo(&stage).await.unwrap();

    assert_eq!(left, Vec::<String>::new());
    let of_late = |rules: Vec<String>| rules.into_iter().find(|rule| rule.contains("of_late"));
    assert_eq!(of_late(rules_of(&stage).await), of_late(before));
}
