//! `photo_generation_on_image`, which an app may replace to feed a table of its own.

use std::time::Duration;

use super::Stage;

/// An app's table and the hook that fills it.
const FEEDS_PHOTOS: &str = r#"
    CREATE TABLE IF NOT EXISTS photos (id bigint GENERATED ALWAYS AS IDENTITY, job bigint, url text,
        transaction xid8 DEFAULT pg_current_xact_id());
    CREATE OR REPLACE FUNCTION photo_generation_on_image(image photo_generation_images)
    RETURNS void LANGUAGE sql AS $$
        INSERT INTO photos (job, url) VALUES (image."jobId", image."storageKey") $$"#;

/// Instead of the wait between two tries.
const NOW: &str = r#"UPDATE photo_generation_images SET "hookTryAt" = now()"#;

/// What the hook failed at, as the image's row has it.
const ERRORS: &str = r#"SELECT string_agg("hookError", ', ') FROM photo_generation_images"#;

#[tokio::test]
async fn the_hook_runs_once_for_each_image_in_the_storing_transaction() {
    let stage = Stage::new().await;
    stage.sql(FEEDS_PHOTOS).await;

    let job = stage.job("a lake", 3).await;
    stage.drain().await;

    assert_eq!(stage.status(job).await, "completed");
    // The image's row was last written by the transaction that ran the hook.
    let same = r#"SELECT count(*) FROM photo_generation_images AS image
        JOIN photos ON photos.url = "storageKey"
        WHERE image.xmin::text::bigint = transaction::text::bigint % 4294967296"#;
    assert_eq!(stage.number(same).await, 3);
    assert_eq!(stage.number("SELECT count(*) FROM photos").await, 3);
    assert_eq!(stage.text(ERRORS).await, "");
}

#[tokio::test]
async fn a_hook_that_fails_never_loses_the_image_and_is_tried_again() {
    // At once, and where only the commit would show it.
    let breaks = [
        r"CREATE OR REPLACE FUNCTION photo_generation_on_image(image photo_generation_images)
          RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$",
        r#"CREATE TABLE albums (id bigint PRIMARY KEY);
           CREATE TABLE prints (album bigint REFERENCES albums DEFERRABLE INITIALLY DEFERRED);
           CREATE OR REPLACE FUNCTION photo_generation_on_image(image photo_generation_images)
           RETURNS void LANGUAGE sql AS $$ INSERT INTO prints VALUES (image."jobId") $$"#,
    ];
    for broken in breaks {
        let stage = Stage::new().await;
        stage.sql(broken).await;
        let worker = stage.worker().await;
        let job = stage.job("a lake", 2).await;
        stage.until_all_ended().await;
        assert_eq!(stage.status(job).await, "completed");
        assert_eq!(stage.simulator.log().len(), 2);
        stage.assert_photos().await;
        let tries = r#"SELECT bool_and("hookTries" > 1 AND "hookError" IS NOT NULL) FROM photo_generation_images"#;
        stage.sql(NOW).await;
        stage.until(tries).await;

        stage.sql(FEEDS_PHOTOS).await;
        stage.sql(NOW).await;
        stage
            .until_within(
                r#"SELECT count(*) = 2 AND (SELECT bool_and("hookError" IS NULL) FROM photo_generation_images)
                   FROM photos"#,
                Duration::from_secs(20),
            )
            .await;

        assert_eq!(
            stage.number("SELECT count(DISTINCT url) FROM photos").await,
            2
        );
        worker.stop().await;
    }
}
