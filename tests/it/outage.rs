//! Postgres goes away: for long, for a moment, and only for us. Workers wait, come back by
//! themselves, and nobody mistakes an outage for the death of a worker.

use std::time::Duration;

use safelight::providers::simulator::SimulatorConfig;
use tokio::time::{Instant, sleep, sleep_until};

use crate::harness::{Server, Stage};

/// Longer than the 30 s after which a worker that does not renew is dead.
const OUTAGE: Duration = Duration::from_secs(45);
/// Long enough to count as dead.
const ASLEEP: Duration = Duration::from_secs(36);
/// One worker finds its way back this much later than the other.
const LATE: Duration = Duration::from_secs(12);
/// No look at the queue comes by itself in the time of a test.
const NEVER_POLL: &str = "--poll-interval-ms=3600000";

#[tokio::test]
async fn an_outage_of_45_seconds_takes_no_job_from_its_worker() {
    let server = Server::start().await;
    let stage = Stage::on(&server, SimulatorConfig::instant()).await;
    stage.without_cap().await;
    let prompt = stage.worker_of_two_jobs("prompt").await;
    let late = stage.worker_of_two_jobs("late").await;
    // Two jobs for each worker. Of each job one call is answered in the outage, one after it.
    for number in 1..=4 {
        stage
            .job(
                &format!("lake {number} [sim:slow=15s@1] [sim:slow=60s@2]"),
                2,
            )
            .await;
    }
    stage.until_called(|log| log.len() == 8).await;
    assert_eq!(stage.text(HOLDERS).await, "late 2, prompt 2");
    let waiting = stage.job("a lake that waits", 1).await;

    server.stop().await;
    let down = Instant::now();
    sleep_until(down + OUTAGE - Duration::from_secs(1)).await;
    // What the first one back sees of the other is a renewal as old as the outage.
    late.signal("STOP");
    sleep_until(down + OUTAGE).await;
    server.start_again().await;
    sleep(LATE).await;
    late.signal("CONT");
    stage.until_all_ended().await;

    assert_eq!(
        stage.end_of(waiting).await,
        "completed 1/1 attempts 0 lease 2"
    );
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_queue WHERE status = 'completed' AND attempts = 0 AND lease = 2")
            .await,
        5,
        "{}",
        stage.dump().await
    );
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_calls WHERE state = 'stored'")
            .await,
        9
    );
    stage.assert_sound(9).await;
    for worker in [prompt, late] {
        assert_eq!(worker.exit_code_after("TERM").await, Some(0));
    }
}

#[tokio::test]
async fn workers_that_all_slept_do_not_take_each_others_jobs() {
    let stage = Stage::new().await;
    stage.without_cap().await;
    let prompt = stage.worker_of_two_jobs("prompt").await;
    let late = stage.worker_of_two_jobs("late").await;
    for number in 1..=4 {
        stage.job(&format!("lake {number} [sim:slow=50s]"), 1).await;
    }
    stage.until_called(|log| log.len() == 4).await;
    assert_eq!(stage.text(HOLDERS).await, "late 2, prompt 2");

    prompt.signal("STOP");
    late.signal("STOP");
    sleep(ASLEEP).await;
    prompt.signal("CONT");
    sleep(LATE).await;
    late.signal("CONT");
    stage.until_all_ended().await;

    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_queue WHERE status = 'completed' AND attempts = 0 AND lease = 2")
            .await,
        4,
        "{}",
        stage.dump().await
    );
    stage.assert_sound(4).await;
}

#[tokio::test]
async fn after_a_restart_of_postgres_workers_listen_and_work_again() {
    let server = Server::start().await;
    let stage = Stage::on(&server, SimulatorConfig::instant()).await;
    stage.without_cap().await;
    let worker = stage.process(&[NEVER_POLL]);
    let before = stage.job("a lake before", 1).await;
    stage.until_all_ended().await;
    let running = stage
        .job("a lake in the middle of it [sim:slow=2s]", 1)
        .await;
    stage.until_called(|log| log.len() == 2).await;

    server.start_again().await;
    stage.until(LISTENS).await;
    let after = stage.job("a lake after", 1).await;
    stage.until_all_ended().await;

    for job in [before, running, after] {
        assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 2");
    }
    stage.assert_sound(3).await;
    assert_eq!(worker.exit_code_after("TERM").await, Some(0));
}

#[tokio::test]
async fn connections_that_are_cut_in_the_middle_of_work_cost_nothing() {
    let stage = Stage::new().await;
    stage.without_cap().await;
    let workers = [stage.process(&[]), stage.process(&[])];
    for worker in &workers {
        worker.said("worker started").await;
    }
    for number in 1..=20 {
        stage
            .job(&format!("lake {number} [sim:slow=300ms]"), 3)
            .await;
    }

    let mut cuts = 0;
    while stage.number(UNFINISHED).await > 0 {
        cuts += stage.number(CUT).await;
        sleep(Duration::from_millis(250)).await;
    }

    assert!(cuts > 20, "only {cuts} connections were cut");
    assert_eq!(
        stage
            .number(
                r#"SELECT count(*) FROM photo_generation_queue
                   WHERE status = 'completed' AND attempts = 0 AND "imagesCompleted" = 3"#
            )
            .await,
        20,
        "{}",
        stage.dump().await
    );
    stage.assert_sound(60).await;
    for worker in workers {
        assert_eq!(worker.exit_code_after("TERM").await, Some(0));
    }
}

/// Who holds how many jobs.
const HOLDERS: &str = r#"SELECT string_agg(format('%s %s', "lockedBy", count), ', ' ORDER BY "lockedBy")
    FROM (SELECT "lockedBy", count(*) FROM photo_generation_queue GROUP BY 1) AS h"#;
const UNFINISHED: &str = "SELECT count(*) FROM photo_generation_queue WHERE status <> 'completed'";
/// Cuts every connection of our workers; how many there were.
const CUT: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'safelight'";
/// A worker waits for notifications and is idle.
const LISTENS: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'LISTEN%')
    AND NOT EXISTS (SELECT FROM photo_generation_queue WHERE status <> 'completed')
    AND EXISTS (SELECT FROM photo_generation_workers WHERE idle)";

impl Stage {
    async fn worker_of_two_jobs(&self, label: &str) -> crate::harness::Process {
        let worker = self.process(&["--worker-concurrency=2", &format!("--worker-id={label}")]);
        worker.said("worker started").await;
        worker
    }
}
