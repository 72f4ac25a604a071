//! Every class of answer once: the job, its images, its calls, the limits.

use super::{Stage, soon};

/// How many images, what the provider does, and how the first attempt leaves job, images and calls.
const ANSWERS: [(i32, &str, &str, &str, &str); 20] = [
    (1, "", "completed 0", "stored", "stored:true"),
    (1, "[sim:thoughts]", "completed 0", "stored", "stored:true"),
    (
        1,
        "[sim:only-thought]",
        "completed 0",
        "stored",
        "stored:true",
    ),
    (1, "[sim:wrongmime]", "completed 0", "stored", "stored:true"),
    (
        1,
        "[sim:safety]",
        "failed 0 moderation_output",
        "refused",
        "refused:true",
    ),
    (
        1,
        "[sim:blocked]",
        "failed 0 moderation_input",
        "refused",
        "refused:true",
    ),
    (
        1,
        "[sim:400]",
        "failed 0 provider_rejected",
        "failed",
        "error:false",
    ),
    (
        1,
        "[sim:500]",
        "pending 1 provider_error",
        "planned",
        "error:?",
    ),
    (
        1,
        "[sim:500-accepted]",
        "pending 1 provider_error",
        "planned",
        "error:?",
    ),
    (
        1,
        "[sim:array-error]",
        "pending 1 provider_error",
        "planned",
        "error:?",
    ),
    (
        1,
        "[sim:503]",
        "pending 1 provider_error",
        "planned",
        "error:?",
    ),
    (
        1,
        "[sim:504]",
        "pending 1 provider_error",
        "planned",
        "error:?",
    ),
    (
        1,
        "[sim:text]",
        "pending 1 no_image",
        "planned",
        "empty:true",
    ),
    (
        1,
        "[sim:empty]",
        "pending 1 no_image",
        "planned",
        "empty:true",
    ),
    (
        1,
        "[sim:noimage]",
        "pending 1 no_image",
        "planned",
        "empty:true",
    ),
    (
        1,
        "[sim:cut-picture]",
        "pending 1 unreadable_picture",
        "planned",
        "empty:true",
    ),
    (
        1,
        "[sim:hang]",
        "pending 1 call_timeout",
        "planned",
        "ambiguous:?",
    ),
    (
        1,
        "[sim:reset]",
        "pending 1 connection_lost",
        "planned",
        "ambiguous:?",
    ),
    (
        1,
        "[sim:truncated]",
        "pending 1 connection_lost",
        "planned",
        "ambiguous:?",
    ),
    // However many images erred, the attempt counts once.
    (
        3,
        "[sim:500]",
        "pending 1 provider_error",
        "planned planned planned",
        "error:? error:? error:?",
    ),
];

#[tokio::test]
async fn every_answer_is_what_the_contract_says() {
    let stage = Stage::new().await;
    let worker = stage.worker_with(soon).await;
    let mut jobs = Vec::new();
    for (images, fault, ..) in ANSWERS {
        // Prompts of their own, because the simulator counts the calls of each.
        let prompt = format!("lake number {} {fault}", jobs.len());
        jobs.push(stage.job(&prompt, images).await);
    }
    let once = r#"SELECT bool_and(status <> 'processing' AND "processedAt" IS NOT NULL)
                  FROM photo_generation_queue"#;
    stage.until(once).await;

    for ((_, fault, job, images, calls), id) in ANSWERS.into_iter().zip(jobs) {
        assert_eq!(stage.job_in_short(id).await, job, "{fault}");
        assert_eq!(stage.images_in_short(id).await, images, "{fault}");
        assert_eq!(stage.calls_in_short(id).await, calls, "{fault}");
    }
    // Zero stored images is never completed, and every error has a sentence for people.
    let without = r#"SELECT count(*) FROM photo_generation_queue
        WHERE (status = 'completed') <> ("imagesCompleted" > 0)
           OR (status = 'completed') <> ("errorMessage" IS NULL)
           OR (status = 'pending') <> ("retryAt" IS NOT NULL)"#;
    assert_eq!(stage.number(without).await, 0, "{}", stage.dump().await);
    assert_eq!(
        stage
            .text(r#"SELECT "mimeType" FROM photo_generation_images WHERE "jobId" = 4"#)
            .await,
        "image/jpeg"
    );
    // None of these is the account's fault.
    assert_eq!(
        stage
            .number(r#"SELECT count(*) FROM photo_generation_limits
                WHERE reason IS NOT NULL OR "cooldownUntil" IS NOT NULL OR "blockedUntil" IS NOT NULL"#)
            .await,
        0
    );
    stage.assert_photos().await;
    stage.assert_equation().await;
    worker.stop().await;
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
