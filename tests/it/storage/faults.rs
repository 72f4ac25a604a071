//! A storage elsewhere over a bad line: what passes is waited out, what does not is told in time, and no
//! object is ever taken for whole that is not.

use std::io::{self, Read as _};
use std::time::{Duration, Instant};

use safelight::storage::{ObjectKey, Storage, StorageError};

use super::places::{QUICK, Server, said};
use super::proxy::Fault;
use crate::harness::Bucket;

/// A download of it breaks in the middle.
const LENGTH: usize = 1_000_000;
const MIDDLE: u64 = 400_000;
/// Sent in parts.
const LARGE: usize = 17 * 1024 * 1024;
/// More often than anything is tried.
const EVER: usize = usize::MAX;

fn key() -> ObjectKey {
    ObjectKey::parse("none/a/1-b.png").unwrap()
}

fn bytes(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..length).map(|_| random.u8(..)).collect()
}

#[track_caller]
fn assert_unavailable(name: &str, error: &StorageError) -> io::ErrorKind {
    said(error);
    match error {
        StorageError::Unavailable { source } => source.kind(),
        other => panic!("{name}: {other:?}"),
    }
}

/// As a thread does that may block.
async fn read_in_pieces(storage: &Storage) -> io::Result<Vec<u8>> {
    let storage = storage.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let mut object = storage.open(&key()).map_err(io::Error::other)?;
        let mut read = Vec::new();
        object.read_to_end(&mut read)?;
        Ok(read)
    });
    reading.await.unwrap()
}

#[tokio::test]
async fn a_download_that_breaks_goes_on_from_there() {
    let picture = bytes(LENGTH);
    for server in &Server::all().await {
        let name = server.name();
        server
            .open(QUICK)
            .put(&key(), picture.clone())
            .await
            .unwrap();
        for fault in [Fault::ResetDownload(MIDDLE), Fault::CutDownload(MIDDLE)] {
            let (line, storage) = server.open_behind(fault, 2).await;
            assert!(storage.get(&key()).await.unwrap() == picture, "{name}");
            assert_eq!(line.connections(), 3, "{name} {fault:?}");

            let (_line, storage) = server.open_behind(fault, 2).await;
            let read = read_in_pieces(&storage).await.unwrap();
            assert!(read == picture, "{name} {fault:?}");
        }
    }
}

#[tokio::test]
async fn half_a_download_is_never_a_whole_one() {
    for server in &Server::all().await {
        let name = server.name();
        server.open(QUICK).put(&key(), bytes(LENGTH)).await.unwrap();
        for fault in [Fault::ResetDownload(20_000), Fault::CutDownload(20_000)] {
            let (line, storage) = server.open_behind(fault, EVER).await;

            let error = storage.get(&key()).await.unwrap_err();
            assert_unavailable(name, &error);
            let read = read_in_pieces(&storage).await;
            assert!(read.is_err(), "{name} {fault:?}");

            assert_eq!(line.connections(), 6, "{name} {fault:?}");
        }
    }
}

#[tokio::test]
async fn an_upload_that_breaks_is_sent_again() {
    for server in &Server::all().await {
        for length in [LENGTH, LARGE] {
            let picture = bytes(length);
            let (_line, storage) = server.open_behind(Fault::ResetUpload(MIDDLE), 2).await;

            storage.put(&key(), picture.clone()).await.unwrap();

            let name = server.name();
            assert!(storage.get(&key()).await.unwrap() == picture, "{name}");
        }
    }
}

#[tokio::test]
async fn an_upload_that_never_gets_through_leaves_nothing() {
    for server in &Server::all().await {
        for length in [LENGTH, LARGE] {
            let (_line, storage) = server.open_behind(Fault::ResetUpload(MIDDLE), EVER).await;

            let error = storage.put(&key(), bytes(length)).await.unwrap_err();

            assert_unavailable(server.name(), &error);
            let found = server.open(QUICK).exists(&key()).await.unwrap();
            assert!(!found, "{}", server.name());
        }
        if let Server::S3(bucket) = server {
            let begun = std::fs::read_dir(bucket.root()).unwrap().filter(|entry| {
                let name = entry.as_ref().unwrap().file_name();
                name.to_string_lossy().starts_with(".upload")
            });
            assert_eq!(begun.count(), 0);
        }
    }
}

#[tokio::test]
async fn who_is_told_to_slow_down_comes_back_later() {
    for server in &Server::all().await {
        let name = server.name();
        let (_line, storage) = server.open_behind(Fault::SlowDown, 2).await;
        storage.put(&key(), &b"picture"[..]).await.unwrap();
        let (_line, storage) = server.open_behind(Fault::SlowDown, 2).await;
        assert_eq!(storage.len(&key()).await.unwrap(), 7, "{name}");

        let (line, storage) = server.open_behind(Fault::SlowDown, EVER).await;
        let error = storage.put(&key(), &b"picture"[..]).await.unwrap_err();

        assert_unavailable(name, &error);
        assert!(said(&error).contains("503"), "{name} {error}");
        assert_eq!(line.connections(), 3, "{name}");
        // Not: it is not there.
        let error = storage.exists(&key()).await.unwrap_err();
        assert_unavailable(name, &error);
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_asked_again_and_given_up_in_time() {
    for server in &Server::all().await {
        let name = server.name();
        let (_line, storage) = server.open_behind(Fault::Silence, 1).await;
        storage.put(&key(), &b"picture"[..]).await.unwrap();
        let (_line, storage) = server.open_behind(Fault::Silence, 1).await;
        assert_eq!(storage.get(&key()).await.unwrap(), b"picture", "{name}");

        let (line, storage) = server.open_behind(Fault::Silence, EVER).await;
        let began = Instant::now();
        let error = storage.put(&key(), &b"picture"[..]).await.unwrap_err();

        let kind = assert_unavailable(name, &error);
        assert_eq!(kind, io::ErrorKind::TimedOut, "{name}");
        assert_eq!(line.connections(), 3, "{name}");
        assert!(began.elapsed() < QUICK.whole, "{name}");
    }
}

#[tokio::test]
async fn a_storage_that_went_away_is_used_again_when_it_is_back() {
    let bucket = Bucket::start().await;
    let storage = super::places::open(&bucket.arguments(), QUICK);
    storage.put(&key(), &b"picture"[..]).await.unwrap();

    bucket.stop().await;
    let error = storage.put(&key(), &b"picture"[..]).await.unwrap_err();
    let kind = assert_unavailable("s3", &error);
    assert_eq!(kind, io::ErrorKind::ConnectionRefused);

    bucket.start_again().await;
    assert_eq!(storage.get(&key()).await.unwrap(), b"picture");
    let file = bucket.objects().join(key().as_str());
    assert_eq!(std::fs::read(file).unwrap(), b"picture");
}

#[tokio::test]
async fn where_nobody_listens_is_told_soon() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let storage = super::places::open(&Bucket::arguments_at(address), QUICK);
    let began = Instant::now();

    let error = storage.probe().await.unwrap_err();

    assert_unavailable("s3", &error);
    assert!(began.elapsed() < Duration::from_secs(5));
}
