//! An S3 server with one bucket, over HTTP, which checks every signature; it can go away and come back,
//! and keep objects to itself.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};

/// The bucket's name.
const NAME: &str = "photos";
const ACCESS_KEY_ID: &str = "SAFELIGHTTESTKEY";
/// Must be seen nowhere.
const SECRET: &str = "hush-hush-the-secret-of-the-bucket";
/// How soon a taken address is tried again.
const AGAIN: Duration = Duration::from_millis(10);

/// An S3 server on a folder; ends when it is dropped.
pub(crate) struct Bucket {
    pub(crate) address: SocketAddr,
    folder: TempDir,
    objects: PathBuf,
    service: S3Service,
    /// Part of the names of objects that nobody may read.
    forbidden: Arc<std::sync::Mutex<Option<&'static str>>>,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Bucket {
    fn drop(&mut self) {
        if let Some(task) = self.running.get_mut().take() {
            task.abort();
        }
    }
}

impl Bucket {
    pub(crate) const SECRET: &str = SECRET;

    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(NAME)).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bucket = Self {
            address: listener.local_addr().unwrap(),
            objects: folder.path().join(NAME).join("app"),
            folder,
            service: service.build(),
            forbidden: Arc::default(),
            running: Mutex::default(),
        };
        bucket.run(listener).await;
        bucket
    }

    /// What a command line needs to store photos here, below the prefix `app`.
    pub(crate) fn arguments(&self) -> Vec<String> {
        Self::arguments_at(self.address)
    }

    /// The same by way of something that stands in front.
    pub(crate) fn arguments_at(address: SocketAddr) -> Vec<String> {
        vec![
            format!("--storage=s3://{NAME}/app"),
            format!("--s3-endpoint=http://{address}"),
            "--s3-region=eu-central-1".to_owned(),
            format!("--s3-access-key-id={ACCESS_KEY_ID}"),
            format!("--s3-secret-access-key={SECRET}"),
        ]
    }

    /// Where the objects of `arguments` lie, as files.
    pub(crate) fn objects(&self) -> &Path {
        &self.objects
    }

    /// The bucket itself; without its folder there is no such bucket.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().join(NAME)
    }

    /// Everything the server keeps, also unfinished uploads.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Hands out no objects whose names have this part.
    pub(crate) fn forbid(&self, part: Option<&'static str>) {
        *self.forbidden.lock().unwrap() = part;
    }

    /// Breaks every connection, and takes no more.
    pub(crate) async fn stop(&self) {
        if let Some(task) = self.running.lock().await.take() {
            task.abort();
            let _ = task.await;
        }
    }

    /// Comes back with the same objects at the same address.
    pub(crate) async fn start_again(&self) {
        self.stop().await;
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                // A connection of before is still being taken down.
                Err(error) if error.kind() == ErrorKind::AddrInUse => {
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        self.run(listener).await;
    }

    async fn run(&self, listener: TcpListener) {
        let (service, root) = (self.service.clone(), self.root().to_owned());
        let forbidden = self.forbidden.clone();
        let task = tokio::spawn(async move {
            // Its connections end with it.
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (service, root) = (service.clone(), root.clone());
                let forbidden = forbidden.clone();
                let answer = service_fn(move |request| {
                    let part = *forbidden.lock().unwrap();
                    answer(service.clone(), root.clone(), part, request)
                });
                let connection = http1::Builder::new();
                let connection = connection.serve_connection(TokioIo::new(stream), answer);
                connections.spawn(async move { drop(connection.await) });
                while connections.try_join_next().is_some() {}
            }
        });
        *self.running.lock().await = Some(task);
    }
}

/// As the server does, but for a bucket that is not there: it would make one.
async fn answer(
    service: S3Service,
    root: PathBuf,
    forbidden: Option<&'static str>,
    request: Request<Incoming>,
) -> Result<Response<s3s::Body>, Infallible> {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let has_body = request.method() != hyper::Method::HEAD;
    if !key.is_empty() && has_body && !root.join(bucket).is_dir() {
        return Ok(refusal(
            404,
            "NoSuchBucket",
            "The specified bucket does not exist",
        ));
    }
    if request.method() == hyper::Method::GET && forbidden.is_some_and(|part| key.contains(part)) {
        return Ok(refusal(403, "AccessDenied", "Access Denied"));
    }
    Ok(service.call(request.map(s3s::Body::from)).await.unwrap())
}

fn refusal(status: u16, code: &str, message: &str) -> Response<s3s::Body> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code>\
         <Message>{message}</Message></Error>"
    );
    let answer = Response::builder()
        .status(status)
        .header("content-type", "application/xml");
    answer.body(s3s::Body::from(Bytes::from(body))).unwrap()
}
