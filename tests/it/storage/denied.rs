//! What only the operator can mend: it is told as that, with what to look at, and a bucket that is not
//! there is never taken for an object that is not there.

use futures_util::TryStreamExt as _;
use safelight::domain::Tenant;
use safelight::storage::{ObjectKey, Storage, StorageError};
use uuid::Uuid;

use super::places::{QUICK, Server, open, said};
use crate::harness::{Bucket, Supabase};

fn key() -> ObjectKey {
    ObjectKey::parse("none/a/1-b.png").unwrap()
}

#[track_caller]
fn assert_refused<T>(what: &str, answer: Result<T, StorageError>, words: &str) {
    let Err(error) = answer else {
        panic!("{what} is not refused");
    };
    let text = said(&error);
    assert!(
        matches!(error, StorageError::Refused(_)) && text.contains(words),
        "{what}: {error:?}"
    );
}

/// Everything that says whether something is there.
async fn assert_all_refused(name: &str, storage: &Storage, words: &str) {
    assert_refused(name, storage.probe().await, words);
    assert_refused(name, storage.examine().await, words);
    assert_refused(name, storage.put(&key(), &b"x"[..]).await, words);
    assert_refused(name, storage.get(&key()).await, words);
    assert_refused(name, storage.len(&key()).await, words);
    let tenant = Tenant::of(Some("7"), None);
    let prefix = ObjectKey::generated_prefix(&tenant, Uuid::nil(), 1, Uuid::nil());
    assert_refused(name, storage.find(&prefix).await, words);
    let listed: Result<Vec<_>, _> = storage.list().try_collect().await;
    assert_refused(name, listed, words);
    let age = std::time::Duration::ZERO;
    assert_refused(name, storage.delete_older(&key(), age).await, words);
    let storage = storage.clone();
    let opened = tokio::task::spawn_blocking(move || storage.open(&key()).map(drop));
    assert_refused(name, opened.await.unwrap(), words);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_no_object_that_is_not_there() {
    for server in &Server::all().await {
        let storage = server.open(QUICK);
        server.remove_bucket();

        assert_all_refused(server.name(), &storage, "no bucket photos").await;
    }
}

#[tokio::test]
async fn a_wrong_key_is_told_with_its_setting() {
    let bucket = Bucket::start().await;
    let instead = |of: &str, with: &str| {
        let arguments = bucket.arguments().into_iter();
        let arguments = arguments.map(|argument| match argument.split_once('=') {
            Some((name, _)) if name == of => format!("{name}={with}"),
            _ => argument,
        });
        open(&arguments.collect::<Vec<_>>(), QUICK)
    };
    let wrong = instead("--s3-secret-access-key", "wrong");
    assert_refused("secret", wrong.probe().await, "S3_SECRET_ACCESS_KEY");
    assert_all_refused("secret", &wrong, "S3_").await;
    let unknown = instead("--s3-access-key-id", "nobody");
    assert_refused("key", unknown.probe().await, "S3_ACCESS_KEY_ID");

    let supabase = Supabase::start().await;
    for wrong in ["wrong", "sb_secret_wrong"] {
        let storage = open(&Supabase::arguments_at(supabase.address, wrong), QUICK);
        assert_all_refused(wrong, &storage, "SUPABASE_SERVICE_ROLE_KEY").await;
    }
}

#[tokio::test]
async fn either_kind_of_key_opens_a_project() {
    let supabase = Supabase::start().await;
    for key in Supabase::SECRETS {
        let storage = open(&Supabase::arguments_at(supabase.address, key), QUICK);

        storage.examine().await.unwrap();
    }
}
