//! The storage is away in the middle of fifty jobs, with the production rhythm: nothing is lost, nothing is
//! bought twice, everything finishes by itself.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::harness::{Process, Stage};

const OUTAGE: Duration = Duration::from_mins(2);
/// What is left to do when the storage is back, two workers' pace and a reclaim included.
const AFTERWARDS: Duration = Duration::from_mins(3);
const ALL_ENDED: &str = "SELECT NOT EXISTS (SELECT FROM photo_generation_queue
    WHERE status IN ('pending', 'processing', 'rate_limited'))";

async fn fifty_jobs(stage: &Stage) {
    for number in 1..=50 {
        stage
            .job(&format!("lake {number} [sim:slow=500ms]"), 2)
            .await;
    }
}

/// On a machine of its own.
fn start(stage: &Stage, machine: &str) -> Process {
    let spool = format!("--spool-dir={}", stage.spool(machine).display());
    stage.process(&[&format!("--worker-id={machine}"), &spool])
}

#[tokio::test]
async fn two_minutes_in_the_middle_of_fifty_jobs_cost_nothing() {
    let stage = Stage::new().await;
    stage.without_cap().await;
    let workers = [start(&stage, "one"), start(&stage, "two")];
    fifty_jobs(&stage).await;
    stage
        .until("SELECT count(*) >= 30 FROM photo_generation_images WHERE state = 'stored'")
        .await;

    stage.storage_goes_away();
    let down = Instant::now();
    sleep_until(down + OUTAGE).await;
    // The quota was used meanwhile.
    assert_eq!(stage.simulator.log().len(), 100);
    stage.storage_comes_back();
    stage.until_within(ALL_ENDED, AFTERWARDS).await;

    let whole = stage
        .number(
            r#"SELECT count(*) FROM photo_generation_queue
               WHERE status = 'completed' AND attempts = 0 AND "imagesCompleted" = 2"#,
        )
        .await;
    assert_eq!(whole, 50, "{}", stage.dump().await);
    for machine in ["one", "two"] {
        stage.until_nothing_waits(machine).await;
    }
    stage.assert_sound(100).await;
    for worker in workers {
        assert_eq!(worker.exit_code_after("TERM").await, Some(0));
    }
}

/// Of each worker that is killed, as many calls are of unknown end as it had open; no other is repeated.
#[tokio::test]
async fn workers_that_are_killed_at_random_while_it_comes_and_goes_lose_nothing_of_it() {
    let stage = Stage::new().await;
    stage.without_cap().await;
    fifty_jobs(&stage).await;
    let mut workers = vec![start(&stage, "one"), start(&stage, "two")];
    for worker in &workers {
        worker.said("worker started").await;
    }

    for round in 0..6 {
        stage.storage_goes_away();
        sleep(Duration::from_millis(fastrand::u64(200..2500))).await;
        workers.remove(0).kill_9().await;
        sleep(Duration::from_millis(fastrand::u64(0..500))).await;
        stage.storage_comes_back();
        let machine = ["one", "two"][round % 2];
        workers.push(start(&stage, machine));
        sleep(Duration::from_millis(fastrand::u64(200..1000))).await;
    }
    stage.until_within(ALL_ENDED, AFTERWARDS).await;

    for machine in ["one", "two"] {
        stage.until_nothing_waits(machine).await;
    }
    let unknown = stage
        .number("SELECT count(*) FROM photo_generation_calls WHERE state = 'ambiguous'")
        .await;
    let stored = stage
        .number("SELECT count(*) FROM photo_generation_calls WHERE state = 'stored'")
        .await;
    let given_up = stage
        .number("SELECT count(*) FROM photo_generation_images WHERE state = 'ambiguous'")
        .await;
    assert_eq!(stored + given_up, 100, "{}", stage.dump().await);
    // Calls that were open when their worker was killed, four at a time.
    assert!(unknown <= 6 * 8, "{unknown} calls of unknown end");
    let called = i64::try_from(stage.simulator.log().len()).unwrap();
    assert!(
        called <= stored + unknown,
        "{called} calls, {stored} stored, {unknown} unknown"
    );
    stage.assert_photos().await;
    stage.assert_equation().await;
    for worker in workers {
        assert_eq!(worker.exit_code_after("TERM").await, Some(0));
    }
}
