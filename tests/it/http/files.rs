//! Pictures by signed URLs.

use reqwest::{Method, Response};
use safelight::api::{Moment, Signer};
use serde_json::json;

use crate::harness::{Served, Stage};

const KEYS: &str = "--api-keys=7:key-of-team-seven,8:key-of-team-eight";
const HOUR: u64 = 3600;

impl Stage {
    /// The fleet's own.
    pub(super) async fn signer(&self) -> Signer {
        let secret = "SELECT value FROM photo_generation_secrets WHERE name = 'signing'";
        Signer::new(self.text(secret).await.as_bytes())
    }

    /// The signed path of an object.
    async fn path_of(&self, key: &str, expires: u64) -> String {
        let signature = self.signer().await.sign(&format!("file\n{key}\n{expires}"));
        format!("/files/{key}?expires={expires}&signature={signature}")
    }

    /// Makes a picture: its key, and its bytes.
    async fn picture(&self) -> (String, Vec<u8>) {
        self.job("a lake", 1).await;
        self.drain().await;
        let key = self
            .text(
                r#"SELECT "storageKey" FROM photo_generation_images ORDER BY "jobId" DESC LIMIT 1"#,
            )
            .await;
        let bytes = std::fs::read(self.photos().join(&key)).unwrap();
        (key, bytes)
    }
}

async fn get(server: &Served, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = server.request(Method::GET, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

async fn error(response: Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    let body: serde_json::Value = response.json().await.unwrap();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (status, text("code"), text("error"))
}

fn soon() -> u64 {
    Moment::now().0 + HOUR
}

#[tokio::test]
async fn a_signed_url_shows_the_picture_and_lets_it_be_nothing_else() {
    let stage = Stage::new().await;
    let server = stage.serve(&[]).await;
    let (key, picture) = stage.picture().await;
    let path = stage.path_of(&key, soon()).await;

    let response = get(&server, &path, &[]).await;

    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    let extension = key.rsplit('.').next().unwrap();
    let kind = if extension == "jpg" {
        "jpeg"
    } else {
        extension
    };
    assert_eq!(headers["content-type"], format!("image/{kind}").as_str());
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["cross-origin-resource-policy"], "cross-origin");
    let policy = "default-src 'none'; sandbox";
    assert_eq!(headers["content-security-policy"], policy);
    let name = key.rsplit('/').next().unwrap();
    let disposition = format!("inline; filename=\"{name}\"");
    assert_eq!(headers["content-disposition"], disposition.as_str());
    let control = headers["cache-control"].to_str().unwrap();
    let seconds = control
        .strip_prefix("private, max-age=")
        .and_then(|rest| rest.strip_suffix(", immutable"));
    let seconds: u64 = seconds.unwrap().parse().unwrap();
    assert!((HOUR - 60..=HOUR).contains(&seconds), "{control}");
    assert_eq!(response.bytes().await.unwrap(), picture);
}

#[tokio::test]
async fn the_document_names_the_route_as_documents_do() {
    let stage = Stage::new().await;
    let server = stage.serve(&[]).await;

    let document: serde_json::Value = get(&server, "/openapi.json", &[])
        .await
        .json()
        .await
        .unwrap();

    assert!(document["paths"]["/files/{key}"]["get"].is_object());
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.keys().all(|path| !path.contains('*')));
}

/// Whoever polls gets the URL, and nobody else can make it.
#[tokio::test]
async fn a_poll_shows_urls_that_open_the_pictures_of_the_job() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let body = json!({"prompt": "a lake", "numImages": 1});
    let (_, accepted) = server
        .post("/api/generations", "key-of-team-seven", body)
        .await;
    stage.drain().await;
    let path = accepted["pollUrl"].as_str().unwrap();

    let (_, job) = server.get(path, "key-of-team-seven").await;

    let url = job["images"][0]["url"].as_str().unwrap();
    let response = get(&server, url, &[]).await;
    assert_eq!(response.status(), 200);
    let length = response.bytes().await.unwrap().len();
    assert_eq!(job["images"][0]["bytes"], length);
    assert_eq!(server.get(path, "key-of-team-eight").await.0, 404);
    // Knowing its name is not enough, with whatever key.
    let (bare, _) = url.split_once('?').unwrap();
    assert_eq!(server.get(bare, "key-of-team-eight").await.0, 403);
    assert_eq!(server.get(bare, "key-of-team-seven").await.0, 403);
}

#[tokio::test]
async fn a_part_of_a_picture_a_head_and_what_is_known_already() {
    let stage = Stage::new().await;
    let server = stage.serve(&[]).await;
    let (key, picture) = stage.picture().await;
    let path = stage.path_of(&key, soon()).await;

    let part = get(&server, &path, &[("range", "bytes=10-19")]).await;
    assert_eq!(part.status(), 206);
    let range = format!("bytes 10-19/{}", picture.len());
    assert_eq!(part.headers()["content-range"], range.as_str());
    assert_eq!(part.headers()["x-content-type-options"], "nosniff");
    assert_eq!(part.bytes().await.unwrap(), picture[10..20]);

    let beyond = get(&server, &path, &[("range", "bytes=99999999-")]).await;
    assert_eq!(beyond.status(), 416);

    let head = server.request(Method::HEAD, &path).send().await.unwrap();
    assert_eq!(head.status(), 200);
    let length = picture.len().to_string();
    assert_eq!(head.headers()["content-length"], length.as_str());
    assert_eq!(head.bytes().await.unwrap().len(), 0);

    let whole = get(&server, &path, &[]).await;
    for (name, known) in [
        ("if-none-match", "etag"),
        ("if-modified-since", "last-modified"),
    ] {
        let known = whole.headers()[known].to_str().unwrap();
        let same = get(&server, &path, &[(name, known)]).await;
        assert_eq!(same.status(), 304, "{name}");
    }
}

#[tokio::test]
async fn a_url_that_expired_or_was_altered_opens_nothing() {
    let stage = Stage::new().await;
    let server = stage.serve(&[]).await;
    let (key, _) = stage.picture().await;
    let (other, _) = stage.picture().await;
    let path = stage.path_of(&key, soon()).await;
    let check = async |path: &str, expected: &str| {
        let (status, code, text) = error(get(&server, path, &[]).await).await;
        assert_eq!((status, code.as_str()), (403, "forbidden"), "{path}");
        assert!(text.contains(expected), "{text}");
    };

    let past = stage.path_of(&key, Moment::now().0 - 1).await;
    check(&past, "expired").await;
    check(&path.replace(&key, &other), "not signed").await;
    check(&path.replace("expires=", "expires=9"), "not signed").await;
    check(&path[..path.len() - 2], "not signed").await;
    check(&format!("/files/{key}"), "not signed").await;
    check("/files/..%2F..%2Fetc%2Fpasswd", "not signed").await;
}

#[tokio::test]
async fn what_is_no_picture_any_more_is_not_found_and_no_path_is_told() {
    let stage = Stage::new().await;
    let server = stage.serve(&[]).await;
    let (key, _) = stage.picture().await;
    std::fs::remove_file(stage.photos().join(&key)).unwrap();
    let (folder, _) = key.split_once('/').unwrap();

    for named in [&key, folder, "../secret", "a//b", ".hidden", "/etc/passwd"] {
        let path = stage.path_of(named, soon()).await;
        // A client tidies a path up, but not what stands in one of its parts.
        let path = path.replacen(named, &named.replace('/', "%2F"), 1);
        let (status, code, text) = error(get(&server, &path, &[]).await).await;

        assert_eq!((status, code.as_str()), (404, "not_found"), "{named}");
        assert_eq!(text, "Picture not found.");
    }
}
