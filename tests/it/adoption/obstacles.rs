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

#[tokio::test]
async fn a_view_and_a_table_of_somebody_else_are_refused() {
    let stage = Stage::of(TEXT).await;
    let refusal = async || match schema::plan(&stage.db().await).await {
        Err(SchemaError::Obstacles(obstacles)) => SchemaError::Obstacles(obstacles).to_string(),
        other => panic!("{other:?}"),
    };

    stage
        .sql(
            "ALTER TABLE photo_generation_batches RENAME TO app_batches;
              CREATE VIEW photo_generation_batches AS SELECT * FROM app_batches",
        )
        .await;

    assert!(
        refusal()
            .await
            .contains("photo_generation_batches is not an ordinary table")
    );
}
