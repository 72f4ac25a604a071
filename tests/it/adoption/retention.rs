//! Rows that an app's table had when it was adopted are not pruned unless they are asked for.

use super::{Stage, TEXT, TIMESTAMP};

const PRUNE: [&str; 5] = [
    "prune",
    "--completed-days=1",
    "--failed-days=1",
    "--yes",
    "--json",
];
const OLD: &str =
    "SELECT count(*) FROM photo_generation_queue WHERE \"createdAt\" < now() - interval '1 day'";
/// As the app inserts, which says when: long ago.
const NEW: &str = r#"
    INSERT INTO photo_generation_queue
        ("batchId", "userId", "modelId", "exampleImageId", "exampleImageUrl", "basePrompt", "aspectRatio",
         glasses, status, "createdAt", "completedAt")
    SELECT id, "userId", 1, 1, '', 'a person on a bicycle', '16:9', 'no', 'completed',
           now() - interval '3 days', now() - interval '3 days'
    FROM photo_generation_batches WHERE id = 1"#;

async fn removed(stage: &Stage, more: &[&str]) -> i64 {
    let answer = stage.safelight(&[&PRUNE[..], more].concat()).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    answer.json()["removedJobs"].as_i64().unwrap()
}

#[tokio::test]
async fn rows_from_before_the_adoption_stay_whatever_the_app_says_of_their_age() {
    for app in [TEXT, TIMESTAMP] {
        let stage = Stage::of(app).await;
        let before = stage.number(OLD).await;
        stage.migrate().await;
        stage.sql(NEW).await;

        assert_eq!(removed(&stage, &[]).await, 1, "{}", app.name);
        assert_eq!(stage.number(OLD).await, before);
        assert_eq!(removed(&stage, &["--adopted"]).await, before);
        // The batches are the app's own affair.
        let batches = "SELECT count(*) FROM photo_generation_batches";
        assert_eq!(stage.number(batches).await, 12);
    }
}

#[tokio::test]
async fn rows_that_came_while_the_table_was_given_back_count_as_the_apps() {
    let stage = Stage::of(TEXT).await;
    stage.migrate().await;
    stage.sql(NEW).await;
    let db = stage.db().await;
    safelight::db::schema::undo(&db, &|_| {}).await.unwrap();
    stage.sql(NEW).await;
    stage.migrate().await;
    // Once more does not count what came since.
    stage.sql(NEW).await;
    stage.migrate().await;

    assert_eq!(removed(&stage, &[]).await, 1);
}

#[tokio::test]
async fn where_an_older_version_adopted_all_that_is_there_counts_as_the_apps() {
    let stage = Stage::of(TEXT).await;
    stage.migrate().await;
    stage
        .sql("UPDATE photo_generation_adoption SET definition = '' WHERE kind = 'table'")
        .await;
    stage.sql(NEW).await;

    assert_eq!(removed(&stage, &[]).await, 0);
    stage.sql(NEW).await;
    assert_eq!(removed(&stage, &[]).await, 1);
}
