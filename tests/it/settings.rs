//! Settings of the whole fleet: recorded once, changed by migrate, obeyed by all.

use crate::harness::Stage;

const RECORDED: &str = "SELECT string_agg(concat(key, '=', value), ' ' ORDER BY key)
    FROM photo_generation_settings WHERE key IN
    ('tenantMaxRunning', 'maxJobsPerSecond', 'maxJobsPerMinute', 'dailySpendLimit')";

#[tokio::test]
async fn the_first_worker_records_what_is_set_and_a_later_one_tells_of_a_difference() {
    let stage = Stage::new().await;
    let first = stage.process(&[
        "--tenant-max-running=5",
        "--max-jobs-per-second=7",
        "--daily-spend-limit=12.5",
    ]);
    first.said("worker started").await;
    assert_eq!(
        stage.text(RECORDED).await,
        "dailySpendLimit=12.5 maxJobsPerSecond=7 tenantMaxRunning=5"
    );
    first.said_nothing_of("for the whole fleet");

    let second = stage.process(&[
        "--tenant-max-running=9",
        "--max-jobs-per-second=7",
        "--max-jobs-per-minute=100",
        "--daily-spend-limit=12.5",
    ]);
    second.said("worker started").await;

    second
        .said("TENANT_MAX_RUNNING is 9, but the database says 5 for the whole fleet; change it there with: TENANT_MAX_RUNNING=9 safelight migrate")
        .await;
    let lines = second.lines();
    let told = lines.iter().filter(|line| line.contains("whole fleet"));
    assert_eq!(told.count(), 1, "{lines:#?}");
    assert_eq!(
        stage.text(RECORDED).await,
        "dailySpendLimit=12.5 maxJobsPerMinute=100 maxJobsPerSecond=7 tenantMaxRunning=5"
    );
}

#[tokio::test]
async fn a_worker_says_which_of_its_types_it_does_not_know() {
    let stage = Stage::new().await;

    let worker = stage.process(&["--worker-types=tryon,portraits"]);

    worker
        .said("WORKER_TYPES names \"portraits\", of which this version knows nothing; it knows photo_generation, image_generation, image_edit, tryon")
        .await;
    worker.said_nothing_of("names \"tryon\"");
}

#[tokio::test]
async fn migrate_writes_those_that_are_set_and_leaves_the_others() {
    let stage = Stage::new().await;
    let set = stage
        .safelight(&[
            "migrate",
            "--tenant-max-running=9",
            "--max-jobs-per-minute=60",
            "--retention-completed-days=30",
            "--retention-delete-objects=true",
        ])
        .await;
    assert!(
        set.stdout
            .ends_with("TENANT_MAX_RUNNING is 9 for the whole fleet.\nMAX_JOBS_PER_MINUTE is 60 for the whole fleet.\nRETENTION_COMPLETED_DAYS is 30 for the whole fleet.\nRETENTION_DELETE_OBJECTS is true for the whole fleet.\n"),
        "{set:?}"
    );

    let changed = stage
        .safelight(&["migrate", "--tenant-max-running=0"])
        .await;

    assert_eq!(changed.code, 0, "{changed:?}");
    assert_eq!(
        stage.text(RECORDED).await,
        "maxJobsPerMinute=60 tenantMaxRunning=0"
    );
}

/// The jobs of one tenant that run, while it has more.
async fn runs(stage: &Stage, user: &str, jobs: i64) {
    stage
        .until(&format!(
            r#"SELECT count(*) = {jobs} FROM photo_generation_queue
               WHERE status = 'processing' AND "userId" = '{user}'"#
        ))
        .await;
}

#[tokio::test]
async fn a_tenant_runs_as_many_jobs_as_are_set_for_it_or_for_all() {
    let stage = Stage::new().await;
    let worker = stage
        .worker_with(|settings| {
            settings.concurrency = 20;
            settings.poll_every = std::time::Duration::from_hours(1);
        })
        .await;
    for user in ["7", "8"] {
        stage
            .sql(&format!(
                r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "userId")
                   SELECT 'a lake [sim:hang]', 1, '{user}' FROM generate_series(1, 6)"#
            ))
            .await;
    }
    // What holds for all when nobody says anything.
    runs(&stage, "7", 3).await;
    runs(&stage, "8", 3).await;

    let raised = stage
        .safelight(&["limits", "tenant", "user:7", "--max-running", "5"])
        .await;
    assert_eq!(
        raised.stdout, "user:7 may run 5 jobs at a time.\n",
        "{raised:?}"
    );
    runs(&stage, "7", 5).await;

    let table = stage.safelight(&["limits", "tenants"]).await;
    let lines: Vec<_> = table.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "TENANT  RUNNING  SET BY",
            "user:7      5/5  limits tenant",
            "user:8      3/3",
            "A tenant may run 3 jobs at a time (TENANT_MAX_RUNNING), if nothing else is set for it.",
        ]
    );
    let any = stage
        .safelight(&["limits", "tenant", "user:7", "--max-running", "none"])
        .await;
    assert_eq!(any.stdout, "user:7 may run any number of jobs at a time.\n");
    runs(&stage, "7", 6).await;
    let usual = stage
        .safelight(&["limits", "tenant", "user:7", "--max-running", "default"])
        .await;
    assert_eq!(usual.stdout, "user:7 may run 3 jobs at a time.\n");
    let json = stage
        .safelight(&["limits", "tenants", "--json"])
        .await
        .json();
    assert_eq!(json["usual"], 3);
    assert_eq!(json["tenants"][0]["running"], 6);
    assert_eq!(json["tenants"][0]["own"], false);
    let wrong = stage
        .safelight(&["limits", "tenant", "7", "--max-running", "3"])
        .await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
    worker.kill();
}
