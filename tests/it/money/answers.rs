//! Answers over several attempts and several images. Every answer once: `tests/it/answers.rs`.

use super::{Stage, soon};

#[tokio::test]
async fn however_many_images_erred_the_attempt_counts_once() {
    let stage = Stage::new().await;

    let job = stage.job("a lake [sim:500]", 3).await;
    stage.drain().await;

    assert_eq!(stage.job_in_short(job).await, "pending 1 provider_error");
    assert_eq!(stage.images_in_short(job).await, "planned planned planned");
    assert_eq!(stage.calls_in_short(job).await, "error:? error:? error:?");
    stage.assert_equation().await;
}

#[tokio::test]
async fn retries_wait_twice_as_long_each_time_and_end_at_max_attempts() {
    let stage = Stage::new().await;
    let job = stage.job("a lake [sim:500]", 2).await;
    stage
        .sql(r#"UPDATE photo_generation_queue SET "maxAttempts" = 3"#)
        .await;
    let worker = stage.worker_with(soon).await;

    for (attempts, wait) in [(1, 8.0), (2, 16.0)] {
        stage.until_attempts(job, attempts).await;
        let seconds =
            r#"SELECT extract(epoch FROM "retryAt" - "processedAt") FROM photo_generation_queue"#;
        let seconds: f64 = stage.text(seconds).await.parse().unwrap();
        // Up to a tenth of jitter.
        assert!((wait - 0.5..=wait * 1.1).contains(&seconds), "{seconds}");
        stage.go_on(job).await;
    }
    stage.until_all_ended().await;

    assert_eq!(stage.job_in_short(job).await, "failed 3 provider_error");
    assert_eq!(stage.images_in_short(job).await, "failed failed");
    assert_eq!(stage.simulator.log().len(), 6);
    stage.assert_equation().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_stored_image_is_kept_through_retries_and_completes_the_job_in_the_end() {
    let stage = Stage::new().await;
    let given_up = stage.job("a lake [sim:500@2-]", 2).await;
    let mended = stage.job("a hill [sim:500@2]", 3).await;
    stage
        .sql(&format!(
            r#"UPDATE photo_generation_queue SET "maxAttempts" = 2 WHERE id = {given_up}"#
        ))
        .await;
    let worker = stage.worker_with(soon).await;

    for job in [given_up, mended] {
        stage.until_attempts(job, 1).await;
        stage.go_on(job).await;
    }
    stage.until_all_ended().await;

    assert_eq!(stage.job_in_short(given_up).await, "completed 2");
    assert_eq!(
        stage.calls_in_short(given_up).await,
        "error:? error:? stored:true"
    );
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_images WHERE state = 'failed'")
            .await,
        1
    );
    assert_eq!(stage.images_in_short(mended).await, "stored stored stored");
    assert_eq!(
        stage.calls_in_short(mended).await,
        "error:? stored:true stored:true stored:true"
    );
    stage.assert_photos().await;
    stage.assert_equation().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_partial_result_is_completed_with_each_missing_image_visible() {
    let stage = Stage::new().await;

    let job = stage.job("a lake [sim:safety@2]", 4).await;
    stage.drain().await;

    assert_eq!(stage.job_in_short(job).await, "completed 0");
    let refused = r#"SELECT count(*) FROM photo_generation_images
        WHERE state = 'refused' AND error IS NOT NULL AND "errorCode" = 'moderation_output'"#;
    assert_eq!(stage.number(refused).await, 1);
    let progress = r#"SELECT concat_ws(' ', "imagesCompleted", "imagesTotal", jsonb_array_length("imageUrls")) FROM photo_generation_queue"#;
    assert_eq!(stage.text(progress).await, "3 4 3");
    stage.assert_photos().await;
    stage.assert_equation().await;
}

#[tokio::test]
async fn an_ambiguous_call_is_repeated_exactly_once_per_image() {
    let stage = Stage::new().await;
    let worker = stage.worker_with(soon).await;
    let mut jobs = Vec::new();
    for fault in ["hang", "reset", "truncated"] {
        jobs.push(stage.job(&format!("a lake [sim:{fault}]"), 1).await);
    }
    let saved = stage.job("a hill [sim:reset@1]", 1).await;
    // Two images, each with an allowance of its own, beside one that is bought at once.
    let mixed = stage.job("a forest [sim:reset@2-]", 3).await;

    for &job in jobs.iter().chain([&saved, &mixed]) {
        stage.until_attempts(job, 1).await;
        stage.go_on(job).await;
    }
    stage.until_all_ended().await;

    for job in jobs {
        let ended = stage.job_in_short(job).await;
        assert!(ended.starts_with("failed 1 "), "{ended}");
        assert_eq!(stage.images_in_short(job).await, "ambiguous");
        assert_eq!(stage.calls_in_short(job).await, "ambiguous:? ambiguous:?");
    }
    assert_eq!(stage.job_in_short(saved).await, "completed 1");
    assert_eq!(stage.calls_in_short(saved).await, "ambiguous:? stored:true");
    assert_eq!(stage.job_in_short(mixed).await, "completed 1");
    assert_eq!(
        stage.calls_in_short(mixed).await,
        "ambiguous:? ambiguous:? ambiguous:? ambiguous:? stored:true"
    );
    stage.assert_photos().await;
    stage.assert_equation().await;
    worker.stop().await;
}

#[tokio::test]
async fn at_max_attempts_an_ambiguous_call_is_not_repeated() {
    let stage = Stage::new().await;
    let worker = stage.worker_with(soon).await;
    // Before the row, which a worker may claim at once.
    stage
        .sql(r#"ALTER TABLE photo_generation_queue ALTER "maxAttempts" SET DEFAULT 1"#)
        .await;
    let job = stage.job("a lake [sim:reset]", 1).await;

    stage.until_all_ended().await;

    assert_eq!(stage.job_in_short(job).await, "failed 1 connection_lost");
    assert_eq!(stage.calls_in_short(job).await, "ambiguous:?");
    stage.assert_equation().await;
    worker.stop().await;
}
