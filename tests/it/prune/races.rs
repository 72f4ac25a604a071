//! Several that prune, and others who hold or change what is to go.

use safelight::db::prune::{self, From, Pruner, Referrers, Retention, Walk};
use sqlx::Connection as _;
use tokio::process::Command;
use uuid::Uuid;

use crate::harness::Stage;

const JOBS_LEFT: &str = "SELECT count(*) FROM photo_generation_queue";
const REMOVALS: &str = "SELECT count(*) FROM photo_generation_removals";
const MONTH: Retention = Retention {
    completed_days: 30,
    failed_days: 30,
    objects: true,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_prune_at_once_remove_each_job_once() {
    let stage = Stage::new().await;
    stage.completed(40, 3000).await;
    let prune = [
        "prune",
        "--completed-days=30",
        "--objects",
        "--yes",
        "--json",
    ];

    let (one, other) = tokio::join!(stage.safelight(&prune), stage.safelight(&prune));

    let removed = |answer: &crate::harness::Answer| answer.json()["removedJobs"].as_i64().unwrap();
    assert_eq!(removed(&one) + removed(&other), 3000, "{one:?} {other:?}");
    assert_eq!(stage.jobs().await, [0; 0]);
    assert_eq!(stage.number(REMOVALS).await, 3000);
}

#[tokio::test]
async fn what_somebody_holds_is_passed_by_without_waiting() {
    let stage = Stage::new().await;
    let jobs = stage.completed(40, 10).await;
    let mut hand = sqlx::PgConnection::connect(&stage.url).await.unwrap();
    let mut held = hand.begin().await.unwrap();
    sqlx::query("SELECT FROM photo_generation_queue WHERE id = $1 FOR KEY SHARE")
        .bind(jobs[3])
        .execute(&mut *held)
        .await
        .unwrap();

    let said = stage
        .safelight(&["prune", "--completed-days=30", "--yes"])
        .await;

    assert_eq!(
        said.stdout,
        "9 jobs are pruned. 1 had changed meanwhile or is held by somebody, and is left alone.\n"
    );
    assert_eq!(stage.jobs().await, [jobs[3]]);
    held.rollback().await.unwrap();
}

/// Somebody wants it done again, or refers to it, after it was found and before it is locked.
#[tokio::test]
async fn what_has_changed_since_it_was_found_stays() {
    let stage = Stage::new().await;
    let jobs = stage.completed(40, 3).await;
    stage
        .sql("CREATE TABLE photos (job bigint REFERENCES photo_generation_queue ON DELETE CASCADE)")
        .await;
    let db = stage.db().await;
    let mut walk = Walk::begin(&db, MONTH, From::Adoption).await.unwrap();
    let found = walk.next().await.unwrap().unwrap();
    assert_eq!(found.len(), 3);
    let mut pruner = Pruner::new(MONTH, Referrers::find(&db).await.unwrap());
    stage
        .sql(&format!(
            "UPDATE photo_generation_queue SET status = 'pending' WHERE id = {}; INSERT INTO photos VALUES ({})",
            jobs[0], jobs[1]
        ))
        .await;

    pruner.remove(&db, &jobs, |_| {}).await.unwrap();

    assert_eq!(pruner.removed, 1);
    assert_eq!(stage.jobs().await, jobs[..2]);
    assert_eq!(walk.next().await.unwrap(), None);
}

#[tokio::test]
async fn one_worker_of_the_fleet_walks_once_an_hour() {
    let stage = Stage::new().await;
    let db = stage.db().await;
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let begins = async |run| prune::begin_pass(&db, run).await.unwrap();
    let goes_on = async |run| prune::continue_pass(&db, run).await.unwrap();
    let hours_later = async || {
        stage
            .sql(
                r#"UPDATE photo_generation_settings SET "updatedAt" = now() - interval '61 minutes'
                   WHERE key = 'pruning'"#,
            )
            .await;
    };

    assert!(begins(one).await);
    assert!(!begins(other).await && !begins(one).await);
    assert!(goes_on(one).await && !goes_on(other).await);
    // Who goes on is not overtaken; who died is.
    hours_later().await;
    assert!(goes_on(one).await && !begins(other).await);
    hours_later().await;
    assert!(begins(other).await);
    assert!(!goes_on(one).await && !begins(one).await);
}

/// Killed again and again, in the middle: a job is there with all that is its own, or gone with a note of
/// its object.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_it_leaves_nothing_half_done() {
    const JOBS: i64 = 6000;
    let stage = Stage::new().await;
    stage.completed(40, 6000).await;
    let mut left = JOBS;
    let mut kills = 0;
    while left > 1000 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_safelight"))
            .args(["prune", "--completed-days=30", "--objects", "--yes"])
            .env("DATABASE_URL", &stage.url)
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        stage
            .until(&format!(
                "SELECT count(*) < {left} FROM photo_generation_queue"
            ))
            .await;
        child.kill().await.unwrap();
        kills += 1;

        // What the server was at when its client died comes to its end.
        stage
            .until(
                "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                        AND pid <> pg_backend_pid() AND state <> 'idle')",
            )
            .await;
        left = stage.number(JOBS_LEFT).await;
        let whole = format!("{left} images, {left} calls, 0 without a job");
        assert_eq!(stage.belongings().await, whole);
        assert_eq!(stage.number(REMOVALS).await, JOBS - left);
    }
    assert!(kills >= 3, "killed {kills} times only");

    let done = stage
        .safelight(&["prune", "--completed-days=30", "--objects", "--yes"])
        .await;

    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(
        stage.belongings().await,
        "0 images, 0 calls, 0 without a job"
    );
    assert_eq!(stage.number(REMOVALS).await, JOBS);
}
