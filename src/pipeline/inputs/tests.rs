use std::io::Cursor;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use image::{ImageFormat, Rgb, RgbImage};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Barrier;

use super::*;
use crate::domain::failure::Remedy;
use crate::images::FetchPolicy;
use crate::storage::Local;

/// A picture that is `shade` all over.
fn png(shade: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_pixel(8, 8, Rgb([shade; 3]))
        .write_to(&mut bytes, ImageFormat::Png)
        .expect("is encoded");
    bytes.into_inner()
}

/// The shade of a prepared picture.
fn shade(picture: &PreparedPicture) -> u8 {
    let jpeg = BASE64.decode(&*picture.base64).expect("is base64");
    image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg)
        .expect("is a JPEG")
        .into_rgb8()
        .get_pixel(4, 4)
        .0[0]
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

struct Bench {
    inputs: Inputs,
    address: SocketAddr,
    storage: Storage,
    directory: TempDir,
}

impl Bench {
    /// Serves `/{shade}` as a picture of that shade, `/x` as a web page.
    async fn new() -> Self {
        Self::with(Router::new().route(
            "/{shade}",
            get(async |Path(shade): Path<String>| match shade.parse() {
                Ok(shade) => png(shade).into_response(),
                Err(_) => StatusCode::NOT_FOUND.into_response(),
            }),
        ))
        .await
    }

    async fn with(router: Router) -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let address = serve(router).await;
        let fetcher = Fetcher::new(FetchPolicy {
            allow: vec![address.to_string().parse().expect("host and port")],
            supabase: None,
        })
        .expect("a client");
        let directory = tempfile::tempdir().expect("a directory");
        let storage = Storage::Local(Local::new(directory.path()));
        Self {
            inputs: Inputs::new(fetcher, Decoder::new(2), storage.clone()),
            address,
            storage,
            directory,
        }
    }

    fn url(&self, path: &str) -> Picture {
        Picture::Url(format!("http://{}/{path}", self.address))
    }

    async fn uploaded(&self, tenant: &Tenant, shade: u8) -> Picture {
        // Any hash does: the name is taken as given.
        let hash = format!("{shade:064x}");
        let key = ObjectKey::upload(tenant, &hash, PictureFormat::Png).expect("a key");
        self.storage.put(&key, png(shade)).await.expect("is stored");
        Picture::Upload(format!("{hash}.png"))
    }
}

fn team(id: &str) -> Tenant {
    Tenant::of(Some(id), None)
}

#[tokio::test]
async fn pictures_come_in_the_order_of_the_job() {
    let bench = Bench::new().await;
    let upload = bench.uploaded(&team("7"), 90).await;
    let pictures = [bench.url("30"), upload, bench.url("200"), bench.url("30")];

    let prepared = bench
        .inputs
        .prepare(&team("7"), &pictures)
        .await
        .expect("are prepared");

    let shades: Vec<u8> = prepared.iter().map(shade).collect();
    assert_eq!(shades, [30, 90, 200, 30]);
    assert!(prepared.iter().all(|picture| picture.mime == "image/jpeg"));
}

#[tokio::test]
async fn a_job_without_pictures_needs_none() {
    let bench = Bench::new().await;

    let prepared = bench.inputs.prepare(&team("7"), &[]).await;

    assert_eq!(prepared.expect("nothing to do").len(), 0);
}

#[tokio::test]
async fn a_job_prepares_in_a_task_of_its_own() {
    let bench = Bench::new().await;
    let picture = bench.url("30");

    let task = tokio::spawn(async move { bench.inputs.prepare(&team("7"), &[picture]).await });

    assert_eq!(task.await.expect("ends").expect("is prepared").len(), 1);
}

#[tokio::test]
async fn the_same_content_is_prepared_once_whatever_its_url() {
    let bench = Bench::new().await;

    let first = bench
        .inputs
        .prepare(&team("7"), &[bench.url("30?a")])
        .await
        .expect("is prepared");
    let second = bench
        .inputs
        .prepare(&team("8"), &[bench.url("30?b")])
        .await
        .expect("is prepared");

    assert!(Arc::ptr_eq(&first[0].base64, &second[0].base64));
}

#[tokio::test]
async fn four_pictures_are_fetched_at_a_time() {
    // Nobody is answered before four have asked.
    let barrier = Arc::new(Barrier::new(AT_ONCE));
    let router = Router::new().route(
        "/{shade}",
        get(async move |Path(shade): Path<u8>| {
            barrier.wait().await;
            png(shade)
        }),
    );
    let bench = Bench::with(router).await;
    let pictures: Vec<_> = (1..=8).map(|n| bench.url(&format!("{}", n * 20))).collect();

    let prepared = bench.inputs.prepare(&team("7"), &pictures).await;

    assert_eq!(prepared.expect("are prepared").len(), 8);
}

#[tokio::test]
async fn a_failure_names_the_picture_by_its_place() {
    let bench = Bench::new().await;
    let pictures = [bench.url("30"), bench.url("missing?token=t0ken")];

    let failure = bench
        .inputs
        .prepare(&team("7"), &pictures)
        .await
        .expect_err("one is missing");

    assert_eq!(
        failure,
        Failure::never(
            "invalid_input_image",
            "Input image 2: Its server answered 404 Not Found instead of a picture."
        )
    );
}

#[tokio::test]
async fn a_failed_storage_is_worth_another_try() {
    let bench = Bench::new().await;
    let Picture::Upload(name) = bench.uploaded(&team("7"), 90).await else {
        unreachable!("is an upload");
    };
    let key = ObjectKey::upload_named(&team("7"), &name).expect("a key");
    let path = bench.directory.path().join(key.as_str());
    std::fs::remove_file(&path).expect("is removed");
    std::fs::create_dir(&path).expect("cannot be read as a file");

    let failure = bench
        .inputs
        .prepare(&team("7"), &[Picture::Upload(name)])
        .await
        .expect_err("cannot be read");

    assert_eq!(
        (failure.code, failure.remedy),
        ("storage_failed", Remedy::Retry)
    );
    assert!(failure.message.starts_with("Input image 1: "), "{failure}");
}

#[tokio::test]
async fn an_upload_is_its_own_tenants_alone() {
    let bench = Bench::new().await;
    let upload = bench.uploaded(&team("7"), 90).await;

    let failure = bench
        .inputs
        .prepare(&team("8"), &[upload])
        .await
        .expect_err("is another tenant's");

    assert_eq!(
        failure,
        Failure::never(
            "invalid_input_image",
            "Input image 1: The upload does not exist or has expired."
        )
    );
}

#[test]
fn inputs_too_large_for_one_request_are_refused() {
    let picture = PreparedPicture {
        mime: "image/jpeg",
        base64: "x".repeat(MAX_TOTAL_BYTES / 2).into(),
        width: 8,
        height: 8,
    };
    let mut pictures = vec![picture.clone(), picture.clone()];
    assert_eq!(check_total(&pictures), Ok(()));

    pictures.push(picture);
    let failure = check_total(&pictures).expect_err("is too much");

    assert_eq!(failure.remedy, Remedy::Never);
    assert!(failure.message.contains("3 input images"), "{failure}");
}
