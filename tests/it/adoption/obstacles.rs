//! What stops an adoption before any change, with the SQL that clears the way.

use safelight::db::schema::{self, Obstacle, SchemaError};

use super::app::{App, ENUM, TEXT};
use super::changes::schema_of;
use super::{Stage, UUID};

/// The app as `spoil` makes it is refused with `reason`; nothing is changed; and after the SQL that
/// the refusal shows it is adopted.
async fn is_refused(app: App, spoil: &str, reason: &str) {
    let stage = Stage::of(app).await;
    stage.sql(spoil).await;
    let before = schema_of(&stage).await;
    let db = stage.db().await;

    let refused = schema::migrate(&db, &|_| {}).await;

    let obstacles = match refused {
        Err(SchemaError::Obstacles(obstacles)) => obstacles,
        other => panic!("{spoil}: {other:?}"),
    };
    let [
        Obstacle {
            reason: said,
            remedy: Some(remedy),
        },
    ] = obstacles.as_slice()
    else {
        panic!("{spoil}: {obstacles:?}");
    };
    assert!(said.contains(reason), "{said}");
    assert_eq!(
        schema_of(&stage).await,
        before,
        "{spoil}: something was changed"
    );

    stage.sql(remedy).await;
    stage.migrate().await;
    schema::check(&db).await.unwrap();
}

#[tokio::test]
async fn a_priority_of_the_apps_own_kind_is_kept_under_another_name() {
    is_refused(
        TEXT,
        "ALTER TABLE photo_generation_queue ADD priority integer NOT NULL DEFAULT 3",
        "photo_generation_queue.\"priority\" is integer, and safelight needs text.",
    )
    .await;
}

#[tokio::test]
async fn columns_that_cannot_take_what_we_write_are_named() {
    tokio::join!(
        is_refused(
            UUID,
            r#"ALTER TABLE photo_generation_queue ADD "jobId" text"#,
            "\"jobId\" is text, and safelight needs uuid.",
        ),
        is_refused(
            ENUM,
            "ALTER TABLE photo_generation_queue ADD payload text NOT NULL DEFAULT ''",
            "\"payload\" is text, and safelight needs jsonb.",
        ),
        is_refused(
            TEXT,
            r#"ALTER TABLE photo_generation_queue
                   ADD "imagesTotal" integer GENERATED ALWAYS AS ("numImagesPerExample") STORED"#,
            "\"imagesTotal\" is computed by Postgres",
        ),
        is_refused(
            TEXT,
            "ALTER TABLE photo_generation_queue
                 ALTER attempts DROP DEFAULT, ALTER attempts TYPE text",
            "\"attempts\" is text, and safelight needs integer. Convert it",
        ),
    );
}

#[tokio::test]
async fn words_that_we_do_not_know_are_counted_and_mended() {
    tokio::join!(
        is_refused(
            TEXT,
            "ALTER TABLE photo_generation_queue DROP CONSTRAINT photo_generation_queue_status_check;
             UPDATE photo_generation_queue SET status = 'cancelled' WHERE status = 'failed'",
            "64 rows have the status cancelled",
        ),
        is_refused(
            TEXT,
            "ALTER TABLE photo_generation_queue ADD type text DEFAULT 'portrait'",
            "20 unfinished rows have the type 'portrait'",
        ),
    );
}

#[tokio::test]
async fn tables_that_are_something_else_are_left_alone() {
    tokio::join!(
        is_refused(
            TEXT,
            "CREATE TABLE photo_generation_settings (id serial, theme text)",
            "photo_generation_settings exists, and it is not safelight's",
        ),
        is_refused(
            TEXT,
            "ALTER TABLE photo_generation_queue DROP CONSTRAINT photo_generation_queue_pkey",
            "\"id\" of photo_generation_queue is not unique",
        ),
    );
}

async fn refusal(stage: &Stage) -> String {
    match schema::plan(&stage.db().await).await {
        Err(SchemaError::Obstacles(obstacles)) => SchemaError::Obstacles(obstacles).to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_view_is_refused() {
    let stage = Stage::of(TEXT).await;

    stage
        .sql(
            "ALTER TABLE photo_generation_batches RENAME TO app_batches;
              CREATE VIEW photo_generation_batches AS SELECT * FROM app_batches",
        )
        .await;

    assert!(
        refusal(&stage)
            .await
            .contains("photo_generation_batches is not an ordinary table")
    );
}

#[tokio::test]
async fn what_our_indexes_and_checks_would_refuse_is_mended_before_any_change() {
    tokio::join!(
        is_refused(
            TEXT,
            r#"ALTER TABLE photo_generation_queue ADD "jobId" uuid;
               UPDATE photo_generation_queue SET "jobId" = gen_random_uuid() WHERE id > 10;
               UPDATE photo_generation_queue SET "jobId" = '00000000-0000-0000-0000-000000000001' WHERE id < 4"#,
            "2 rows have a \"jobId\" that an earlier row has too",
        ),
        is_refused(
            UUID,
            r#"ALTER TABLE photo_generation_queue ADD "idempotencyKey" varchar(20);
               UPDATE photo_generation_queue SET "idempotencyKey" = "exampleImageId" % 10 WHERE "batchId" = 1"#,
            "30 rows have a \"idempotencyKey\" that an earlier row of their tenant has too",
        ),
        is_refused(
            ENUM,
            r#"ALTER TABLE photo_generation_queue ADD "imagesTotal" integer, ADD "imagesCompleted" integer;
               UPDATE photo_generation_queue SET "imagesTotal" = -1, "imagesCompleted" = 4 WHERE id < 3;
               UPDATE photo_generation_queue SET attempts = -1 WHERE id = 7"#,
            "3 rows have counts that safelight takes for broken",
        ),
    );
}

#[tokio::test]
async fn a_converted_column_has_its_default_as_before() {
    let domain = "CREATE DOMAIN state AS text CHECK (VALUE <> 'canceled');
        DROP INDEX photo_queue_status_idx;
        ALTER TABLE photo_generation_queue DROP CONSTRAINT photo_generation_queue_status_check,
            ALTER status DROP DEFAULT, ALTER status TYPE state, ALTER status SET DEFAULT 'pending'";
    is_refused(
        TEXT,
        domain,
        "\"status\" is state, and safelight needs text.",
    )
    .await;

    let stage = Stage::of(TEXT).await;
    stage.sql(domain).await;
    let refusal = refusal(&stage).await;
    assert!(refusal.contains("SET DEFAULT 'pending'::text"), "{refusal}");
}

#[tokio::test]
async fn ids_that_are_no_numbers_keep_their_table_under_another_name() {
    is_refused(
        TEXT,
        r#"ALTER TABLE photo_generation_queue DROP "batchId";
           DROP TABLE photo_generation_batches;
           CREATE TABLE photo_generation_batches (id uuid PRIMARY KEY, status text)"#,
        "photo_generation_batches.\"id\" is uuid, and safelight needs bigint. Keep the table under another name",
    )
    .await;
}

/// Postgres refuses to widen them, with the message that it gives in the middle of a migration.
#[tokio::test]
async fn short_columns_that_something_uses_are_named_with_it() {
    let stage = Stage::of(TEXT).await;
    stage
        .sql(
            r#"CREATE VIEW stuck AS SELECT "lockedBy" FROM photo_generation_queue;
                CREATE POLICY mine ON photo_generation_queue USING ("lockedBy" IS NULL);
                ALTER TABLE photo_generation_queue
                    ADD failed boolean GENERATED ALWAYS AS ("errorMessage" IS NOT NULL) STORED"#,
        )
        .await;
    let before = schema_of(&stage).await;

    let refusal = refusal(&stage).await;

    for said in [
        r#""lockedBy" is character varying(64), too short"#,
        "used by policy mine on table photo_generation_queue, view stuck.",
        r#""errorMessage" is character varying(200), too short"#,
        r#"ALTER COLUMN "errorMessage" TYPE text;"#,
    ] {
        assert!(refusal.contains(said), "{said}\n{refusal}");
    }
    assert_eq!(schema_of(&stage).await, before);
}

#[tokio::test]
async fn a_queue_in_another_schema_is_not_overlooked() {
    is_refused(
        TEXT,
        "CREATE SCHEMA app; ALTER TABLE photo_generation_queue SET SCHEMA app",
        "A photo_generation_queue is in schema app, and none in schema public",
    )
    .await;
}

#[tokio::test]
async fn a_table_that_another_inherits_from_is_refused() {
    let stage = Stage::of(TEXT).await;
    stage
        .sql("CREATE TABLE archive () INHERITS (photo_generation_queue)")
        .await;

    let refusal = refusal(&stage).await;

    assert!(
        refusal.contains("photo_generation_queue is not an ordinary table"),
        "{refusal}"
    );
}

/// A role that owns nothing, may make nothing, and has no right to the app's enum.
#[tokio::test]
async fn rights_that_are_lacking_are_named_with_what_grants_them() {
    let stage = Stage::of(ENUM).await;
    let role = format!("migrates_{}", uuid::Uuid::new_v4().simple());
    stage
        .sql(&format!(
            "CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC"
        ))
        .await;
    let mut url = url::Url::parse(&stage.url).unwrap();
    url.set_username(&role).unwrap();
    let plan = async || {
        let db = safelight::db::Db::connect(url.as_str(), None, 1)
            .await
            .unwrap();
        schema::plan(&db).await.map_err(|error| error.to_string())
    };

    let nothing = plan().await.unwrap_err();
    stage
        .sql(&format!(
            "GRANT CREATE ON SCHEMA public TO {role};
             ALTER TABLE photo_generation_queue OWNER TO {role};
             ALTER TABLE photo_generation_batches OWNER TO {role}"
        ))
        .await;
    let no_words = plan().await.unwrap_err();
    stage
        .sql("ALTER TYPE photo_status ADD VALUE 'canceled'; ALTER TYPE batch_status ADD VALUE 'failed'")
        .await;
    let all = plan().await;
    stage
        .sql(&format!(
            "REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}"
        ))
        .await;

    assert!(
        nothing.contains(&format!("GRANT CREATE ON SCHEMA public TO \"{role}\";")),
        "{nothing}"
    );
    let member = format!("TO \"{role}\";");
    assert!(
        nothing.contains("photo_generation_queue belongs to the role"),
        "{nothing}"
    );
    assert_eq!(nothing.matches(&member).count(), 3, "{nothing}");
    assert!(
        no_words.contains("ALTER TYPE photo_status ADD VALUE 'canceled';"),
        "{no_words}"
    );
    assert!(
        no_words.contains("ALTER TYPE batch_status ADD VALUE 'failed';"),
        "{no_words}"
    );
    assert!(all.is_ok(), "{all:?}");
}
