//! The provider's quota in its full length: `scripts/bench quota`. Ten minutes of steady state at 600
//! a minute, then 200 without a word, then 600 again.
//!
//! Four worker processes, a backlog of jobs of two images from 200 tenants, calls of 1.5 to 4 s. What
//! the provider's own log says is what counts.

use std::time::Duration;

use safelight::providers::simulator::{CallRecord, Pictures, Quota, SimulatorConfig};
use tokio::time::sleep;

use crate::harness::{MODEL, Process, Stage};

const MINUTE: Duration = Duration::from_mins(1);
const WORKERS: usize = 4;
const USUAL: u32 = 600;
const LOWERED: u32 = 200;
/// How long the lowered quota lasts; the first two minutes of it are the change.
const LOWERED_FOR: Duration = Duration::from_mins(5);
const RAISED_FOR: Duration = Duration::from_mins(5);

/// `steady`: how long the steady state is measured.
pub(crate) async fn measure(steady: Duration) {
    let stage = Stage::with(SimulatorConfig {
        quota: quota(USUAL),
        pictures: Pictures::Small,
        latency: Duration::from_millis(1500)..=Duration::from_secs(4),
        ..SimulatorConfig::instant()
    })
    .await;
    let workers: Vec<Process> = (0..WORKERS)
        .map(|_| stage.process(&["--worker-concurrency=20"]))
        .collect();
    stage
        .until(&format!(
            "SELECT count(*) = {WORKERS} FROM photo_generation_workers"
        ))
        .await;
    stage
        .sql(&format!(
            r#"UPDATE photo_generation_limits SET "requestsPerMinute" = {USUAL} WHERE model = '{MODEL}';
               INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "userId")
               SELECT 'lake ' || n, 2, n % 200 FROM generate_series(1, 10000) AS n"#
        ))
        .await;
    // The window is full once.
    sleep(MINUTE + MINUTE / 2).await;

    let from = now(&stage);
    sleep(steady).await;
    let log = since(&stage, from);
    let (taken, refused) = counts(&log);
    let length = f64::from(u32::try_from(now(&stage) - from).unwrap());
    let allowed = f64::from(USUAL) * length / 60_000.0;
    println!("steady state, {steady:?} at {USUAL} a minute");
    println!(
        "  used {:.2} %   refused {refused} of {}   most in a minute {}",
        100.0 * f64::from(taken) / allowed,
        log.len(),
        windows(&log, from, now(&stage)).1
    );

    stage.simulator.set_quota(quota(LOWERED));
    let lowered = now(&stage);
    sleep(LOWERED_FOR).await;
    let log = since(&stage, lowered);
    let settled = lowered + 120_000;
    let (during, after): (Vec<_>, Vec<_>) = log
        .into_iter()
        .partition(|call| call.received_at_ms < settled);
    let (fewest, most) = windows(&after, settled, now(&stage));
    println!("lowered to {LOWERED} without a word");
    println!(
        "  refused during two minutes {}   afterwards {} in {} s   in a minute {fewest} to {most}",
        counts(&during).1,
        counts(&after).1,
        (now(&stage) - settled) / 1000
    );

    stage.simulator.set_quota(quota(USUAL));
    let raised = now(&stage);
    sleep(RAISED_FOR).await;
    let (_, most) = windows(&since(&stage, raised), raised, now(&stage));
    println!("raised to {USUAL} again");
    println!("  most in a minute within {RAISED_FOR:?}: {most}");
    drop(workers);
}

fn quota(per_minute: u32) -> Quota {
    Quota {
        requests_per_minute: Some(per_minute),
        ..Quota::default()
    }
}

/// The moment of the last call, on the provider's clock; with a backlog that is now.
fn now(stage: &Stage) -> u64 {
    let log = stage.simulator.log();
    log.last().map_or(0, |call| call.received_at_ms)
}

fn since(stage: &Stage, from: u64) -> Vec<CallRecord> {
    let mut log = stage.simulator.log();
    log.retain(|call| call.received_at_ms >= from);
    log
}

/// Calls that were taken, and refused.
fn counts(log: &[CallRecord]) -> (u32, u32) {
    let taken = log.iter().filter(|call| call.accepted).count();
    let number = |count: usize| u32::try_from(count).unwrap();
    (number(taken), number(log.len() - taken))
}

/// The fewest and the most calls taken in any whole minute from `from` to `to`.
fn windows(log: &[CallRecord], from: u64, to: u64) -> (usize, usize) {
    let taken: Vec<u64> = log
        .iter()
        .filter(|call| call.accepted)
        .map(|call| call.received_at_ms)
        .collect();
    let counts: Vec<usize> = (from..=to.saturating_sub(60_000))
        .step_by(100)
        .map(|start| {
            let first = taken.partition_point(|at| *at < start);
            taken.partition_point(|at| *at < start + 60_000) - first
        })
        .collect();
    (
        counts.iter().copied().min().unwrap_or(0),
        counts.iter().copied().max().unwrap_or(0),
    )
}
