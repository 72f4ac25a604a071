//! Zips of jobs and batches.

use std::fs::File;
use std::io::{Cursor, Read as _};

use reqwest::{Method, Response};
use safelight::api::{Moment, Scope};
use serde_json::json;
use uuid::Uuid;
use zip::ZipArchive;

use crate::harness::{Served, Stage};

const KEY: &str = "key-of-the-service";
const KEYS: &str = "--api-keys=7:key-of-team-seven,8:key-of-team-eight,*:key-of-the-service";

async fn download(server: &Served, path: &str) -> Response {
    let request = server.request(Method::GET, path).bearer_auth(KEY);
    request.send().await.unwrap()
}

async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: serde_json::Value = response.json().await.unwrap();
    (status, body["code"].as_str().unwrap().to_owned())
}

/// The names and bytes of an archive.
fn contents(zip: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(zip)).unwrap();
    let length = archive.len();
    let read = |index| {
        let mut file = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        (file.name().unwrap().into_owned(), bytes)
    };
    (0..length).map(read).collect()
}

impl Stage {
    /// Names and bytes of what is stored, as an archive should have them.
    async fn stored(&self, name: &str, batch: &str) -> Vec<(String, Vec<u8>)> {
        let rows: Vec<(String, String)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            r#"SELECT {name}, "storageKey"
               FROM (SELECT *, dense_rank() OVER (ORDER BY "jobId") AS job
                     FROM photo_generation_images WHERE "jobId" IN ({batch})) AS image
               WHERE state = 'stored' ORDER BY "jobId", index"#
        )))
        .fetch_all(&self.pool)
        .await
        .unwrap();
        let file = |(name, key): (String, String)| {
            let extension = key.rsplit('.').next().unwrap();
            let bytes = std::fs::read(self.photos().join(&key)).unwrap();
            (format!("{name}.{extension}"), bytes)
        };
        rows.into_iter().map(file).collect()
    }

    /// A completed job whose images are holes of this many bytes, which take no room on the disk.
    async fn hollow_job(&self, images: i32, bytes: u64) -> i64 {
        let job = self.job("a lake", images).await;
        self.sql(&format!(
            r#"INSERT INTO photo_generation_images
                   ("jobId", index, state, "storageKey", "mimeType", bytes, width, height, sha256)
               SELECT {job}, index, 'stored', format('user=3A7/{job}/%s.png', index), 'image/png',
                      {bytes}, 1, 1, ''
               FROM generate_series(1, {images}) AS index;
               UPDATE photo_generation_queue SET status = 'completed' WHERE id = {job}"#
        ))
        .await;
        let folder = self.photos().join(format!("user=3A7/{job}"));
        std::fs::create_dir_all(&folder).unwrap();
        for index in 1..=images {
            let file = File::create(folder.join(format!("{index}.png"))).unwrap();
            file.set_len(bytes).unwrap();
        }
        job
    }

    async fn uuid_of(&self, job: i64) -> String {
        self.text(&format!(
            r#"SELECT "jobId" FROM photo_generation_queue WHERE id = {job}"#
        ))
        .await
    }
}

#[tokio::test]
async fn the_zip_of_a_job_holds_its_pictures_byte_by_byte() {
    holds_the_pictures(Stage::new().await).await;
}

#[tokio::test]
async fn so_does_a_zip_from_a_bucket() {
    holds_the_pictures(Stage::in_a_bucket().await).await;
}

async fn holds_the_pictures(stage: Stage) {
    let server = stage.serve(&[KEYS]).await;
    let job = stage.job("a lake", 3).await;
    stage.drain().await;
    let uuid = stage.uuid_of(job).await;

    let response = download(&server, &format!("/api/generations/{uuid}/download")).await;

    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "application/zip");
    assert_eq!(headers["cache-control"], "private, max-age=0, no-store");
    let ended = stage
        .text(r#"SELECT floor(extract(epoch FROM "completedAt") * 1000)::bigint FROM photo_generation_queue"#)
        .await;
    let name = format!("attachment; filename=\"generation-{job}-{ended}.zip\"");
    assert_eq!(headers["content-disposition"], name.as_str());
    let zip = response.bytes().await.unwrap();
    assert_eq!(headers["content-length"], zip.len().to_string().as_str());
    let expected = stage.stored("'image-' || index", &job.to_string()).await;
    assert_eq!(expected.len(), 3);
    assert_eq!(contents(&zip), expected);

    // By its number, and a while later: the same bytes.
    let again = download(&server, &format!("/api/generations/{job}/download")).await;
    assert_eq!(again.bytes().await.unwrap(), zip);
}

#[tokio::test]
async fn a_token_opens_the_zip_of_its_job_without_a_header() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let jobs = [stage.hollow_job(2, 10).await, stage.hollow_job(2, 10).await];
    let uuid = stage.uuid_of(jobs[0]).await;
    let signer = stage.signer().await;
    let of = |scope, end| signer.token(scope, uuid.parse().unwrap(), end);
    let get = async |job: &str, token: &str| {
        let path = format!("/api/generations/{job}/download?token={token}");
        let request = server.request(Method::GET, &path);
        request.send().await.unwrap().status().as_u16()
    };
    let soon = Moment(Moment::now().0 + 60);

    let token = of(Scope::Zip, soon);
    assert_eq!(get(&uuid, &token).await, 200);
    assert_eq!(get(&jobs[0].to_string(), &token).await, 200);
    assert_eq!(get(&jobs[1].to_string(), &token).await, 404);
    assert_eq!(get(&stage.uuid_of(jobs[1]).await, &token).await, 404);
    assert_eq!(get("nonsense", &token).await, 404);
}

#[tokio::test]
async fn a_poll_shows_the_link_to_the_zip_and_its_exact_length() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let body = json!({"prompt": "a lake", "numImages": 2});
    let (_, accepted) = server
        .post("/api/generations", "key-of-team-seven", body)
        .await;
    stage.drain().await;
    let path = accepted["pollUrl"].as_str().unwrap();
    let (_, job) = server.get(path, "key-of-team-seven").await;

    let url = job["zipUrl"].as_str().unwrap();
    let response = server.request(Method::GET, url).send().await.unwrap();

    assert_eq!(response.status(), 200);
    assert_eq!(job["zipBytes"], response.bytes().await.unwrap().len());
    // Whoever has the page's token has the zip, too; another tenant has neither.
    let token = accepted["viewToken"].as_str().unwrap();
    let download = format!("{path}/download");
    let viewed = server.request(Method::GET, &format!("{download}?token={token}"));
    assert_eq!(viewed.send().await.unwrap().status(), 200);
    let bare = server.request(Method::GET, &download);
    assert_eq!(bare.send().await.unwrap().status(), 401);
    assert_eq!(server.get(&download, "key-of-team-eight").await.0, 404);
    // The link of the zip is for the zip alone.
    let (_, zip_token) = url.split_once('?').unwrap();
    let poll = server.request(Method::GET, &format!("{path}?{zip_token}"));
    assert_eq!(poll.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_batch_is_its_owners() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let body = json!({"jobs": [{"prompt": "a lake"}, {"prompt": "a hill", "numImages": 2}]});
    let (status, made) = server.post("/api/batches", "key-of-team-seven", body).await;
    assert_eq!(status, 202, "{made}");
    stage.drain().await;
    let path = format!("/api/batches/{}", made["batchId"]);
    let (_, batch) = server.get(&path, "key-of-team-seven").await;
    let get = async |key: &str| {
        let request = server.request(Method::GET, &format!("{path}/download"));
        let response = request.bearer_auth(key).send().await.unwrap();
        (response.status().as_u16(), response.bytes().await.unwrap())
    };

    let (status, zip) = get("key-of-team-seven").await;
    assert_eq!(status, 200);
    assert_eq!(get("key-of-the-service").await, (200, zip.clone()));
    assert_eq!(get("key-of-team-eight").await.0, 404);
    let link = server.request(Method::GET, batch["zipUrl"].as_str().unwrap());
    assert_eq!(link.send().await.unwrap().bytes().await.unwrap(), zip);
}

#[tokio::test]
async fn a_job_without_an_archive_says_why() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let waiting = stage.job("a lake", 2).await;
    let single = stage.hollow_job(1, 10).await;
    let check = async |job: i64, expected: (u16, &str)| {
        let path = format!("/api/generations/{job}/download");
        let (status, code) = refusal(download(&server, &path).await).await;
        assert_eq!((status, code.as_str()), expected, "job {job}");
    };

    check(waiting, (400, "not_completed")).await;
    check(single, (404, "not_found")).await;
    check(99, (404, "not_found")).await;
    stage
        .sql("UPDATE photo_generation_queue SET status = 'failed' WHERE status = 'pending'")
        .await;
    check(waiting, (400, "not_completed")).await;
}

#[tokio::test]
async fn a_picture_that_is_gone_or_changed_is_told_before_anything_is_sent() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let job = stage.hollow_job(3, 1000).await;
    let path = format!("/api/generations/{job}/download");
    let last = stage.photos().join(format!("user=3A7/{job}/3.png"));
    let storage_failed = (502, "storage_failed".to_owned());

    File::create(&last).unwrap().set_len(999).unwrap();
    assert_eq!(
        refusal(download(&server, &path).await).await,
        storage_failed
    );
    std::fs::remove_file(&last).unwrap();
    assert_eq!(
        refusal(download(&server, &path).await).await,
        storage_failed
    );
}

/// Between the look and the read: the answer has begun, so all that is left is to break it off.
#[tokio::test]
async fn a_picture_that_goes_in_the_middle_breaks_the_transfer_off() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let job = stage.hollow_job(2, 100 << 20).await;
    let path = format!("/api/generations/{job}/download");

    let mut response = download(&server, &path).await;
    assert_eq!(response.status(), 200);
    // No socket holds the first picture, so the second is not open yet.
    std::fs::remove_file(stage.photos().join(format!("user=3A7/{job}/2.png"))).unwrap();
    let end = loop {
        match response.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };

    assert!(end.is_err(), "a clean end");
}

#[tokio::test]
async fn so_many_zips_at_once_and_who_hangs_up_makes_room() {
    const AT_ONCE: usize = 32;
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let job = stage.hollow_job(2, 100 << 20).await;
    let path = format!("/api/generations/{job}/download");
    let mut open = Vec::new();
    for _ in 0..AT_ONCE {
        let response = download(&server, &path).await;
        assert_eq!(response.status(), 200);
        open.push(response);
    }

    let response = download(&server, &path).await;
    assert_eq!(response.headers()["retry-after"], "2");
    assert_eq!(refusal(response).await, (503, "busy".to_owned()));

    open.pop();
    let room = async {
        while download(&server, &path).await.status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    let patience = crate::harness::PATIENCE;
    tokio::time::timeout(patience, room).await.unwrap();
}

/// Most memory that this process ever had, in kilobytes.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

#[tokio::test]
async fn two_gigabytes_are_sent_in_little_memory() {
    takes_little_memory(Stage::new().await, 100).await;
}

/// The S3 server is in this process, too.
#[tokio::test]
async fn so_is_half_a_gigabyte_from_a_bucket() {
    takes_little_memory(Stage::in_a_bucket().await, 25).await;
}

/// Of server and client together.
async fn takes_little_memory(stage: Stage, images: i32) {
    const EACH: u64 = 20 << 20;
    let server = stage.serve(&[KEYS]).await;
    let job = stage.hollow_job(images, EACH).await;
    let before = most_memory();

    let mut response = download(&server, &format!("/api/generations/{job}/download")).await;
    let stated = response.content_length().unwrap();
    let mut received = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        received += chunk.len() as u64;
    }

    assert_eq!(received, stated);
    assert!(received > EACH * u64::try_from(images).unwrap());
    let more = most_memory() - before;
    println!("{before} kB before, {more} kB more");
    assert!(more < 50_000, "{more} kB more than before");
}

#[tokio::test]
async fn the_zip_of_a_batch_holds_the_pictures_of_all_its_jobs() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_batches ("userId") VALUES ('7');
               INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "userId", "batchId")
               SELECT prompt, 2, '7', id FROM photo_generation_batches,
                   unnest(ARRAY['a lake', 'a hill [sim:400]', 'a bay']) AS prompt"#,
        )
        .await;
    let batch = stage
        .number("SELECT id FROM photo_generation_batches")
        .await;
    let path = format!("/api/batches/{batch}/download");
    let early = refusal(download(&server, &path).await).await;
    assert_eq!(early, (400, "not_completed".to_owned()));
    stage.drain().await;

    let response = download(&server, &path).await;

    let ended = stage
        .text(r#"SELECT floor(extract(epoch FROM "completedAt") * 1000)::bigint FROM photo_generation_batches"#)
        .await;
    let name = format!("attachment; filename=\"batch-{batch}-{ended}.zip\"");
    assert_eq!(response.headers()["content-disposition"], name.as_str());
    let zip = response.bytes().await.unwrap();
    let jobs = "SELECT id FROM photo_generation_queue";
    let expected = stage
        .stored("format('job-%s/image-%s', job, index)", jobs)
        .await;
    assert_eq!(expected.len(), 4);
    assert!(
        expected[3].0.starts_with("job-3/image-2."),
        "{}",
        expected[3].0
    );
    assert_eq!(contents(&zip), expected);

    let number = Uuid::from_u128(u128::try_from(batch).unwrap());
    let soon = Moment(Moment::now().0 + 60);
    let token = stage.signer().await.token(Scope::BatchZip, number, soon);
    let request = server.request(Method::GET, &format!("{path}?token={token}"));
    assert_eq!(request.send().await.unwrap().bytes().await.unwrap(), zip);
    let missing = download(&server, "/api/batches/99/download").await;
    assert_eq!(refusal(missing).await, (404, "not_found".to_owned()));
}
