use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;
use crate::domain::Tenant;
use crate::images::PictureFormat;

const LIMIT: u64 = 1000;

fn spool() -> (TempDir, Spool) {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::new(folder.path().join("spool"), LIMIT);
    (folder, spool)
}

fn key(call: Uuid) -> ObjectKey {
    let tenant = Tenant::of(Some("7"), None);
    ObjectKey::generated(&tenant, Uuid::nil(), 1, call, PictureFormat::Png)
}

async fn keep(spool: &Spool, bytes: usize) -> ObjectKey {
    let key = key(Uuid::new_v4());
    spool.keep(&key, vec![1; bytes].into()).await.unwrap();
    key
}

fn count(spool: &Spool, photos: u64, bytes: u64) {
    let now = Counted {
        photos,
        bytes,
        largest: if photos > 0 { 100 } else { 0 },
    };
    spool.counted(None, now);
}

fn gone() -> StorageError {
    StorageError::Unavailable {
        source: std::io::ErrorKind::NotADirectory.into(),
    }
}

#[tokio::test]
async fn nothing_is_made_before_it_is_needed() {
    let (folder, spool) = spool();

    assert_eq!(spool.files().await.unwrap().0, []);
    assert_eq!(spool.known_id().await.unwrap(), None);
    assert!(!folder.path().join("spool").exists());
}

#[tokio::test]
async fn what_is_kept_is_found_by_its_call_and_leaves_no_folder_behind() {
    let (folder, spool) = spool();
    let call = Uuid::new_v4();
    let key = key(call);

    spool.keep(&key, vec![1, 2, 3].into()).await.unwrap();

    let files = spool.files().await.unwrap().0;
    assert_eq!(
        (files.len(), &files[0].key, files[0].call, files[0].bytes),
        (1, &key, call, 3)
    );
    let prefix = ObjectKey::generated_prefix(&Tenant::of(Some("7"), None), Uuid::nil(), 1, call);
    assert_eq!(spool.find(&prefix).await.unwrap(), Some(key.clone()));
    assert_eq!(*spool.get(&key).await.unwrap(), [1, 2, 3]);
    spool.remove(&files[0]).await.unwrap();
    assert_eq!(spool.contents().photos, 0);
    assert_eq!(spool.files().await.unwrap().0, []);
    let left = std::fs::read_dir(folder.path().join("spool")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".id"]);
}

#[tokio::test]
async fn foreign_and_unfinished_files_are_no_pictures() {
    let (folder, spool) = spool();
    let key = keep(&spool, 1).await;
    let job = folder.path().join("spool").join(key.as_str());
    let job = job.parent().unwrap();
    let abandoned = job.join(".abandoned.tmp");
    for file in ["notes.txt", "1-of-two.png", ".young.tmp", ".abandoned.tmp"] {
        std::fs::write(job.join(file), b"x").unwrap();
    }
    let file = std::fs::File::options()
        .write(true)
        .open(&abandoned)
        .unwrap();
    file.set_modified(SystemTime::now() - Duration::from_hours(2))
        .unwrap();

    let files = spool.files().await.unwrap().0;

    assert_eq!(files.len(), 1, "{files:?}");
    assert!(!abandoned.exists());
    assert!(job.join(".young.tmp").exists());
}

#[tokio::test]
async fn all_who_ask_at_once_learn_the_same_id() {
    let (_folder, spool) = spool();

    let asked = (0..16).map(|_| spool.id());
    let ids = futures_util::future::try_join_all(asked).await.unwrap();

    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(spool.known_id().await.unwrap(), Some(ids[0]));
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_says_so_and_stops_calls_while_the_storage_is_away() {
    let (folder, spool) = spool();
    std::fs::write(folder.path().join("spool"), b"a file").unwrap();

    let kept = spool.keep(&key(Uuid::new_v4()), vec![1].into()).await;

    assert!(matches!(kept, Err(StorageError::Unavailable { .. })));
    assert_eq!(spool.stops(), None);
    spool.storage_failed(&gone());
    assert!(matches!(spool.stops(), Some(Stopped::Broken(_))));
    assert!(spool.ahead().is_none());
    assert!(!spool.try_out().await);
    std::fs::remove_file(folder.path().join("spool")).unwrap();
    assert!(spool.try_out().await);
    assert_eq!(spool.stops(), None);
}

#[tokio::test]
async fn open_calls_are_reckoned_with_at_the_size_of_the_largest_that_waits() {
    let (_folder, spool) = spool();
    let before: Vec<_> = (0..50).map(|_| spool.ahead().unwrap()).collect();

    keep(&spool, 10).await;
    assert_eq!(spool.stops(), None);
    // 110 wait, 50 may come: of up to 100 each.
    keep(&spool, 100).await;
    assert_eq!(spool.stops(), Some(Stopped::Full));
    assert!(spool.ahead().is_none());

    drop(before);
    assert_eq!(spool.stops(), None);
    let mut open = Vec::new();
    while let Some(ahead) = spool.ahead() {
        open.push(ahead);
    }
    assert_eq!(open.len(), 8);
}

#[tokio::test]
async fn once_full_it_is_so_until_a_tenth_is_free() {
    let (_folder, spool) = spool();
    keep(&spool, 100).await;
    for (bytes, full) in [
        (899, false),
        (900, false),
        (901, true),
        (801, true),
        (800, false),
        (900, false),
    ] {
        count(&spool, 3, bytes);

        assert_eq!(spool.contents().full, full, "{bytes}");
    }

    count(&spool, 3, 901);
    count(&spool, 0, 0);
    assert_eq!(spool.stops(), None);
    assert!(spool.contents().is_at_rest());
}

#[tokio::test]
async fn what_is_paid_for_is_taken_beyond_the_limit() {
    let (_folder, spool) = spool();

    for _ in 0..3 {
        keep(&spool, 900).await;
    }

    assert_eq!(spool.contents().bytes, 2700);
    assert_eq!(spool.stops(), Some(Stopped::Full));
}

#[tokio::test]
async fn what_comes_while_it_is_counted_is_not_forgotten() {
    let (_folder, spool) = spool();
    let (_, look) = spool.files().await.unwrap();
    keep(&spool, 10).await;

    spool.counted(Some(look), Counted::default());
    assert_eq!(spool.contents().photos, 1);

    let (files, look) = spool.files().await.unwrap();
    spool.remove(&files[0]).await.unwrap();
    spool.counted(Some(look), Counted::default());
    assert!(spool.contents().is_at_rest());
}
