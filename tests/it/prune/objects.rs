//! Objects go after their rows, by whatever worker, and not because of one that the storage will not remove.

use std::fs::File;
use std::time::{Duration, SystemTime};

use crate::harness::Stage;

const REMOVALS: &str = "SELECT count(*) FROM photo_generation_removals";

#[tokio::test]
async fn with_the_jobs_their_photos_go_if_that_is_set() {
    let stage = Stage::new().await;
    let young = stage.completed(20, 2).await;
    stage.completed(40, 700).await;
    stage.paint().await;
    stage.retain(30, 30, "true").await;

    let worker = stage.pruning_worker().await;

    stage
        .until("SELECT count(*) = 2 FROM photo_generation_queue")
        .await;
    stage
        .until("SELECT NOT EXISTS (SELECT FROM photo_generation_removals)")
        .await;
    assert_eq!(stage.pictures(), 2);
    assert_eq!(stage.jobs().await, young);
    stage.assert_photos().await;
    worker.stop().await;
}

#[tokio::test]
async fn by_hand_they_are_noted_and_a_worker_removes_them() {
    let stage = Stage::new().await;
    stage.completed(40, 5).await;
    stage.paint().await;

    let said = stage
        .safelight(&["prune", "--completed-days=30", "--objects", "--yes"])
        .await;

    assert_eq!(
        said.stdout,
        "5 jobs are pruned. The workers remove their photos from the storage within minutes.\n"
    );
    assert_eq!((stage.pictures(), stage.number(REMOVALS).await), (5, 5));
    // A worker of a fleet that has no retention set.
    let worker = stage.pruning_worker().await;
    stage
        .until("SELECT NOT EXISTS (SELECT FROM photo_generation_removals)")
        .await;
    assert_eq!(stage.pictures(), 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_are_killed_in_the_middle_leave_no_object() {
    let stage = Stage::new().await;
    stage.completed(40, 1000).await;
    stage.paint().await;
    stage
        .safelight(&["prune", "--completed-days=30", "--objects", "--yes"])
        .await;
    assert_eq!(stage.number(REMOVALS).await, 1000);

    let mut kills = 0;
    while stage.pictures() > 0 {
        let some = stage.pictures().saturating_sub(250);
        let workers = [stage.pruning_worker().await, stage.pruning_worker().await];
        while stage.pictures() > some {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for worker in workers {
            worker.kill();
        }
        kills += 1;
        // As if ten minutes had passed: what was taken is tried again.
        stage
            .sql(r#"UPDATE photo_generation_removals SET "tryAt" = now()"#)
            .await;
    }
    assert!(kills >= 2, "killed {kills} times only");

    let worker = stage.pruning_worker().await;
    stage
        .until("SELECT NOT EXISTS (SELECT FROM photo_generation_removals)")
        .await;
    worker.stop().await;
}

#[tokio::test]
async fn an_object_that_the_storage_does_not_remove_is_tried_again_and_keeps_no_other() {
    let stage = Stage::new().await;
    stage.completed(40, 20).await;
    stage.paint().await;
    // No file can be removed by this name.
    let stuck = stage.keys().await.remove(0);
    let path = stage.photos().join(&stuck);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    stage.retain(30, 30, "true").await;

    let worker = stage.pruning_worker().await;
    stage
        .until("SELECT count(*) = 20 FROM photo_generation_removals WHERE error IS NOT NULL")
        .await;
    let pause = format!(
        r#"SELECT extract(epoch FROM "tryAt" - now())::bigint FROM photo_generation_removals WHERE "storageKey" = '{stuck}'"#
    );
    let first = stage.number(&pause).await;
    assert!((560..=600).contains(&first), "{first}");
    // An hour later: each by itself now.
    stage
        .sql(
            r#"UPDATE photo_generation_removals
               SET "tryAt" = now(), "createdAt" = now() - interval '1 hour'"#,
        )
        .await;
    stage
        .until("SELECT count(*) = 1 FROM photo_generation_removals")
        .await;
    // It has been tried for an hour: an hour is the pause.
    let later = stage.number(&pause).await;
    assert!((3500..=3700).contains(&later), "{later}");

    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, "a picture again").unwrap();
    stage
        .sql(r#"UPDATE photo_generation_removals SET "tryAt" = now()"#)
        .await;
    stage
        .until("SELECT NOT EXISTS (SELECT FROM photo_generation_removals)")
        .await;
    assert_eq!(stage.pictures(), 0);
    worker.stop().await;
}

/// A picture that was uploaded for jobs goes when the last of them is pruned, if photos go at all.
#[tokio::test]
async fn uploads_go_with_the_last_job_that_names_them() {
    let stage = Stage::new().await;
    let jobs = stage.completed(40, 3).await;
    let names = ["0a", "0b", "0c"].map(|two| format!("{}.png", two.repeat(32)));
    for (name, job) in names.iter().zip(&jobs) {
        let path = stage.photos().join("uploads/user=3A7").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = File::create(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(960))
            .unwrap();
        stage
            .sql(&format!(
                r#"INSERT INTO photo_generation_uploads (tenant, name, bytes, "uploadedAt", "usedAt")
                   VALUES ('user:7', '{name}', 0, now() - interval '41 days', now() - interval '40 days');
                   UPDATE photo_generation_queue SET "trainingImageUrls" = '["https://example.com/a.png", "upload:{name}"]'
                   WHERE id = {job}"#
            ))
            .await;
    }
    // Another one names the second; a request has just named the third.
    let young = stage.completed(20, 1).await[0];
    stage
        .sql(&format!(
            r#"UPDATE photo_generation_queue SET "exampleImageUrl" = 'upload:{}' WHERE id = {young};
               UPDATE photo_generation_uploads SET "usedAt" = now() WHERE name = '{}'"#,
            names[1], names[2]
        ))
        .await;
    stage.retain(30, 30, "true").await;

    let worker = stage.pruning_worker().await;
    stage
        .until("SELECT count(*) = 1 FROM photo_generation_queue")
        .await;
    worker.stop().await;
    // The sweep of unused uploads looks when a worker starts, and then every five minutes.
    let worker = stage.pruning_worker().await;
    stage
        .until("SELECT count(*) = 2 AND count(\"usedAt\") = 2 FROM photo_generation_uploads")
        .await;
    worker.stop().await;

    let exists = |name: &str| stage.photos().join("uploads/user=3A7").join(name).exists();
    assert_eq!(names.map(|name| exists(&name)), [false, true, true]);
}
