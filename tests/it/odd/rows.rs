//! One odd row hides no other, in no command and no claim.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::harness::Stage;
use crate::ops::psql::psql;

/// Columns of an app's own table that are wider than ours.
const WIDE: &str = r#"ALTER TABLE photo_generation_queue
    ALTER "numImagesPerExample" TYPE bigint, ALTER attempts TYPE bigint, ALTER "maxAttempts" TYPE bigint,
    ALTER "imagesTotal" TYPE bigint, ALTER "imagesCompleted" TYPE bigint;
    ALTER TABLE photo_generation_queue DROP CONSTRAINT safelight_sane_counts;"#;

/// Eight rows; only the last is of the ordinary kind.
const ROWS: &str = r#"INSERT INTO photo_generation_queue
    ("basePrompt", "numImagesPerExample", attempts, "maxAttempts", "imagesTotal", "imagesCompleted",
     priority, "createdAt", "retryAt", "startedAt", "expiresAt", metadata, "imageUrls", status)
VALUES
    ('huge', 9223372036854775807, 0, 5, NULL, 0, 'normal', now(), NULL, NULL, NULL, NULL, NULL, 'pending'),
    ('tries', 1, 9223372036854775807, 9223372036854775807, NULL, 0, 'normal', now(), NULL, NULL, NULL, NULL, NULL, 'pending'),
    ('counters', 1, -3, -5, 9223372036854775807, -9223372036854775808, 'normal', now(), NULL, NULL, NULL, NULL, NULL, 'pending'),
    ('negative', -9223372036854775808, NULL, NULL, -1, NULL, 'normal', now(), NULL, NULL, NULL, NULL, NULL, 'pending'),
    ('dates', 1, 0, 5, NULL, 0, 'asap', 'infinity', 'infinity', '-infinity', 'infinity', NULL, NULL, 'pending'),
    ('far', 1, 0, 5, NULL, 0, NULL, '290000-01-01', '294000-01-01', '4000-01-01 BC', '294000-01-01', NULL, NULL, 'rate_limited'),
    ('json', 1, 0, 5, NULL, 0, 'normal', now(), NULL, NULL, NULL, '1e999', '{"a": 1e400}', 'completed'),
    ('ordinary', 1, 0, 5, NULL, 0, 'normal', now(), NULL, NULL, NULL, '{}', NULL, 'pending')"#;

#[tokio::test]
async fn every_command_shows_every_row() {
    for alter in ["", WIDE] {
        let stage = Stage::new().await;
        stage.sql(alter).await;
        let rows = if alter.is_empty() {
            // What the narrower columns hold.
            ROWS.replace("-9223372036854775808", "0")
                .replace("9223372036854775807", "2147483647")
                .replace("-3, -5", "3, -5")
                .replace("NULL, NULL, -1, NULL", "NULL, NULL, NULL, NULL")
        } else {
            ROWS.to_owned()
        };
        stage.sql(&rows).await;

        let list = stage.safelight(&["list", "--json"]).await;
        // Not as values: there are numbers that fit into none.
        let rows: Vec<&RawValue> = serde_json::from_str(&list.stdout).unwrap();
        assert_eq!(rows.len(), 8, "{list:?}");
        for arguments in [
            &["list"][..],
            &["list", "--since=1h"],
            &["list", "--status=pending"],
        ] {
            let answer = stage.safelight(arguments).await;
            assert!(
                answer.code == 0 && answer.stdout.contains("ordinary"),
                "{answer:?}"
            );
        }
        for job in 1..=8 {
            for arguments in [&["show"][..], &["show", "--json"]] {
                let job = job.to_string();
                let answer = stage.safelight(&[arguments, &[&job]].concat()).await;
                assert_eq!(answer.code, 0, "{answer:?}");
            }
        }
        let shown = stage.safelight(&["show", "5"]).await;
        assert!(
            shown.stdout.contains("asap (counts as normal)"),
            "{shown:?}"
        );
        // Watching ends when all have ended.
        stage
            .sql(
                "UPDATE photo_generation_queue SET status = 'canceled' WHERE status <> 'completed'",
            )
            .await;
        let ids: Vec<String> = (1..=8).map(|job| job.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        for json in [&[][..], &["--json"]] {
            let watched = stage
                .safelight(&[&["watch"][..], &ids, json].concat())
                .await;
            assert!(
                watched.code == 1 && watched.stdout.contains("completed"),
                "{watched:?}"
            );
            assert!(!watched.stderr.contains("database"), "{watched:?}");
        }
    }
}

#[tokio::test]
async fn watching_a_job_that_waits_for_ever_tells_the_others() {
    let stage = Stage::new().await;
    stage
        .sql(r#"INSERT INTO photo_generation_queue ("basePrompt", "retryAt", "createdAt", status, "completedAt")
                VALUES ('a lake', 'infinity', '-infinity', 'canceled', 'infinity'), ('a hill', 'infinity', 'infinity', 'canceled', '-infinity')"#)
        .await;

    let watched = stage.safelight(&["watch", "1", "2", "--json"]).await;

    let lines: Vec<Value> = watched
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{watched:?}");
}

/// A column that is only read may have any type.
#[tokio::test]
async fn a_prompt_in_a_column_of_json_is_shown_and_watched() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"ALTER TABLE photo_generation_queue ALTER "basePrompt" TYPE jsonb USING to_jsonb("basePrompt");
               INSERT INTO photo_generation_queue ("basePrompt", status) VALUES ('"a lake"', 'canceled')"#,
        )
        .await;

    for (arguments, told) in [
        (&["list"][..], "a lake"),
        (&["show", "1"], "a lake"),
        (&["watch", "1"], "job 1  canceled"),
    ] {
        let answer = stage.safelight(arguments).await;
        assert!(answer.stdout.contains(told), "{answer:?}");
    }
    psql(&stage, "job.sql", &["job=1"]).await;
}

#[tokio::test]
async fn wide_numbers_fail_their_own_job() {
    let stage = Stage::new().await;
    stage.sql(WIDE).await;
    stage.sql(ROWS).await;

    stage.drain().await;

    let ends = r#"SELECT string_agg(concat_ws(' ', "basePrompt", status, "errorCode"), ', ' ORDER BY id)
                  FROM photo_generation_queue"#;
    assert_eq!(
        stage.text(ends).await,
        "huge failed invalid_request, tries failed attempts_exhausted, counters completed, \
         negative failed invalid_request, dates pending, far rate_limited, json completed, ordinary completed"
    );
    let message = r#"SELECT "errorMessage" FROM photo_generation_queue WHERE id = 1"#;
    assert!(
        stage
            .text(message)
            .await
            .contains("is 9223372036854775807; a job makes 1 to 100")
    );
}
