//! Rows that cannot be worked, all in one queue with good ones between them: each ends with a
//! sentence for the person who wrote it, nothing is paid for it, and nothing of us leaks.
//!
//! Which text and which file is refused is tabled beside the code (`images`, `domain::request`); this
//! is the way through a real worker process, with servers that misbehave.

mod rows;
mod wide;

use serde_json::{Map, Value, json};

use crate::harness::{OddHost, Process, Stage};

use rows::{Row, fine, misspelled, no_pictures, senseless, unavailable, unusable};

/// Attempts at a row whose input may be there later.
const TRIES: usize = 2;
/// What no sentence and no line of a log may hold.
const SECRETS: [&str; 22] = [
    // Of a user's own URLs nothing is repeated: they hold tokens.
    "hunter2",
    "t0ken",
    "meta-data",
    // Addresses, of ours and of others.
    "127.0.0.1",
    "169.254",
    "10.0.0.1",
    "2130706433",
    "::ffff",
    ".internal",
    "10.1.2.3",
    // Paths and keys.
    "/etc/",
    "/tmp/",
    "/srv/",
    "postgres://",
    "api-key",
    // Debug forms and other people's words.
    "Os {",
    "Err(",
    "Some(",
    "Error {",
    "reqwest",
    "hyper",
    "sqlx",
];

impl Stage {
    /// Inserts a row as supabase-js does: the keys of an object are the columns.
    async fn insert_row(&self, columns: &Map<String, Value>) -> i64 {
        let mut row = Map::from_iter([
            ("basePrompt".to_owned(), json!("a lake")),
            ("numImagesPerExample".to_owned(), json!(1)),
            ("maxAttempts".to_owned(), json!(TRIES)),
            ("userId".to_owned(), json!("7")),
        ]);
        row.extend(columns.clone());
        let names: Vec<String> = row.keys().map(|name| format!("\"{name}\"")).collect();
        let names = names.join(", ");
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "INSERT INTO photo_generation_queue ({names})
             SELECT {names} FROM jsonb_populate_record(NULL::photo_generation_queue, $1::jsonb)
             RETURNING id"
        )))
        .bind(Value::Object(row).to_string())
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// An input of a tenant who is not the one of these rows.
    async fn upload_of_another(&self, name: &str) {
        let folder = self.photos().join("uploads/user=3A8");
        tokio::fs::create_dir_all(&folder).await.unwrap();
        let mut png = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(8, 8)
            .write_to(&mut png, image::ImageFormat::Png)
            .unwrap();
        tokio::fs::write(folder.join(name), png.into_inner())
            .await
            .unwrap();
    }

    /// A worker that may fetch from these hosts, and gives up on a download after a second.
    fn careful_process(&self, hosts: &[&str]) -> Process {
        self.process(&[
            &format!("--image-fetch-allow={}", hosts.join(",")),
            "--image-fetch-timeout-seconds=3",
            "--poll-interval-ms=200",
            "--worker-concurrency=10",
        ])
    }
}

/// Bad rows and good ones in turn, as long as there are both.
fn mixed(bad: Vec<Row>, good: Vec<Row>) -> Vec<Row> {
    let share = bad.len().div_ceil(good.len());
    let mut bad = bad.into_iter();
    let mut rows = Vec::new();
    for row in good {
        rows.push(row);
        rows.extend(bad.by_ref().take(share));
    }
    rows
}

#[tokio::test]
async fn each_bad_row_ends_with_a_sentence_and_the_good_ones_beside_it_are_done() {
    let stage = Stage::new().await;
    let host = OddHost::start().await;
    // Bound and dropped: somebody else would have to take just this port in the next seconds.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = closed.local_addr().unwrap().to_string();
    stage
        .upload_of_another(&format!("{}.png", "0a".repeat(32)))
        .await;
    let bad = [
        senseless(),
        misspelled(),
        unusable(),
        no_pictures(&host),
        unavailable(&host, &closed),
    ];
    let mut rows = Vec::new();
    for row in mixed(bad.into_iter().flatten().collect(), fine(&host)) {
        rows.push((stage.insert_row(&row.columns).await, row));
    }

    let workers = [
        stage.careful_process(&[&host.address, &closed]),
        stage.careful_process(&[&host.address, &closed]),
    ];
    stage.until_all_ended().await;

    for (job, row) in &rows {
        check_end(&stage, *job, row).await;
    }
    let done = rows.iter().filter(|(_, row)| row.fails.is_none()).count();
    stage.assert_sound(i64::try_from(done).unwrap()).await;
    check_visits(&host);
    for worker in &workers {
        // Where the worker itself can be watched is no row's.
        for line in worker
            .lines()
            .into_iter()
            .filter(|line| !line.contains("listen"))
        {
            assert_tells_nothing(&line);
            // No row can forge one.
            assert!(line.starts_with("20"), "{line}");
        }
    }
}

async fn check_end(stage: &Stage, job: i64, row: &Row) {
    let wrote = excerpt(&row.columns);
    let text = |what: &str| {
        let sql = format!("SELECT {what} FROM photo_generation_queue AS job WHERE id = {job}");
        async move { stage.text(&sql).await }
    };
    let ended = text(r#"concat_ws(' ', status, "errorCode", attempts)"#).await;
    let Some((ends, says)) = &row.fails else {
        assert!(ended.starts_with("completed "), "{wrote}: {ended}");
        return;
    };
    assert_eq!(ended, format!("failed {ends}"), "{wrote}");

    let said = text(r#""errorMessage""#).await;
    assert!(said.contains(says.as_str()), "{wrote}: {said}");
    assert!(said.ends_with('.'), "no sentence: {said}");
    assert!(said.chars().count() < 600, "{wrote}: {said}");
    assert!(!said.contains(char::is_control), "{wrote}: {said:?}");
    assert_tells_nothing(&said);

    let calls = text(r#"(SELECT count(*) FROM photo_generation_calls WHERE "jobId" = job.id)"#);
    assert_eq!(calls.await, "0", "{wrote}");
    let images = text(
        r#"(SELECT coalesce(string_agg(DISTINCT concat(state, ' ', error), '|'), '')
            FROM photo_generation_images WHERE "jobId" = job.id)"#,
    )
    .await;
    assert!(
        images.is_empty() || images == format!("failed {said}"),
        "{wrote}: {images}"
    );
}

/// What no later try can mend is asked for once, the rest as often as it is tried, and where a
/// redirect leads nobody goes.
fn check_visits(host: &OddHost) {
    let asked = host.asked();
    for (path, times) in [
        ("/redirect.png?t0ken", 1),
        ("/drawing.png", 1),
        ("/giant.png", 1),
        ("/large.png", 1),
        ("/unannounced.png", 1),
        ("/half.png", 1),
        ("/gone.png?t0ken", 1),
        ("/drip.png", TRIES),
        ("/more.png", TRIES),
        ("/busy.png", TRIES),
        ("/headers.png", TRIES),
    ] {
        assert_eq!(asked.get(path), Some(&times), "{path}: {asked:?}");
    }
    assert_eq!(asked.get("/moved.png"), None);
}

#[track_caller]
fn assert_tells_nothing(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "tells {secret:?}: {text}");
    }
}

/// A row for the message of a test that failed.
fn excerpt(columns: &Map<String, Value>) -> String {
    Value::Object(columns.clone())
        .to_string()
        .chars()
        .take(200)
        .collect()
}
