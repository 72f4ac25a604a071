//! Many worker processes on one queue, with everything going wrong that can: each image once, no
//! job run by two at a time, and the ledger adds up.

use std::time::Duration;

use safelight::providers::simulator::{Pictures, SimulatorConfig};
use tokio::time::{Instant, sleep};

use crate::harness::{Process, Stage};

const JOBS: i64 = 60;
const IMAGES: i32 = 2;
/// What goes wrong, one after the other over the jobs. Each strikes the first call of its prompt,
/// so that every job has its own.
const FAULTS: [&str; 10] = [
    "",
    "[sim:500@1]",
    "",
    "[sim:503@1]",
    "[sim:reset@1]",
    "[sim:safety@1]",
    "[sim:429@1 wait=200ms]",
    "[sim:truncated@1]",
    "[sim:text@1]",
    "[sim:500-accepted@1]",
];
/// How long workers are killed, one every so often.
const KILLING: Duration = Duration::from_secs(30);
const KILL_EVERY: Duration = Duration::from_millis(2500);
/// A job may lose its worker again and again, and each loss takes 30 s to notice.
const ALL_ENDED: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_share_a_queue() {
    share_a_queue(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_workers_share_a_queue() {
    share_a_queue(8).await;
}

async fn share_a_queue(workers: usize) {
    let stage = Stage::with(provider()).await;
    let fleet = fleet(&stage, workers).await;

    for number in 0..JOBS {
        insert(&stage, number).await;
    }
    stage.until_all_ended().await;

    // Every second image of a job that is refused is the one whose call came first.
    assert_eq!(
        stage
            .text(
                "SELECT string_agg(format('%s %s', state, count), ', ' ORDER BY state)
            FROM (SELECT state, count(*) FROM photo_generation_images GROUP BY 1) AS s"
            )
            .await,
        "refused 6, stored 114",
        "{}",
        stage.dump().await
    );
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_queue WHERE status = 'completed'")
            .await,
        JOBS
    );
    // Nobody was lost, so an attempt counts only for what the provider did.
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_queue WHERE attempts > 1")
            .await,
        0
    );
    assert_consistent(&stage).await;
    let claimed = stage
        .number("SELECT count(DISTINCT run) FROM photo_generation_calls")
        .await;
    // Who is faster takes more, and of eight the slowest may come away empty.
    assert!(
        usize::try_from(claimed).unwrap() > workers / 2,
        "{claimed} of {workers} workers had something to do"
    );
    for worker in fleet {
        // What one has claimed no other takes.
        worker.said_nothing_of("no longer ours");
        assert_eq!(worker.exit_code_after("TERM").await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_whose_workers_are_killed_at_random_brings_every_job_to_an_end() {
    let stage = Stage::with(SimulatorConfig {
        latency: Duration::from_millis(200)..=Duration::from_millis(2500),
        ..provider()
    })
    .await;
    stage.without_cap().await;
    let mut fleet = fleet(&stage, 4).await;

    let begun = Instant::now();
    let mut number = 0;
    let mut kills = 0;
    while begun.elapsed() < KILLING {
        for _ in 0..8 {
            insert(&stage, number).await;
            number += 1;
        }
        sleep(KILL_EVERY.mul_f64(0.5 + fastrand::f64())).await;
        let victim = fleet.swap_remove(fastrand::usize(..fleet.len()));
        victim.kill_9().await;
        kills += 1;
        fleet.push(stage.process(&[]));
    }
    stage
        .until_within(
            "SELECT NOT EXISTS (SELECT FROM photo_generation_queue
                    WHERE status IN ('pending', 'processing', 'rate_limited'))
                AND NOT EXISTS (SELECT FROM photo_generation_calls WHERE state = 'calling')",
            ALL_ENDED,
        )
        .await;

    let lost = stage
        .number("SELECT count(*) FROM photo_generation_calls WHERE \"errorCode\" = 'worker_lost'")
        .await;
    assert!(kills > 8 && lost > 0, "{kills} kills lost {lost} calls");
    assert_eq!(
        stage
            .number(
                "SELECT count(*) FROM photo_generation_queue AS job WHERE status <> 'completed'
                   AND EXISTS (SELECT FROM photo_generation_images AS image
                               WHERE image.\"jobId\" = job.id AND image.state = 'stored')"
            )
            .await,
        0
    );
    assert_consistent(&stage).await;
}

fn provider() -> SimulatorConfig {
    SimulatorConfig {
        latency: Duration::from_millis(20)..=Duration::from_millis(200),
        pictures: Pictures::Small,
        ..SimulatorConfig::default()
    }
}

async fn fleet(stage: &Stage, workers: usize) -> Vec<Process> {
    let fleet: Vec<_> = (0..workers).map(|_| stage.process(&[])).collect();
    for worker in &fleet {
        worker.said("worker started").await;
    }
    fleet
}

async fn insert(stage: &Stage, number: i64) {
    let fault = FAULTS[usize::try_from(number).unwrap() % FAULTS.len()];
    stage.job(&format!("hill {number} {fault}"), IMAGES).await;
}

/// Each image once in the table and bought once; no two leases of a job with calls at the same
/// time; the equation.
async fn assert_consistent(stage: &Stage) {
    assert_eq!(
        stage
            .number(
                r#"SELECT count(*) FROM photo_generation_queue AS job
                   WHERE (SELECT array_agg(index ORDER BY index) FROM photo_generation_images
                          WHERE "jobId" = job.id) IS DISTINCT FROM '{1,2}'
                      OR "imagesCompleted" <> (SELECT count(*) FROM photo_generation_images
                          WHERE "jobId" = job.id AND state = 'stored')
                      OR coalesce(jsonb_array_length("imageUrls"), 0) <> "imagesCompleted""#
            )
            .await,
        0,
        "{}",
        stage.dump().await
    );
    assert_eq!(stage.text(OVERLAPS).await, "", "two ran a job at a time");
    // The provider's view of the same: a second runner would call for an image in flight.
    let log = stage.simulator.log();
    for call in &log {
        let at_once = log.iter().filter(|other| {
            other.prompt == call.prompt
                && other.received_at_ms <= call.received_at_ms
                && other.ended_at_ms.unwrap_or(u64::MAX) > call.received_at_ms
        });
        assert!(
            at_once.count() <= usize::try_from(IMAGES).unwrap(),
            "{call:?}"
        );
    }
    stage.assert_photos().await;
    stage.assert_equation().await;
}

/// Calls of different leases of one job that were open at the same time.
const OVERLAPS: &str = r#"SELECT string_agg(format('job %s leases %s and %s', one."jobId", one.lease, other.lease), ', ')
    FROM photo_generation_calls AS one JOIN photo_generation_calls AS other
      ON one."jobId" = other."jobId" AND one.lease < other.lease
     AND other."startedAt" < coalesce(one."endedAt", 'infinity')"#;
