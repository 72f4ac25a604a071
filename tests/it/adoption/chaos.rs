//! Three minutes of everything at once, on an adopted table: workers killed, a provider that errs,
//! rows that make no sense, operators' hands, and an old worker's locks.

use std::time::Duration;

use safelight::providers::simulator::{Pictures, SimulatorConfig};
use tokio::time::{Instant, sleep};

use super::{APPS_HOOK, Stage, TEXT};

/// How long workers are killed.
const KILLING: Duration = Duration::from_mins(3);
const WORKERS: usize = 4;
/// A job may lose its worker again and again, and each loss takes 30 s to notice.
const ALL_ENDED: Duration = Duration::from_mins(5);

/// What an app inserts: columns and values beside batch, user and model; each with its place in a
/// batch of its own round.
const ROWS: [(&str, &str); 14] = [
    ("", ""),
    (r#", "basePrompt""#, ", 'a hill [sim:500@1]'"),
    (r#", "basePrompt""#, ", 'a hill [sim:reset@1]'"),
    (r#", "basePrompt""#, ", 'a hill [sim:safety@1]'"),
    (r#", "basePrompt""#, ", 'a hill [sim:429@1 wait=3s]'"),
    (r#", "basePrompt""#, ", 'a hill [sim:truncated@1]'"),
    (r#", "basePrompt""#, ", 'a hill [sim:500-accepted@1]'"),
    // Of these nothing can be made.
    (r#", "numImagesPerExample""#, ", 100000"),
    (r#", "numImagesPerExample""#, ", 0"),
    (r#", "aspectRatio""#, ", '7:5'"),
    (", type", ", 'portrait'"),
    (
        r#", "trainingImageUrls""#,
        r#", '{"url": "https://example.com/me.png"}'"#,
    ),
    (
        r#", "exampleImageUrl""#,
        ", 'http://169.254.169.254/latest/meta-data'",
    ),
    // Locked by a worker of the old kind that is gone.
    (
        r#", status, "lockedBy", "lockedAt""#,
        ", 'processing', 'edge-worker-1', now() - interval '1 hour'",
    ),
];
/// Of so many rows of a round nothing can be made.
const BAD: i64 = 6;

/// What a row has when its kind says nothing else.
const USUAL: [(&str, &str); 3] = [
    ("basePrompt", "'a hill NUMBER'"),
    ("numImagesPerExample", "2"),
    ("exampleImageUrl", "''"),
];

/// A batch with one row of each kind.
async fn round(stage: &Stage, number: usize) {
    let batch = 1000 + number;
    let mut sql = vec![format!(
        r#"INSERT INTO photo_generation_batches (id, "userId") OVERRIDING SYSTEM VALUE
           SELECT {batch}, id FROM users LIMIT 1;"#
    )];
    for (index, (columns, values)) in ROWS.into_iter().enumerate() {
        let usual = USUAL
            .into_iter()
            .filter(|(column, _)| !columns.contains(column));
        let (more_columns, more_values): (Vec<_>, Vec<_>) = usual
            .map(|(column, value)| {
                let value = value.replace("NUMBER", &format!("{number} {index}"));
                (format!(", \"{column}\""), format!(", {value}"))
            })
            .unzip();
        sql.push(format!(
            r#"INSERT INTO photo_generation_queue
                   ("batchId", "userId", "modelId", "exampleImageId", glasses{columns}{})
               SELECT {batch}, id, 1, 1, 'no'{values}{} FROM users LIMIT 1;"#,
            more_columns.concat(),
            more_values.concat()
        ));
    }
    stage.sql(&sql.concat()).await;
}

/// What operators do, one after the other.
const HANDS: [&str; 4] = [
    "UPDATE photo_generation_queue SET status = 'canceled' WHERE id =
         (SELECT max(id) FROM photo_generation_queue WHERE status IN ('pending', 'rate_limited'))",
    "UPDATE photo_generation_queue SET status = 'pending' WHERE id =
         (SELECT max(id) FROM photo_generation_queue WHERE status = 'processing' AND run IS NOT NULL)",
    "UPDATE photo_generation_queue SET status = 'pending' WHERE id =
         (SELECT max(id) FROM photo_generation_queue WHERE status = 'completed' AND \"imagesTotal\" = 2)",
    "DELETE FROM photo_generation_queue WHERE id =
         (SELECT max(id) FROM photo_generation_queue WHERE status = 'processing' AND run IS NOT NULL)",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_minutes_of_everything_at_once_leave_nothing_open_and_nothing_paid_twice() {
    let stage = Stage::at(
        TEXT.database().await,
        SimulatorConfig {
            latency: Duration::from_millis(200)..=Duration::from_millis(2500),
            pictures: Pictures::Small,
            ..SimulatorConfig::default()
        },
    )
    .await;
    stage.migrate().await;
    stage.sql(APPS_HOOK).await;
    // Its one user would be at its cap with the jobs of the dead.
    stage.without_cap().await;
    let mut fleet: Vec<_> = (0..WORKERS).map(|_| stage.process(&[])).collect();

    let begun = Instant::now();
    let (mut rounds, mut kills) = (0, 0);
    while begun.elapsed() < KILLING {
        round(&stage, rounds).await;
        stage.sql(HANDS[rounds % HANDS.len()]).await;
        rounds += 1;
        sleep(Duration::from_millis(fastrand::u64(1500..4500))).await;
        fleet
            .swap_remove(fastrand::usize(..fleet.len()))
            .kill_9()
            .await;
        kills += 1;
        fleet.push(stage.process(&[]));
    }
    stage
        .until_within(
            "SELECT NOT EXISTS (SELECT FROM photo_generation_queue
                    WHERE status IN ('pending', 'processing', 'rate_limited'))
                AND NOT EXISTS (SELECT FROM photo_generation_calls WHERE state = 'calling')
                AND NOT EXISTS (SELECT FROM photo_generation_batch_checks)",
            ALL_ENDED,
        )
        .await;

    let lost = stage
        .number("SELECT count(*) FROM photo_generation_calls WHERE \"errorCode\" = 'worker_lost'")
        .await;
    assert!(kills > 30 && lost > 0, "{kills} kills lost {lost} calls");
    println!(
        "{rounds} batches, {kills} kills, {} calls, {lost} of them lost",
        stage
            .number("SELECT count(*) FROM photo_generation_calls")
            .await
    );
    assert_bad_rows(&stage, i64::try_from(rounds).unwrap()).await;
    assert_batches(&stage).await;
    assert_results(&stage).await;
    stage.assert_photos().await;
    stage.assert_equation().await;
}

/// Each that is still there (some were deleted by hand) ended so that a person understands, unless
/// it was canceled first.
async fn assert_bad_rows(stage: &Stage, rounds: i64) {
    const BAD_ROW: &str = r#""batchId" >= 1000
        AND ("numImagesPerExample" NOT BETWEEN 1 AND 100 OR "aspectRatio" = '7:5' OR type = 'portrait'
             OR jsonb_typeof("trainingImageUrls") = 'object' OR "exampleImageUrl" LIKE 'http://169%')"#;
    let all = format!("SELECT count(*) FROM photo_generation_queue WHERE {BAD_ROW}");
    let not_as_wanted = format!(
        r#"SELECT string_agg(concat_ws(' ', id, status, "errorCode", "errorMessage"), E'\n')
           FROM photo_generation_queue
           WHERE {BAD_ROW} AND status <> 'canceled'
             AND (status <> 'failed' OR length("errorMessage") < 20 OR "errorMessage" LIKE '%169.254%'
                  OR "errorCode" NOT IN ('invalid_request', 'invalid_input_image'))"#
    );

    assert_eq!(stage.text(&not_as_wanted).await, "");
    assert!(stage.number(&all).await >= (BAD - 1) * rounds);
}

/// Each batch says what its jobs say.
async fn assert_batches(stage: &Stage) {
    let wrong = stage
        .text(
            r#"SELECT string_agg(concat_ws(' ', batch.id, batch.status), ', ')
               FROM photo_generation_batches AS batch
               WHERE id >= 1000 AND status <> CASE WHEN EXISTS (
                   SELECT FROM photo_generation_queue WHERE "batchId" = batch.id AND "imagesCompleted" > 0)
                   THEN 'completed' ELSE 'failed' END"#,
        )
        .await;
    assert_eq!(wrong, "");
}

/// Rows, images and the app's photos tell the same.
async fn assert_results(stage: &Stage) {
    let wrong = stage
        .text(
            r#"SELECT string_agg(concat_ws(' ', job.id, job.status, job."imagesCompleted", stored.images), ', ')
               FROM photo_generation_queue AS job
               CROSS JOIN LATERAL (SELECT count(*) AS images FROM photo_generation_images
                                   WHERE "jobId" = job.id AND state = 'stored') AS stored
               WHERE "batchId" >= 1000
                 AND ("imagesCompleted" <> stored.images
                      OR (stored.images > 0 AND status = 'failed')
                      OR (stored.images = 0 AND status = 'completed')
                      OR (SELECT count(*) FROM photos WHERE "jobId" = job.id) <> stored.images)"#,
        )
        .await;
    assert_eq!(wrong, "", "{}", stage.dump().await);
    let unfinished = stage
        .number(
            r#"SELECT count(*) FROM photo_generation_images AS image
               JOIN photo_generation_queue AS job ON job.id = image."jobId"
               WHERE image.state = 'calling' OR (image.state = 'planned' AND job.status <> 'canceled')"#,
        )
        .await;
    assert_eq!(unfinished, 0);
}
