//! Columns of an adopted table may be wider than ours, and hold what ours refuse.

use crate::harness::Stage;

/// How many jobs of each end and code.
async fn ends(stage: &Stage) -> String {
    stage
        .text(
            r#"SELECT string_agg(concat_ws(' ', id, status, "errorCode"), ', ' ORDER BY id)
               FROM photo_generation_queue"#,
        )
        .await
}

#[tokio::test]
async fn a_number_beyond_ours_fails_its_own_row_and_no_other() {
    for wider in ["bigint", "numeric"] {
        let stage = Stage::new().await;
        stage
            .sql(&format!(
                r#"ALTER TABLE photo_generation_queue ALTER "numImagesPerExample" TYPE {wider};
                   INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample")
                   VALUES ('a lake', 9223372036854775807), ('a lake', -9223372036854775808), ('a lake', 1)"#
            ))
            .await;

        stage.drain().await;

        assert_eq!(
            ends(&stage).await,
            "1 failed invalid_request, 2 failed invalid_request, 3 completed",
            "{wider}"
        );
    }
}

/// `jsonb` and text refuse NUL, but `json` keeps it as it was written.
#[tokio::test]
async fn nul_characters_fail_their_own_row_and_no_other() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"ALTER TABLE photo_generation_queue ALTER "trainingImageUrls" TYPE json,
                   ALTER payload TYPE json;
               INSERT INTO photo_generation_queue
                   ("basePrompt", "numImagesPerExample", "trainingImageUrls", payload)
               VALUES ('a lake', 1, '["https://a.example/\u0000.png"]', NULL),
                      ('a lake', 1, '["upload:\u0000"]', NULL),
                      ('a lake', 1, '{"\u0000": 1}', NULL),
                      ('a lake', 1, '[]', '{"imageSize": "\u0000"}'),
                      ('a lake', 1, '["\ud800"]', NULL),
                      ('a lake', 1, '[]', '{"\u0000": "\u0000"}')"#,
        )
        .await;

    stage.drain().await;

    assert_eq!(
        ends(&stage).await,
        "1 failed invalid_input_image, 2 failed invalid_request, 3 failed invalid_request, \
         4 failed invalid_request, 5 failed invalid_request, 6 completed"
    );
}
