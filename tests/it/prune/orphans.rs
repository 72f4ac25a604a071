//! Objects that no row knows: found, told, and removed only if asked.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::harness::{Answer, Stage};

impl Stage {
    /// An object that was put so many hours ago.
    fn object(&self, key: &str, hours: u64) -> PathBuf {
        let path = self.photos().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if !path.exists() {
            std::fs::write(&path, "0123456789").unwrap();
        }
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(hours))
            .unwrap();
        path
    }

    async fn orphans(&self, more: &[&str]) -> Answer {
        let storage = format!("--storage=local:{}", self.photos().display());
        let mut arguments = vec!["prune", "--orphans", &storage];
        arguments.extend(more);
        self.safelight(&arguments).await
    }

    /// The key of a new call of a job, as it would be stored.
    async fn key_of_a_call(&self, job: i64, state: &str, more: &str) -> String {
        // Not text(): what changes data must stand at the top.
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            r#"WITH call AS (
                INSERT INTO photo_generation_calls
                    (id, "jobId", "jobUuid", tenant, index, lease, run, attempt, provider, account, model,
                     "deadlineAt", state, "endedAt", spool)
                SELECT gen_random_uuid(), id, "jobId", 'user:7', 1, 1, gen_random_uuid(), 1, 'gemini', 'default', 'm',
                       now(), '{state}', CASE WHEN '{state}' <> 'calling' THEN now() END, {more}
                FROM photo_generation_queue WHERE id = {job} RETURNING id, "jobUuid")
               SELECT format('user=3A7/%s/1-%s.png', "jobUuid", id) FROM call"#
        )))
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn only_what_no_row_knows_is_an_orphan_and_goes_if_asked() {
    let stage = Stage::new().await;
    let done = stage.completed(2, 1).await[0];
    let waiting = stage.job("a lake", 1).await;
    let known = [
        stage.keys().await.remove(0),
        stage.key_of_a_call(done, "calling", "NULL").await,
        stage
            .key_of_a_call(done, "calling", "gen_random_uuid()")
            .await,
        // The job goes on: what it has tried is looked at there.
        stage.key_of_a_call(waiting, "ambiguous", "NULL").await,
        format!("uploads/user=3A7/{}.png", "0a".repeat(32)),
        format!("uploads/user=3A7/{}.png", "0b".repeat(32)),
        format!("garments/user=3A7/garment-{}.png", uuid::Uuid::from_u128(2)),
    ];
    stage
        .sql(&format!(
            r#"INSERT INTO photo_generation_garments (garment, tenant, "jobId", lease, "storageKey")
               VALUES ('a coat', 'user:7', {done}, 1, '{}')"#,
            known[6]
        ))
        .await;
    let job = uuid::Uuid::from_u128(1);
    let removal = format!("user=3A7/{job}/7-{job}.png");
    stage
        .sql(&format!(
            r#"INSERT INTO photo_generation_uploads (tenant, name, bytes) VALUES ('user:7', '{}.png', 10);
               UPDATE photo_generation_queue SET payload = '{{"images": ["upload:{}.png"]}}' WHERE id = {done};
               INSERT INTO photo_generation_removals ("storageKey") VALUES ('{removal}')"#,
            "0a".repeat(32),
            "0b".repeat(32)
        ))
        .await;
    let orphans = [
        stage.key_of_a_call(done, "ambiguous", "NULL").await,
        format!("team=3A9/{job}/1-{job}.webp"),
        format!("uploads/user=3A7/{}.png", "0c".repeat(32)),
        format!("garments/user=3A7/garment-{job}.png"),
        // Another tenant's upload of the same picture.
        format!("uploads/user=3A8/{}.png", "0a".repeat(32)),
    ];
    let young = format!("team=3A9/{job}/2-{job}.webp");
    let mut all: Vec<PathBuf> = Vec::new();
    for key in known.iter().chain([&removal]).chain(&orphans) {
        all.push(stage.object(key, 25));
    }
    all.push(stage.object(&young, 23));
    all.push(stage.object("avatars/me.png", 1000));
    all.push(stage.object(&format!("photos/{job}/1-{job}.png"), 1000));

    let found = stage.orphans(&[]).await;

    assert_eq!(found.code, 0, "{found:?}");
    let lines: Vec<&str> = found.stdout.lines().collect();
    assert_eq!(
        lines[0],
        "5 orphans among 16 objects, 50 B: no row knows them."
    );
    let mut shown: Vec<_> = lines[1..6].iter().map(|line| line.trim()).collect();
    shown.sort_unstable();
    let mut expected = orphans.clone().map(|key| format!("{key}  10 B"));
    expected.sort_unstable();
    assert_eq!(shown, expected);
    assert_eq!(
        lines[6..],
        [
            "Left out: 1 younger than a day, 2 not named as safelight names them.",
            "To remove them: safelight prune --orphans --delete"
        ]
    );
    let unasked = stage.orphans(&["--delete"]).await;
    assert_eq!(unasked.code, 2, "{unasked:?}");
    assert!(all.iter().all(|path| path.exists()));

    let removed = stage.orphans(&["--delete", "--yes", "--json"]).await.json();

    assert_eq!(removed["removed"], 5, "{removed}");
    assert_eq!(removed["bytes"], 50);
    let gone: Vec<_> = all.iter().filter(|path| !path.exists()).collect();
    assert_eq!(gone.len(), 5, "{gone:?}");
    for key in &orphans {
        assert!(!stage.photos().join(key).exists(), "{key}");
    }
    let none = stage.orphans(&["--delete", "--yes"]).await;
    assert!(
        none.stdout.starts_with("No orphan among 11 objects."),
        "{none:?}"
    );
}

/// Somebody gave the job another uuid: its photos are known by the ledger.
#[tokio::test]
async fn a_photo_of_a_job_that_was_renamed_is_no_orphan() {
    let stage = Stage::new().await;
    stage.completed(2, 1).await;
    let key = stage.keys().await.remove(0);
    stage.object(&key, 100);
    stage
        .sql(r#"UPDATE photo_generation_queue SET "jobId" = gen_random_uuid()"#)
        .await;

    let found = stage.orphans(&[]).await;

    assert!(
        found.stdout.starts_with("No orphan among 1 object."),
        "{found:?}"
    );
}

#[tokio::test]
async fn after_jobs_are_deleted_by_hand_their_photos_are_orphans() {
    let stage = Stage::new().await;
    stage.completed(2, 1200).await;
    stage.paint().await;
    for key in stage.keys().await {
        stage.object(&key, 100);
    }
    stage
        .sql("DELETE FROM photo_generation_queue WHERE id % 2 = 0")
        .await;

    let removed = stage.orphans(&["--delete", "--yes"]).await;

    assert!(
        removed.stdout.ends_with("\n600 objects removed.\n"),
        "{removed:?}"
    );
    assert!(removed.stdout.contains("  and 590 more\n"), "{removed:?}");
    assert_eq!(stage.pictures(), 600);
    stage.assert_photos().await;
}
