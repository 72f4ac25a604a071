//! Pictures that callers bring, and what becomes of those that nobody uses.

use std::fs::File;
use std::io::Cursor;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use image::{ImageFormat, Rgb, RgbImage};
use reqwest::Method;
use safelight::db::uploads;
use safelight::domain::Tenant;
use serde_json::{Value, json};

use crate::harness::{Served, Stage};

const KEY: &str = "key-of-the-service";
const KEYS: &str = "--api-keys=7:key-of-team-seven,8:key-of-team-eight,*:key-of-the-service";
const SEVEN: &str = "key-of-team-seven";

pub(super) fn png(colour: [u8; 3]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_pixel(40, 30, Rgb(colour))
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

async fn upload(server: &Served, query: &str, kind: &str, body: Vec<u8>) -> (u16, Value) {
    upload_as(KEY, server, query, kind, body).await
}

async fn upload_as(
    key: &str,
    server: &Served,
    query: &str,
    kind: &str,
    body: Vec<u8>,
) -> (u16, Value) {
    let request = server.request(Method::POST, &format!("/api/uploads{query}"));
    let request = request.bearer_auth(key).header("content-type", kind);
    crate::harness::answer(request.body(body)).await
}

/// Uploads a picture of user 7's; its name.
async fn uploaded(server: &Served, colour: [u8; 3]) -> String {
    let (status, body) = upload(server, "?userId=7", "image/png", png(colour)).await;
    assert_eq!(status, 201, "{body}");
    let url = body["url"].as_str().unwrap();
    url.strip_prefix("upload:").unwrap().to_owned()
}

fn user() -> Tenant {
    Tenant::of(None, Some("7"))
}

impl Stage {
    /// Where an upload of user 7's lies.
    fn upload(&self, name: &str) -> PathBuf {
        self.photos().join("uploads/user=3A7").join(name)
    }

    /// As if it had been uploaded so many hours ago.
    async fn age(&self, name: &str, hours: u64) {
        let ago = Duration::from_secs(hours * 3600);
        let file = File::options().write(true).open(self.upload(name)).unwrap();
        file.set_modified(SystemTime::now() - ago).unwrap();
        self.sql(&format!(
            r#"UPDATE photo_generation_uploads
               SET "uploadedAt" = now() - interval '{hours} hours' WHERE name = '{name}'"#
        ))
        .await;
    }

    async fn use_of(&self, name: &str) -> String {
        self.text(&format!(
            r#"SELECT CASE WHEN "usedAt" IS NULL THEN 'unused' WHEN "usedAt" = '-infinity' THEN 'going'
                           ELSE 'used' END
               FROM photo_generation_uploads WHERE name = '{name}'"#
        ))
        .await
    }
}

#[tokio::test]
async fn a_picture_is_taken_raw_or_as_a_form_and_is_the_same() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let picture = png([10, 20, 30]);
    let mut form =
        b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.heic\"\r\n\r\n"
            .to_vec();
    form.extend_from_slice(&picture);
    form.extend_from_slice(b"\r\n--x--\r\n");

    let (status, raw) = upload(&server, "?userId=7", "text/plain", picture.clone()).await;
    let (again, formed) = upload(
        &server,
        "?userId=7",
        "multipart/form-data; boundary=x",
        form,
    )
    .await;

    assert_eq!((status, again), (201, 201));
    assert_eq!(raw, formed);
    assert_eq!(raw["bytes"], picture.len());
    assert_eq!((&raw["width"], &raw["height"]), (&40.into(), &30.into()));
    assert_eq!(raw["mimeType"], "image/png");
    let name = raw["url"]
        .as_str()
        .unwrap()
        .strip_prefix("upload:")
        .unwrap();
    assert_eq!(std::fs::read(stage.upload(name)).unwrap(), picture);
    let rows = "SELECT string_agg(concat_ws(' ', tenant, name), ',') FROM photo_generation_uploads";
    assert_eq!(stage.text(rows).await, format!("user:7 {name}"));
}

/// The job is inserted with SQL: an app may do so with what came over HTTP.
#[tokio::test]
async fn a_job_uses_the_upload() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let name = uploaded(&server, [1, 2, 3]).await;
    let job = stage.job("a hill", 1).await;
    stage
        .sql(&format!(
            r#"UPDATE photo_generation_queue SET "trainingImageUrls" = '["upload:{name}"]'"#
        ))
        .await;

    stage.drain().await;

    assert_eq!(stage.status(job).await, "completed");
}

#[tokio::test]
async fn what_is_no_picture_is_refused_with_a_sentence_and_leaves_nothing() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let check = async |body: Vec<u8>, expected: (u16, &str), text: &str| {
        let (status, answer) = upload(&server, "?userId=7", "image/png", body).await;
        assert_eq!((status, answer["code"].as_str().unwrap()), expected);
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(text), "{error}");
    };
    let mut half = png([1, 2, 3]);
    half.truncate(half.len() / 2);
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec();
    let foreign = (415, "unsupported_media_type");

    check(heic, foreign, "HEIC").await;
    check(b"GIF89a and so on".to_vec(), foreign, "GIF").await;
    check(b"<html>me</html>".to_vec(), foreign, "HEIC").await;
    check(b"hello".to_vec(), foreign, "HEIC").await;
    check(Vec::new(), (400, "invalid_request"), "empty").await;
    check(half, (400, "invalid_input_image"), "damaged").await;
    let large = vec![0; 10 * 1024 * 1024 + 1];
    check(large, (413, "body_too_large"), "10 MB").await;

    let rows = stage
        .number("SELECT count(*) FROM photo_generation_uploads")
        .await;
    assert_eq!(rows, 0);
    assert!(!stage.photos().join("uploads").exists());
}

#[tokio::test]
async fn ids_that_do_not_fit_this_database_are_told() {
    let stage = Stage::new().await;
    stage.with_user_id_as("integer").await;
    let server = stage.serve(&[KEYS]).await;

    let (status, body) = upload(&server, "?userId=me", "image/png", png([1, 2, 3])).await;
    assert_eq!(status, 400, "{body}");

    // The table writes it so, and with it whoever names the upload.
    let (status, _) = upload(&server, "?userId=007", "image/png", png([1, 2, 3])).await;
    assert_eq!(status, 201);
    let tenant = "SELECT tenant FROM photo_generation_uploads";
    assert_eq!(stage.text(tenant).await, "user:7");
}

#[tokio::test]
async fn an_upload_is_claimed_by_its_tenant_and_by_nobody_else() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let name = uploaded(&server, [1, 2, 3]).await;
    let going = uploaded(&server, [4, 5, 6]).await;
    stage
        .sql(&format!(
            r#"UPDATE photo_generation_uploads SET "usedAt" = '-infinity' WHERE name = '{going}'"#
        ))
        .await;
    let db = stage.db().await;
    let names = [name.clone(), going.clone(), "other.png".to_owned()];

    let other = Tenant::of(Some("7"), None);
    assert!(
        uploads::claim(&db, &other, &names)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(stage.use_of(&name).await, "unused");

    let gone = uploads::claim(&db, &user(), &names).await.unwrap();
    assert_eq!(gone, std::slice::from_ref(&going));
    assert_eq!(stage.use_of(&name).await, "used");
    assert_eq!(stage.use_of(&going).await, "going");

    // Whoever brings it again gets it back; what is used stays so.
    uploaded(&server, [4, 5, 6]).await;
    uploaded(&server, [1, 2, 3]).await;
    assert_eq!(stage.use_of(&going).await, "unused");
    assert_eq!(stage.use_of(&name).await, "used");
}

#[tokio::test]
async fn a_job_names_its_tenants_uploads_and_no_others() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let (_, body) = upload_as(SEVEN, &server, "?teamId=8", "image/png", png([1, 2, 3])).await;
    let url = body["url"].as_str().unwrap();
    let enqueue = async |key: &str, picture: &str| {
        let job = json!({"prompt": "a lake", "numImages": 1, "images": [picture]});
        let (status, body) = server.post("/api/generations", key, job).await;
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };
    let unknown = (400, "unknown_upload".to_owned());
    let rows = "SELECT count(*) FROM photo_generation_queue";

    // It is team 7's, whoever else a team's key names.
    assert_eq!(enqueue("key-of-team-eight", url).await, unknown);
    let missing = format!("upload:{}.png", "0".repeat(64));
    assert_eq!(enqueue(SEVEN, &missing).await, unknown);
    assert_eq!(stage.number(rows).await, 0);
    assert_eq!(enqueue(SEVEN, url).await.0, 202);

    stage.drain().await;
    let done = format!("{rows} WHERE status = 'completed'");
    assert_eq!(stage.number(&done).await, 1);
    let used = r#"SELECT count(*) FROM photo_generation_uploads WHERE "usedAt" > '2000-01-01'"#;
    assert_eq!(stage.number(used).await, 1);
}

/// `safelight enqueue --image` puts a picture into the storage and makes no row of it.
#[tokio::test]
async fn an_upload_that_came_by_the_command_may_be_named() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let name = uploaded(&server, [1, 2, 3]).await;
    stage.sql("DELETE FROM photo_generation_uploads").await;
    let job = json!({"prompt": "a lake", "images": [format!("upload:{name}")], "userId": "7"});

    assert_eq!(
        server.post("/api/generations", KEY, job.clone()).await.0,
        202
    );

    // And what a row has, but the storage has lost, may not.
    uploaded(&server, [1, 2, 3]).await;
    std::fs::remove_file(stage.upload(&name)).unwrap();
    let (status, body) = server.post("/api/generations", KEY, job).await;
    assert_eq!((status, &body["code"]), (400, &json!("unknown_upload")));
}

#[tokio::test]
async fn a_tenant_whose_unused_uploads_fill_its_room_is_sent_away() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let name = uploaded(&server, [1, 2, 3]).await;
    let largest = 500_000_000;
    stage
        .sql(&format!(
            "UPDATE photo_generation_uploads SET bytes = {largest}"
        ))
        .await;
    let request = |query: &str, colour| {
        let request = server.request(Method::POST, &format!("/api/uploads{query}"));
        request.bearer_auth(KEY).body(png(colour)).send()
    };

    let refused = request("?userId=7", [4, 5, 6]).await.unwrap();

    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "3600");
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["code"], "uploads_full");
    let rows = "SELECT count(*) FROM photo_generation_uploads";
    assert_eq!(stage.number(rows).await, 1);
    // Another tenant's, and what is there already, need no room of theirs.
    assert_eq!(request("?userId=8", [4, 5, 6]).await.unwrap().status(), 201);
    assert_eq!(request("?userId=7", [1, 2, 3]).await.unwrap().status(), 201);

    let db = stage.db().await;
    uploads::claim(&db, &user(), &[name]).await.unwrap();
    assert_eq!(request("?userId=7", [4, 5, 6]).await.unwrap().status(), 201);
}

#[tokio::test]
async fn a_view_token_uploads_nothing() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let body = json!({"prompt": "a lake"});
    let (_, accepted) = server.post("/api/generations", KEY, body).await;
    let token = accepted["viewToken"].as_str().unwrap();

    let request = server.request(Method::POST, &format!("/api/uploads?token={token}"));
    let (status, body) = crate::harness::answer(request.body(png([1, 2, 3]))).await;

    assert_eq!((status, &body["code"]), (403, &json!("forbidden")));
    let rows = "SELECT count(*) FROM photo_generation_uploads";
    assert_eq!(stage.number(rows).await, 0);
}

#[tokio::test]
async fn the_sweep_removes_what_no_job_named_for_a_day() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let mut names = Vec::new();
    for number in 0..7 {
        names.push(uploaded(&server, [number, 0, 0]).await);
    }
    let [used, inserted, fresh, again, raced, broken_off, unused] = names.try_into().unwrap();
    // The sweep takes the oldest first: once the youngest of these is gone, it has seen all.
    for (name, hours) in [(&used, 40), (&inserted, 35), (&again, 34), (&raced, 33)] {
        stage.age(name, hours).await;
    }
    for (name, hours) in [(&broken_off, 30), (&unused, 25)] {
        stage.age(name, hours).await;
    }
    stage.age(&fresh, 23).await;
    uploads::claim(&stage.db().await, &user(), std::slice::from_ref(&used))
        .await
        .unwrap();
    stage
        .sql(&format!(
            r#"INSERT INTO photo_generation_queue ("userId", "basePrompt", status, "exampleImageUrl")
               VALUES ('7', 'a hill', 'canceled', 'upload:{inserted}'),
                      ('8', 'a hill', 'canceled', 'upload:{unused}');
               INSERT INTO photo_generation_queue ("userId", "basePrompt", status, "exampleImageUrl", "createdAt")
               VALUES ('7', 'a hill', 'canceled', 'upload:{unused}', now() - interval '50 hours');
               UPDATE photo_generation_uploads SET "usedAt" = '-infinity' WHERE name = '{broken_off}'"#
        ))
        .await;
    uploaded(&server, [3, 0, 0]).await;
    // Its object was put again, and its row not yet noted so.
    std::fs::write(stage.upload(&raced), png([4, 0, 0])).unwrap();

    let worker = stage.worker().await;
    stage
        .until(&format!(
            "SELECT NOT EXISTS (SELECT FROM photo_generation_uploads WHERE name = '{unused}')"
        ))
        .await;
    worker.stop().await;

    let check = async |name: &str, row: &str, there: bool| {
        assert_eq!(stage.use_of(name).await, row, "{name}");
        assert_eq!(stage.upload(name).exists(), there, "{name} {row}");
    };
    check(&used, "used", true).await;
    check(&inserted, "used", true).await;
    check(&fresh, "unused", true).await;
    check(&again, "unused", true).await;
    check(&raced, "", true).await;
    check(&broken_off, "", false).await;
    check(&unused, "", false).await;
}
