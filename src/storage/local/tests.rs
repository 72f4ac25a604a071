use tempfile::TempDir;

use super::*;
use crate::domain::{Failure, Tenant};
use crate::images::PictureFormat;
use crate::storage::{ObjectPrefix, Storage};

fn storage() -> (TempDir, Storage) {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = Storage::Local(Local::new(directory.path()));
    (directory, storage)
}

fn prefix(call: u128) -> ObjectPrefix {
    ObjectKey::generated_prefix(
        &Tenant::of(Some("7"), None),
        Uuid::nil(),
        1,
        Uuid::from_u128(call),
    )
}

/// Names of all files below a directory.
fn files(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            names.extend(files(&path));
        } else {
            names.push(path.file_name().expect("a name").display().to_string());
        }
    }
    names
}

#[tokio::test]
async fn what_was_put_is_there_and_nothing_else() {
    let (directory, storage) = storage();
    let key = prefix(1).with(PictureFormat::Png);

    storage.put(&key, &b"picture"[..]).await.expect("is put");

    assert_eq!(storage.get(&key).await.expect("is there"), b"picture");
    assert_eq!(storage.len(&key).await.expect("is there"), 7);
    assert!(storage.exists(&key).await.expect("can be asked"));
    assert_eq!(files(directory.path()).len(), 1);
}

#[tokio::test]
async fn putting_the_same_key_again_replaces_it_whole() {
    let (directory, storage) = storage();
    let key = prefix(1).with(PictureFormat::Png);

    storage
        .put(&key, &b"longer picture"[..])
        .await
        .expect("is put");
    storage
        .put(&key, &b"picture"[..])
        .await
        .expect("is put again");

    assert_eq!(storage.get(&key).await.expect("is there"), b"picture");
    assert_eq!(files(directory.path()).len(), 1);
}

#[tokio::test]
async fn many_at_once_share_a_new_folder() {
    let (directory, storage) = storage();

    let mut puts = tokio::task::JoinSet::new();
    for call in 0..16 {
        let storage = storage.clone();
        puts.spawn(async move {
            let key = prefix(call).with(PictureFormat::Png);
            storage.put(&key, &b"picture"[..]).await?;
            storage.find(&prefix(call)).await
        });
    }
    let found = puts.join_all().await;

    assert!(found.iter().all(|found| matches!(found, Ok(Some(_)))));
    assert_eq!(files(directory.path()).len(), 16);
}

#[tokio::test]
async fn an_object_is_found_without_its_extension() {
    let (directory, storage) = storage();
    let found = async |call| storage.find(&prefix(call)).await.expect("can be asked");
    assert_eq!(found(1).await, None);

    let key = prefix(1).with(PictureFormat::Webp);
    storage.put(&key, &b"picture"[..]).await.expect("is put");
    // What a crash in the middle of call 2 leaves behind.
    let folder = directory.path().join(key.as_str());
    let folder = folder.parent().expect("a folder");
    fs::write(temporary_in(folder), b"pict").expect("is written");

    assert_eq!(found(1).await, Some(key));
    assert_eq!(found(2).await, None);
    // Call 0x10 has the text of call 0x1 in front of nothing.
    assert_eq!(found(0x10).await, None);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (_directory, storage) = storage();
    storage
        .put(&ObjectKey::parse("a/b.png").expect("a key"), &b"x"[..])
        .await
        .expect("is put");

    for missing in ["c.png", "a", "a/b.png/c.png"] {
        let key = ObjectKey::parse(missing).expect("a key");
        assert!(!storage.exists(&key).await.expect("can be asked"));
    }
    let key = ObjectKey::parse("c.png").expect("a key");
    let error = storage.get(&key).await.expect_err("is not there");
    assert!(matches!(error, StorageError::NotFound));
}

#[tokio::test]
async fn a_listing_shows_nothing_that_is_hidden_and_bears_that_there_is_nothing() {
    let (directory, storage) = storage();
    let key = prefix(1).with(PictureFormat::Png);
    storage.put(&key, &b"picture"[..]).await.expect("is put");
    let folder = directory.path().join(key.as_str());
    let folder = folder.parent().expect("a folder");
    fs::write(temporary_in(folder), b"pict").expect("is written");
    fs::create_dir(directory.path().join(".hidden")).expect("is created");
    fs::write(directory.path().join(".hidden/a.png"), b"x").expect("is written");
    let nowhere = Storage::Local(Local::new(directory.path().join("not/yet")));

    let listed: Vec<_> = storage.list().try_collect().await.expect("is listed");
    let nothing: Vec<_> = nowhere.list().try_collect().await.expect("is listed");

    let names: Vec<_> = listed.iter().map(|listed| listed.name.as_str()).collect();
    assert_eq!(names, [key.as_str()]);
    assert_eq!(nothing, []);
}

#[tokio::test]
async fn a_failed_put_leaves_nothing_and_tells_no_path() {
    let (directory, storage) = storage();
    // A folder stands where the file should go.
    fs::create_dir_all(directory.path().join("a.png/x")).expect("is created");

    let error = storage
        .put(&ObjectKey::parse("a.png").expect("a key"), &b"x"[..])
        .await
        .expect_err("cannot be put");

    assert!(files(directory.path()).is_empty());
    let failure = Failure::from(error);
    assert_eq!(failure.code, "storage_failed");
    assert!(!failure.message.contains("a.png"), "{failure}");
}

#[tokio::test]
async fn the_probe_creates_the_directory_and_leaves_nothing_in_it() {
    let (directory, _) = storage();
    let deep = directory.path().join("new/photos");

    Storage::Local(Local::new(&deep))
        .probe()
        .await
        .expect("works");

    assert!(deep.is_dir());
    assert!(files(directory.path()).is_empty());
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named_to_the_operator_only() {
    let (directory, _) = storage();
    fs::write(directory.path().join("file"), b"").expect("is written");
    let place = directory.path().join("file/photos");

    let error = Storage::Local(Local::new(&place))
        .probe()
        .await
        .expect_err("is no directory");

    let place = place.display().to_string();
    assert!(error.to_string().contains(&place), "{error}");
    assert!(!Failure::from(error).message.contains(&place));
}

#[tokio::test]
async fn an_examination_leaves_nothing_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = Storage::Local(Local::new(directory.path().join("not/yet")));

    storage.examine().await.expect("can be written");

    let left = fs::read_dir(directory.path()).expect("a directory").count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn an_examination_spares_what_was_there() {
    let (directory, storage) = storage();
    let key = prefix(1).with(PictureFormat::Png);
    storage.put(&key, &b"picture"[..]).await.expect("is put");

    storage.examine().await.expect("can be written");

    assert_eq!(storage.get(&key).await.expect("is there"), b"picture");
    assert_eq!(files(directory.path()).len(), 1);
}

#[tokio::test]
async fn an_examination_finds_a_storage_that_is_no_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "a file").expect("is written");
    let storage = Storage::Local(Local::new(file.join("photos")));

    let refused = storage.examine().await;

    assert!(matches!(refused, Err(StorageError::Unusable { .. })));
}

#[tokio::test]
async fn only_what_was_put_long_ago_is_removed_and_removing_twice_is_no_error() {
    const DAY: Duration = Duration::from_hours(24);
    let (directory, storage) = storage();
    let key = prefix(1).with(PictureFormat::Png);
    let put_at = |ago| {
        let file = File::options()
            .write(true)
            .open(directory.path().join(key.as_str()));
        let moment = std::time::SystemTime::now() - ago;
        file.expect("opens").set_modified(moment).expect("is set");
    };
    storage.put(&key, &b"picture"[..]).await.expect("is put");

    storage.delete_older(&key, DAY).await.expect("is looked at");
    assert!(storage.exists(&key).await.expect("can be asked"));

    put_at(DAY);
    storage
        .put(&key, &b"picture"[..])
        .await
        .expect("is put again");
    storage.delete_older(&key, DAY).await.expect("is looked at");
    assert!(storage.exists(&key).await.expect("can be asked"));

    put_at(DAY);
    storage.delete_older(&key, DAY).await.expect("is removed");
    storage.delete_older(&key, DAY).await.expect("is not there");
    assert!(!storage.exists(&key).await.expect("can be asked"));
}

#[tokio::test]
async fn a_list_has_every_object_and_nothing_that_is_hidden() {
    use futures_util::TryStreamExt as _;

    let (directory, storage) = storage();
    for call in 1..=150 {
        let key = prefix(call).with(PictureFormat::Png);
        storage.put(&key, vec![0; 7]).await.expect("room");
    }
    fs::write(directory.path().join("team=3A7/.half.tmp"), "half").expect("a file");
    fs::write(directory.path().join("avatar.png"), "somebody else's").expect("a file");

    let mut listed: Vec<Listed> = storage.list().try_collect().await.expect("a list");

    listed.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(listed.len(), 151);
    assert_eq!(listed[0].name, "avatar.png");
    assert_eq!(listed[1].name, prefix(1).with(PictureFormat::Png).as_str());
    assert_eq!(listed[1].bytes, 7);
    assert!(listed[1].modified.elapsed().expect("the past") < Duration::from_mins(1));
    let nowhere = Storage::Local(Local::new(directory.path().join("nowhere")));
    let none: Vec<Listed> = nowhere.list().try_collect().await.expect("no list");
    assert!(none.is_empty());
}
