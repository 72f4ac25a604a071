//! What every storage does, whatever it is made of.

use std::io::Read as _;
use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt as _;
use safelight::domain::Tenant;
use safelight::images::PictureFormat;
use safelight::storage::{Link, ObjectKey, ObjectPrefix, Storage, StorageError};
use uuid::Uuid;

use super::places::Place;
use crate::harness::client;

const HOUR: Duration = Duration::from_hours(1);
/// Large enough for three parts.
const LARGE: usize = 17 * 1024 * 1024;

fn prefix(call: u128) -> ObjectPrefix {
    let tenant = Tenant::of(Some("7"), None);
    ObjectKey::generated_prefix(&tenant, Uuid::nil(), 1, Uuid::from_u128(call))
}

fn key(call: u128) -> ObjectKey {
    prefix(call).with(PictureFormat::Png)
}

/// Bytes of which no two stretches are the same.
fn bytes(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..length).map(|_| random.u8(..)).collect()
}

async fn names(storage: &Storage) -> Vec<String> {
    let listed = storage.list().map_ok(|listed| listed.name);
    let mut names: Vec<_> = listed.try_collect().await.unwrap();
    names.sort();
    names
}

#[tokio::test]
async fn what_was_put_is_there_whole() {
    for Place { name, storage, .. } in &Place::all().await {
        storage.probe().await.unwrap();
        storage.examine().await.unwrap();
        assert_eq!(names(storage).await, [""; 0], "{name}");

        storage.put(&key(1), &b"picture"[..]).await.unwrap();

        assert_eq!(storage.get(&key(1)).await.unwrap(), b"picture", "{name}");
        assert_eq!(storage.len(&key(1)).await.unwrap(), 7, "{name}");
        storage.put(&key(1), &b"another"[..]).await.unwrap();
        assert_eq!(storage.get(&key(1)).await.unwrap(), b"another", "{name}");
        assert_eq!(names(storage).await, [key(1).as_str()], "{name}");
    }
}

#[tokio::test]
async fn a_large_object_is_the_same_in_pieces() {
    let large = bytes(LARGE);
    for Place { name, storage, .. } in &Place::all().await {
        storage.put(&key(1), large.clone()).await.unwrap();

        assert_eq!(storage.len(&key(1)).await.unwrap(), LARGE as u64, "{name}");
        assert!(storage.get(&key(1)).await.unwrap() == large, "{name}");
        let storage = storage.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut read = Vec::new();
            let mut object = storage.open(&key(1)).unwrap();
            object.read_to_end(&mut read).unwrap();
            // At its end it stays there.
            assert_eq!(object.read(&mut [0; 8]).unwrap(), 0);
            read
        });
        assert!(read.await.unwrap() == large, "{name}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    for Place { name, storage, .. } in &Place::all().await {
        storage.put(&key(1), &b"picture"[..]).await.unwrap();

        let got = storage.get(&key(2)).await;
        assert!(matches!(got, Err(StorageError::NotFound)), "{name} {got:?}");
        let len = storage.len(&key(2)).await;
        assert!(matches!(len, Err(StorageError::NotFound)), "{name} {len:?}");
        assert!(!storage.exists(&key(2)).await.unwrap(), "{name}");
        let storage = storage.clone();
        let opened = tokio::task::spawn_blocking(move || storage.open(&key(2)).err());
        let opened = opened.await.unwrap();
        assert!(
            matches!(opened, Some(StorageError::NotFound)),
            "{name} {opened:?}"
        );
    }
}

#[tokio::test]
async fn an_object_is_found_without_its_extension() {
    for Place { name, storage, .. } in &Place::all().await {
        assert_eq!(storage.find(&prefix(1)).await.unwrap(), None, "{name}");

        let webp = prefix(1).with(PictureFormat::Webp);
        storage.put(&webp, &b"picture"[..]).await.unwrap();

        assert_eq!(
            storage.find(&prefix(1)).await.unwrap(),
            Some(webp),
            "{name}"
        );
        // The text of one call is the beginning of the other's.
        assert_eq!(storage.find(&prefix(0x10)).await.unwrap(), None, "{name}");
    }
}

#[tokio::test]
async fn a_listing_shows_all_objects_with_length_and_time() {
    for Place { name, storage, .. } in &Place::all().await {
        let before = SystemTime::now() - Duration::from_mins(1);
        let mut expected: Vec<_> = (1..=5).map(key).collect();
        let upload = format!("{}.jpg", "a".repeat(64));
        expected.push(ObjectKey::upload_named(&Tenant::of(None, Some("x y")), &upload).unwrap());
        for key in &expected {
            storage.put(key, &b"picture"[..]).await.unwrap();
        }

        let listed: Vec<_> = storage.list().try_collect().await.unwrap();

        let mut found: Vec<_> = listed.iter().map(|listed| listed.name.clone()).collect();
        found.sort();
        expected.sort();
        assert_eq!(
            found,
            expected.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "{name}"
        );
        for listed in listed {
            assert_eq!(listed.bytes, 7, "{name}");
            let until = SystemTime::now() + Duration::from_mins(1);
            assert!(
                (before..until).contains(&listed.modified),
                "{name} {listed:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_removed_is_gone_and_removing_twice_is_no_error() {
    for Place { name, storage, .. } in &Place::all().await {
        let keys: Vec<_> = (1..=30).map(key).collect();
        for key in &keys {
            storage.put(key, &b"picture"[..]).await.unwrap();
        }
        let (kept, removed) = keys.split_last().unwrap();

        storage.delete(removed).await.unwrap();
        storage.delete(removed).await.unwrap();
        storage.delete(&[]).await.unwrap();

        assert_eq!(names(storage).await, [kept.as_str()], "{name}");
    }
}

#[tokio::test]
async fn only_what_is_old_enough_is_removed() {
    for Place { name, storage, .. } in &Place::all().await {
        storage.put(&key(1), &b"picture"[..]).await.unwrap();

        storage.delete_older(&key(1), HOUR).await.unwrap();
        assert!(storage.exists(&key(1)).await.unwrap(), "{name}");
        storage.delete_older(&key(2), HOUR).await.unwrap();

        storage.delete_older(&key(1), Duration::ZERO).await.unwrap();
        assert!(!storage.exists(&key(1)).await.unwrap(), "{name}");
    }
}

#[tokio::test]
async fn a_link_opens_its_object_and_no_other_and_no_longer() {
    let client = client();
    let status = async |url: &str| client.get(url).send().await.unwrap().status().as_u16();
    for Place { name, storage, .. } in &Place::all().await {
        let now = SystemTime::now();
        for call in [1, 2] {
            let content = format!("picture {call}");
            storage.put(&key(call), content.into_bytes()).await.unwrap();
        }
        let keys = [key(2), key(1)];

        let links = storage.links(&keys, now - HOUR, now + HOUR).await.unwrap();

        let Some(links) = links else {
            assert_eq!(*name, "local");
            continue;
        };
        let [Link::Signed(two), Link::Signed(one)] = &links[..] else {
            panic!("{name} {links:?}");
        };
        for (url, content) in [(one, "picture 1"), (two, "picture 2")] {
            let answer = client.get(url).send().await.unwrap();
            assert_eq!(answer.headers()["content-type"], "image/png", "{name}");
            let cache = answer.headers()["cache-control"]
                .to_str()
                .unwrap()
                .to_owned();
            assert!(cache.contains("immutable"), "{name} {cache}");
            assert_eq!(answer.text().await.unwrap(), content, "{name}");
        }
        let again = storage.links(&keys, now - HOUR, now + HOUR).await.unwrap();
        assert_eq!(again.as_ref(), Some(&links), "{name}");
        let other = one.replace(key(1).as_str().rsplit('/').next().unwrap(), "other.png");
        assert!(
            other != *one && (400..404).contains(&status(&other).await),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_link_that_has_expired_or_was_altered_opens_nothing() {
    let client = client();
    for Place { name, storage, .. } in &Place::all().await {
        storage.put(&key(1), &b"picture"[..]).await.unwrap();
        let now = SystemTime::now();

        let soon = now + Duration::from_secs(1);
        let Some(expiring) = storage.links(&[key(1)], now, soon).await.unwrap() else {
            assert_eq!(*name, "local");
            continue;
        };

        let [Link::Signed(expiring)] = &expiring[..] else {
            panic!("{name} {expiring:?}");
        };
        let altered = format!("{}x", &expiring[..expiring.len() - 1]);
        let answer = client.get(altered).send().await.unwrap();
        assert!(
            (400..404).contains(&answer.status().as_u16()),
            "{name} {answer:?}"
        );
        let expired = async {
            while client.get(expiring).send().await.unwrap().status() == 200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            client.get(expiring).send().await.unwrap().status().as_u16()
        };
        let status = tokio::time::timeout(Duration::from_secs(20), expired).await;
        assert!((400..404).contains(&status.unwrap()), "{name}");
    }
}
