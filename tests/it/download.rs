//! `safelight download`: pictures of jobs and batches as files, whole or not at all.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Answer, Stage};

impl Stage {
    async fn download(&self, arguments: &[&str]) -> Answer {
        let storage = format!("--storage=local:{}", self.photos().display());
        let arguments = [&["download", &storage], arguments].concat();
        self.safelight(&arguments).await
    }

    /// A batch of two jobs that are done: two pictures of the first, one of the second.
    async fn done_batch(&self) {
        self.sql(
            r#"INSERT INTO photo_generation_batches DEFAULT VALUES;
               INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "userId", "batchId")
               VALUES ('hill', 2, '7', 1), ('lake', 1, '7', 1)"#,
        )
        .await;
        let worker = self.process(&["--drain"]);
        assert_eq!(worker.exit_code().await, Some(0));
    }
}

/// All files below a directory, by their paths from there, with their lengths.
fn files(directory: &Path) -> Vec<(String, u64)> {
    fn walk(directory: &Path, root: &Path, found: &mut Vec<(String, u64)>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.push((name, fs::metadata(&path).unwrap().len()));
            }
        }
    }
    let mut found = Vec::new();
    walk(directory, directory, &mut found);
    found.sort();
    found
}

fn names(directory: &Path) -> Vec<String> {
    files(directory).into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn a_job_and_a_batch_become_files() {
    let stage = Stage::new().await;
    stage.done_batch().await;
    let (one, all) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, all) = (one.path().join("new/folder"), all.path());

    let of_job = stage.download(&["1", one.to_str().unwrap()]).await;
    let of_batch = stage.download(&["--batch=1", all.to_str().unwrap()]).await;

    assert_eq!(
        (of_job.code, of_batch.code),
        (0, 0),
        "{of_job:?} {of_batch:?}"
    );
    assert_eq!(names(&one), ["image-1.png", "image-2.png"]);
    assert_eq!(
        names(all),
        [
            "job-1/image-1.png",
            "job-1/image-2.png",
            "job-2/image-1.png"
        ]
    );
    assert!(of_job.stdout.starts_with("2 pictures ("), "{of_job:?}");
    let rows = stage
        .number(r#"SELECT sum(bytes) FROM photo_generation_images WHERE "jobId" = 1"#)
        .await;
    let sizes: u64 = files(&one).iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(sizes, u64::try_from(rows).unwrap());
}

#[tokio::test]
async fn what_is_there_is_left_and_nothing_is_overwritten() {
    let stage = Stage::new().await;
    stage.done_batch().await;
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    stage.download(&["1", place]).await;
    fs::remove_file(folder.path().join("image-1.png")).unwrap();

    let again = stage.download(&["1", place, "--json"]).await;

    assert_eq!(again.code, 0, "{again:?}");
    let told: Vec<Value> = again
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let was_there = |one: &Value| one["wasThere"].as_bool().unwrap();
    assert_eq!(
        told.iter().map(was_there).collect::<Vec<_>>(),
        [false, true]
    );

    fs::write(folder.path().join("image-2.png"), "mine").unwrap();
    let refused = stage.download(&["1", place]).await;

    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("another file"), "{refused:?}");
    assert_eq!(
        fs::read(folder.path().join("image-2.png")).unwrap(),
        b"mine"
    );
}

#[tokio::test]
async fn a_picture_that_is_gone_or_altered_does_not_keep_the_others_back() {
    let stage = Stage::new().await;
    stage.done_batch().await;
    let keys = stage
        .text(r#"SELECT string_agg("storageKey", ' ' ORDER BY "jobId", index) FROM photo_generation_images"#)
        .await;
    let keys: Vec<&str> = keys.split(' ').collect();
    fs::remove_file(stage.photos().join(keys[0])).unwrap();
    fs::write(stage.photos().join(keys[1]), "another picture").unwrap();
    let folder = tempfile::tempdir().unwrap();

    let answer = stage
        .download(&["--batch=1", folder.path().to_str().unwrap()])
        .await;

    assert_eq!(answer.code, 1);
    for words in [
        "does not exist",
        "not what was stored",
        "2 pictures not saved",
    ] {
        assert!(answer.stderr.contains(words), "{words}: {answer:?}");
    }
    assert_eq!(names(folder.path()), ["job-2/image-1.png"]);
}

#[tokio::test]
async fn what_has_no_pictures_says_why() {
    let stage = Stage::new().await;
    let job = stage.job("hill", 3).await.to_string();

    for (arguments, code, words) in [
        (
            vec![job.as_str(), "x"],
            1,
            "job 1 is pending, 0 of 3 stored",
        ),
        (vec!["77", "x"], 1, "there is no job 77"),
        (vec!["--batch=5", "x"], 1, "there is no batch 5"),
        (vec!["x"], 2, "required"),
    ] {
        let answer = stage.download(&arguments).await;
        assert_eq!(answer.code, code, "{arguments:?}: {answer:?}");
        assert!(answer.stderr.contains(words), "{arguments:?}: {answer:?}");
    }
    assert!(!stage.photos().join("x").exists());
}
