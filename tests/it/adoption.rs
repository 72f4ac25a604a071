//! Taking over a table that an app made: everything stays that the app has, and everything works.

mod app;
mod changes;
mod chaos;
mod credits;
mod cutover;
mod load;
mod obstacles;
mod retention;
mod statements;
mod undo;

use safelight::db::schema::{self, Migrated};
use safelight::providers::simulator::SimulatorConfig;

use crate::harness::Stage;
use app::{APPS, App, ENUM, TEXT, TIMESTAMP, UUID};

/// What the app inserts, as its code does: with its own columns only.
const APPS_INSERT: &str = r#"
    INSERT INTO photo_generation_queue
        ("batchId", "userId", "modelId", "exampleImageId", "exampleImageUrl", "basePrompt", "aspectRatio",
         "numImagesPerExample", glasses)
    SELECT id, "userId", 1, 1, '', 'a person on a bicycle', '16:9', 2, 'no'
    FROM photo_generation_batches WHERE id = 12"#;

/// What it inserts once it asks for more.
const NEW_TYPES: &str = r#"
    INSERT INTO photo_generation_queue ("batchId", "userId", type, payload)
    SELECT id, "userId", type, payload::jsonb
    FROM photo_generation_batches, (VALUES
        ('image_generation', '{"prompts": ["a lake", "a hill"]}'),
        ('image_edit', '{"editPrompt": "make the sky red", "numImages": 3}'),
        ('image_generation', '{"prompt": "a sea", "numImages": 1e300}')) AS wish (type, payload)
    WHERE id = 12"#;

/// The app's table of photos, fed by the hook.
const APPS_HOOK: &str = r#"
    CREATE OR REPLACE FUNCTION photo_generation_on_image(image photo_generation_images)
    RETURNS void LANGUAGE sql AS $$
        INSERT INTO photos ("userId", "jobId", url)
        SELECT "userId", id, image."storageKey" FROM photo_generation_queue WHERE id = image."jobId"
    $$"#;

/// Everything that the app knows of jobs that have ended.
const ENDED: &str = r#"
    SELECT md5(string_agg(concat_ws('|', id, "batchId", "userId", "modelId", "exampleImageId",
               "basePrompt", "aspectRatio", "numImagesPerExample", glasses, status, attempts, "lockedBy",
               "lockedAt", "errorMessage", "createdAt", "completedAt"), E'\n' ORDER BY id))
    FROM photo_generation_queue WHERE "createdAt" < now() - interval '1 day'"#;

impl Stage {
    /// An app's database.
    async fn of(app: App) -> Self {
        Self::at(app.database().await, SimulatorConfig::instant()).await
    }

    async fn migrate(&self) -> Migrated {
        schema::migrate(&self.db().await, &|_| {}).await.unwrap()
    }
}

async fn is_adopted_and_worked_to_the_end(app: App) {
    let stage = Stage::of(app).await;
    let ended = stage.text(ENDED).await;
    let keys = "SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint
        WHERE conrelid = 'photo_generation_queue'::regclass AND contype IN ('f', 'p')";
    let keys_before = stage.text(keys).await;

    let migrated = stage.migrate().await;
    stage.sql(APPS_HOOK).await;
    let told =
        r#"ALTER TABLE photo_generation_queue ALTER "webhookUrl" SET DEFAULT 'https://a.example/'"#;
    stage.sql(told).await;
    let worker = stage.worker().await;
    stage.sql(APPS_INSERT).await;
    // The old trigger failed it.
    stage
        .sql(&APPS_INSERT.replace("'a person on a bicycle'", "repeat('a person ', 2000)"))
        .await;
    stage.until_all_ended().await;
    stage
        .until("SELECT bool_and(status::text = 'completed') FROM photo_generation_batches")
        .await;
    worker.stop().await;

    assert_eq!(migrated.plan.adopts.len(), 2, "{:?}", migrated.plan);
    assert_eq!(
        stage.text(ENDED).await,
        ended,
        "jobs that had ended are as they were"
    );
    assert_eq!(stage.text(keys).await, keys_before, "keys stay");
    let story = r#"
        SELECT string_agg(format('%s %s attempts %s', count, status, attempts), ', ' ORDER BY attempts)
        FROM (SELECT count(*), status, attempts FROM photo_generation_queue
              WHERE "createdAt" > now() - interval '1 day' GROUP BY 2, 3) AS jobs"#;
    assert_eq!(
        stage.text(story).await,
        // Four each: pending, rate_limited once, pending twice and held by the dead, nearly exhausted.
        "6 completed attempts 0, 4 completed attempts 1, 8 completed attempts 2, 4 completed attempts 4"
    );
    stage.assert_sound(24).await;
    let photos = r#"SELECT count(*) FROM photos JOIN photo_generation_images AS image
        ON image."jobId" = photos."jobId" AND image."storageKey" = photos.url"#;
    assert_eq!(stage.number(photos).await, 24);
    let nameless = r#"SELECT count(*) FROM photo_generation_queue WHERE "jobId" IS NULL"#;
    assert_eq!(stage.number(nameless).await, 0);
    let told = "SELECT string_agg(concat_ws(' ', event, body::jsonb ->> 'truncated',
            body::jsonb #>> '{data,images,1,state}'), ', ') FROM photo_generation_webhooks";
    let both = "job.completed stored, job.completed stored";
    assert_eq!(stage.text(told).await, both);
    let moments = r#"SELECT count(*) FROM photo_generation_queue
        WHERE "createdAt" > (now() AT TIME ZONE 'UTC')::timestamp - interval '1 day'
          AND ("completedAt" AT TIME ZONE 'UTC')::text IS NOT NULL
          AND abs(extract(epoch FROM "completedAt" - (now() AT TIME ZONE 'UTC')::timestamp)) < 600"#;
    if app.name == "timestamp" {
        assert_eq!(stage.number(moments).await, 22, "times are written in UTC");
    }
}

#[tokio::test]
async fn rows_of_new_types_are_worked_in_every_apps_table() {
    for app in APPS {
        let stage = Stage::of(app).await;
        stage.migrate().await;
        stage
            .sql("UPDATE photo_generation_queue SET status = 'canceled' WHERE status NOT IN ('completed', 'failed')")
            .await;

        stage.sql(NEW_TYPES).await;
        stage.drain().await;

        let story = r#"
            SELECT string_agg(concat_ws(' ', status, "imagesCompleted", "imagesTotal", "errorCode"), ', ' ORDER BY id)
            FROM photo_generation_queue WHERE type IS NOT NULL AND type <> 'photo_generation'"#;
        assert_eq!(
            stage.text(story).await,
            // Of nothing there is nothing to edit, and what no column holds is no number of images.
            "completed 2 2, failed 0 3 invalid_request, failed 0 invalid_request",
            "{}",
            app.name
        );
    }
}

#[tokio::test]
async fn a_table_with_integer_users_and_narrow_checks_is_worked_to_the_end() {
    is_adopted_and_worked_to_the_end(TEXT).await;
}

#[tokio::test]
async fn a_table_with_uuid_users_is_worked_to_the_end() {
    is_adopted_and_worked_to_the_end(UUID).await;
}

#[tokio::test]
async fn a_table_with_an_enum_status_is_worked_to_the_end() {
    is_adopted_and_worked_to_the_end(ENUM).await;
}

#[tokio::test]
async fn a_table_with_times_without_a_zone_is_worked_to_the_end() {
    is_adopted_and_worked_to_the_end(TIMESTAMP).await;
}
