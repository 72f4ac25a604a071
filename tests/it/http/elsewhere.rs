//! Photos in a bucket of an S3 server: their URLs, zips and downloads, and a storage that is away.

use reqwest::{Method, Response};
use serde_json::Value;

use crate::harness::{Served, Stage};

const KEY: &str = "key-of-the-service";
const KEYS: &str = "--api-keys=*:key-of-the-service";

/// Whatever opens a picture of a job needs no header of ours.
async fn open(url: &str) -> Response {
    reqwest::get(url).await.unwrap()
}

async fn poll(server: &Served, job: i64) -> Value {
    let (status, view) = server.get(&format!("/api/generations/{job}"), KEY).await;
    assert_eq!(status, 200, "{view}");
    view
}

fn url(view: &Value, image: usize) -> String {
    view["images"][image]["url"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_poll_shows_urls_that_the_storage_signed() {
    let stage = Stage::in_a_bucket().await;
    let server = stage.serve(&[KEYS]).await;
    let job = stage.job("a lake", 2).await;
    stage.drain().await;

    let view = poll(&server, job).await;

    let shown = url(&view, 1);
    let address = stage.bucket().address;
    let place = format!("http://{address}/photos/app/user%3D3A7/");
    assert!(shown.starts_with(&place), "{shown}");
    let picture = open(&shown).await;
    assert_eq!(picture.status(), 200);
    assert_eq!(picture.headers()["content-type"], "image/png");
    let key = stage
        .text(r#"SELECT "storageKey" FROM photo_generation_images WHERE index = 2"#)
        .await;
    let stored = std::fs::read(stage.photos().join(&key)).unwrap();
    assert_eq!(picture.bytes().await.unwrap(), stored);

    // Apps that read the row make such URLs themselves, from keys of the bucket.
    let keys = r#"SELECT "imageUrls" ->> 1 FROM photo_generation_queue"#;
    assert_eq!(stage.text(keys).await, format!("app/{key}"));
    assert!(view["images"][1]["expiresAt"].is_string());
    assert_eq!(view["imageUrl"], view["images"][0]["url"]);
}

#[tokio::test]
async fn urls_are_the_same_between_polls_and_of_any_server() {
    let stage = Stage::in_a_bucket().await;
    let (one, other) = (stage.serve(&[KEYS]).await, stage.serve(&[KEYS]).await);
    let job = stage.job("a lake", 1).await;
    stage.drain().await;

    let path = format!("/api/generations/{job}");
    let first = one.request(Method::GET, &path).bearer_auth(KEY);
    let first = first.send().await.unwrap();
    let tag = first.headers()["etag"].clone();
    let again = other
        .request(Method::GET, &path)
        .bearer_auth(KEY)
        .header("if-none-match", tag)
        .send()
        .await
        .unwrap();

    assert_eq!(again.status(), 304);
}

#[tokio::test]
async fn an_altered_url_opens_nothing() {
    let stage = Stage::in_a_bucket().await;
    let server = stage.serve(&[KEYS]).await;
    let job = stage.job("a lake", 2).await;
    stage.drain().await;
    let view = poll(&server, job).await;

    let (first, second) = (url(&view, 0), url(&view, 1));
    let (path, _) = first.split_once('?').unwrap();
    let (_, signature) = second.split_once('?').unwrap();

    let answer = open(&format!("{path}?{signature}")).await;
    assert_eq!(answer.status(), 403);
    assert_eq!(open(path).await.status(), 403);
}

#[tokio::test]
async fn a_public_bucket_shows_its_own_urls() {
    let stage = Stage::in_a_bucket().await;
    let public = "--s3-public-url=https://cdn.example.com/";
    let server = stage.serve(&[KEYS, public]).await;
    let job = stage.job("a lake", 1).await;
    let worker = stage.process(&["--drain", public]);
    assert_eq!(worker.exit_code().await, Some(0));

    let view = poll(&server, job).await;

    let key = stage
        .text(r#"SELECT "storageKey" FROM photo_generation_images"#)
        .await;
    let public = format!("https://cdn.example.com/app/{key}");
    assert_eq!(url(&view, 0), public);
    assert!(view["images"][0]["expiresAt"].is_null());
    let urls = r#"SELECT "imageUrls" ->> 0 FROM photo_generation_queue"#;
    assert_eq!(stage.text(urls).await, public);
}

#[tokio::test]
async fn a_job_is_shown_while_its_storage_is_away() {
    let stage = Stage::in_a_bucket().await;
    let server = stage.serve(&[KEYS]).await;
    let job = stage.job("a lake", 2).await;
    stage.drain().await;
    stage.bucket().stop().await;

    let view = poll(&server, job).await;
    let zip = server
        .get(&format!("/api/generations/{job}/download"), KEY)
        .await;

    assert_eq!(view["status"], "completed");
    assert_eq!(zip.0, 502, "{}", zip.1);
    assert_eq!(zip.1["code"], "storage_failed");
}

#[tokio::test]
async fn a_download_from_a_bucket_has_every_byte() {
    let stage = Stage::in_a_bucket().await;
    let job = stage.job("a lake", 2).await;
    stage.drain().await;
    let folder = tempfile::tempdir().unwrap();

    let storage = stage.storage();
    let mut arguments = vec!["download"];
    arguments.extend(storage.iter().map(String::as_str));
    let job = job.to_string();
    arguments.extend([job.as_str(), folder.path().to_str().unwrap()]);
    let answer = stage.safelight(&arguments).await;

    assert_eq!(answer.code, 0, "{answer:?}");
    for index in [1, 2] {
        let key = stage
            .text(&format!(
                r#"SELECT "storageKey" FROM photo_generation_images WHERE index = {index}"#
            ))
            .await;
        let saved = std::fs::read(folder.path().join(format!("image-{index}.png"))).unwrap();
        assert_eq!(saved, std::fs::read(stage.photos().join(key)).unwrap());
    }
}
