//! A batch ends with its last job, whatever that job's outcome and whoever ends it.

use std::time::Duration;

use safelight::db::lease::{self, Counted};
use safelight::domain::failure::Failure;
use safelight::worker::Settings;

use crate::harness::Stage;

fn soon(settings: &mut Settings) {
    settings.poll_every = Duration::from_millis(200);
    settings.concurrency = 10;
}

impl Stage {
    /// A batch of jobs of one image each.
    async fn batch(&self, prompts: &[&str]) -> i64 {
        sqlx::query_scalar(
            r#"WITH batch AS (INSERT INTO photo_generation_batches DEFAULT VALUES RETURNING id)
               INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "userId", "batchId")
               SELECT prompt, 1, '7', batch.id FROM batch, unnest($1::text[]) AS prompt
               RETURNING "batchId""#,
        )
        .bind(prompts)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    async fn batch_status(&self, batch: i64) -> String {
        self.text(&format!(
            r#"SELECT concat_ws(' ', status, "completedAt" IS NOT NULL) FROM photo_generation_batches WHERE id = {batch}"#
        ))
        .await
    }

    async fn until_batch_is(&self, batch: i64, status: &str) {
        self.until_within(
            &format!("SELECT status = '{status}' FROM photo_generation_batches WHERE id = {batch}"),
            Duration::from_secs(20),
        )
        .await;
    }
}

/// Both have locked nothing but wait for the batch; whichever comes second must see that the other
/// has ended.
#[tokio::test]
async fn two_last_jobs_end_at_once_and_the_batch_ends() {
    let stage = Stage::new().await;
    let batch = stage.batch(&["a lake", "a hill"]).await;
    let holder = stage.holder("a worker").await;
    let (first, _) = holder.claim().await;
    let (second, _) = holder.claim().await;
    let failure = Failure::never("test", "It went wrong.");
    let end = |lease| lease::finish(&holder.db, lease, Counted::No, Some(&failure));

    let mut app = stage.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM photo_generation_batches WHERE id = $1 FOR UPDATE")
        .bind(batch)
        .execute(&mut *app)
        .await
        .unwrap();
    let go_on = async {
        stage.until_waiting(2).await;
        app.commit().await.unwrap();
    };
    let (one, other, ()) = tokio::join!(end(&first), end(&second), go_on);

    one.unwrap();
    other.unwrap();
    assert_eq!(stage.batch_status(batch).await, "failed t");
}

#[tokio::test]
async fn many_batches_end_in_the_transaction_that_ends_their_last_job() {
    let stage = Stage::new().await;
    // A sweep would hide it.
    let no_sweep = |settings: &mut Settings| {
        soon(settings);
        settings.rhythm.sweep_every = Duration::from_mins(10);
    };
    let workers = [
        stage.worker_with(no_sweep).await,
        stage.worker_with(no_sweep).await,
    ];
    for number in 0..10 {
        let prompt = format!("a lake, number {number}");
        stage.batch(&[&prompt, &format!("{prompt}, again")]).await;
    }

    stage.until_all_ended().await;

    let ended = r#"SELECT count(*) FROM photo_generation_batches
        WHERE status = 'completed' AND "completedAt" IS NOT NULL"#;
    assert_eq!(stage.number(ended).await, 10);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_batch_is_completed_if_any_image_is_stored_and_else_failed() {
    let stage = Stage::new().await;
    let both = stage.batch(&["a lake", "a hill [sim:400]"]).await;
    let none = stage
        .batch(&["a sea [sim:400]", "a bay [sim:safety]"])
        .await;

    stage.drain().await;

    assert_eq!(stage.batch_status(both).await, "completed t");
    assert_eq!(stage.batch_status(none).await, "failed t");
}

#[tokio::test]
async fn a_last_job_ended_by_other_hands_closes_the_batch_in_the_next_sweep() {
    let stage = Stage::new().await;
    let done = stage.batch(&["a lake"]).await;
    let canceled = stage.batch(&["a hill [sim:hang]", "a bay"]).await;
    let cascaded = stage.batch(&["a sea [sim:hang]"]).await;
    stage
        .sql(&format!(
            r#"CREATE TABLE app_users (id text PRIMARY KEY);
               INSERT INTO app_users VALUES ('7'), ('8');
               ALTER TABLE photo_generation_queue ADD FOREIGN KEY ("userId")
                   REFERENCES app_users ON DELETE CASCADE;
               UPDATE photo_generation_queue SET "userId" = '8' WHERE "batchId" = {cascaded}"#
        ))
        .await;
    let worker = stage.worker_with(soon).await;
    stage.until_called(|log| log.len() == 4).await;
    stage.until_batch_is(done, "completed").await;
    stage
        .until("SELECT count(*) = 2 FROM photo_generation_queue WHERE status = 'completed'")
        .await;
    assert_eq!(stage.batch_status(canceled).await, "generating f");
    assert_eq!(stage.batch_status(cascaded).await, "generating f");

    stage
        .sql(&format!(
            r#"UPDATE photo_generation_queue SET status = 'canceled'
               WHERE "batchId" = {canceled} AND status = 'processing';
               DELETE FROM app_users WHERE id = '8'"#
        ))
        .await;

    stage.until_batch_is(canceled, "completed").await;
    stage.until_batch_is(cascaded, "failed").await;
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_batch_checks")
            .await,
        0
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_is_claimed_again_reopens_its_batch() {
    let stage = Stage::new().await;
    let batch = stage.batch(&["a lake [sim:400@1] [sim:slow=1s@2]"]).await;
    stage.drain().await;
    assert_eq!(stage.batch_status(batch).await, "failed t");

    stage
        .sql("UPDATE photo_generation_queue SET status = 'pending'")
        .await;
    let worker = stage.worker_with(soon).await;
    stage.until_called(|log| log.len() == 2).await;

    assert_eq!(stage.batch_status(batch).await, "generating f");
    stage.until_batch_is(batch, "completed").await;
    assert_eq!(stage.batch_status(batch).await, "completed t");
    worker.stop().await;
}

/// The foreign key of the app's row holds the batch FOR KEY SHARE until the app commits.
#[tokio::test]
async fn an_open_insert_of_an_app_stalls_no_finish() {
    let stage = Stage::new().await;
    let batch = stage.batch(&["a lake"]).await;
    let mut app = stage.pool.begin().await.unwrap();
    sqlx::query(
        r#"INSERT INTO photo_generation_queue ("basePrompt", "batchId") VALUES ('a hill', $1)"#,
    )
    .bind(batch)
    .execute(&mut *app)
    .await
    .unwrap();
    let worker = stage.worker_with(soon).await;

    stage.until_batch_is(batch, "completed").await;
    app.commit().await.unwrap();
    stage.until_batch_is(batch, "generating").await;
    stage.until_batch_is(batch, "completed").await;

    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_queue WHERE status = 'completed'")
            .await,
        2
    );
    worker.stop().await;
}
