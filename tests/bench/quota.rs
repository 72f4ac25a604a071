//! The provider's quota in its full length: `scripts/bench quota`. Ten minutes of steady state at 600
//! a minute, then 200 without a word, then 600 again.
//!
//! Four worker processes, a backlog of jobs of two images from 200 tenants, calls of 1.5 to 4 s. What
//! the provider's own log says is what counts; beside it stands what has to hold.

use std::time::Duration;

use safelight::providers::simulator::{CallRecord, Pictures, Quota, SimulatorConfig};
use tokio::time::sleep;

use crate::fleet;
use crate::harness::{MODEL, Stage};

const MINUTE: Duration = Duration::from_mins(1);
const WORKERS: usize = 4;
const USUAL: u32 = 600;
const LOWERED: u32 = 200;
/// From here on the lowered quota is known.
const CHANGE: Duration = Duration::from_mins(2);

/// How long each part lasts.
pub(crate) struct Lengths {
    pub(crate) steady: Duration,
    /// The change included.
    pub(crate) lowered: Duration,
    pub(crate) raised: Duration,
}

impl Lengths {
    /// What has to hold is said of these.
    pub(crate) const FULL: Self = Self {
        steady: Duration::from_mins(10),
        lowered: Duration::from_mins(7),
        raised: Duration::from_mins(5),
    };
    /// Whether it works at all.
    pub(crate) const SHORT: Self = Self {
        steady: Duration::from_secs(70),
        lowered: Duration::from_secs(190),
        raised: Duration::from_secs(90),
    };
}

pub(crate) async fn measure(lengths: Lengths) {
    let stage = Stage::with(SimulatorConfig {
        quota: quota(USUAL),
        pictures: Pictures::Small,
        latency: Duration::from_millis(1500)..=Duration::from_secs(4),
        ..SimulatorConfig::instant()
    })
    .await;
    let workers = fleet(&stage, WORKERS).await;
    stage
        .sql(&format!(
            r#"UPDATE photo_generation_limits SET "requestsPerMinute" = {USUAL} WHERE model = '{MODEL}';
               INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "userId")
               SELECT 'lake ' || n, 2, n % 200 FROM generate_series(1, 10000) AS n"#
        ))
        .await;
    // The window is full once.
    sleep(MINUTE + MINUTE / 2).await;

    let steady = part(&stage, lengths.steady).await;
    println!("steady state, {:?} at {USUAL} a minute", lengths.steady);
    print("quota used", "at least 98 %", &percent(steady.used(USUAL)));
    print(
        "answered 429",
        "at most 0.1 %",
        &percent(steady.share_refused()),
    );
    let (fewest, most) = steady.windows();
    print(
        "most in 60 s of any position",
        "at most 600",
        &most.to_string(),
    );
    print("fewest in 60 s of any position", "", &fewest.to_string());

    stage.simulator.set_quota(quota(LOWERED));
    let change = part(&stage, CHANGE).await;
    let lowered = part(&stage, lengths.lowered.saturating_sub(CHANGE)).await;
    println!("lowered to {LOWERED} without a word, {:?}", lengths.lowered);
    print(
        "429s within 120 s",
        "at most 20",
        &change.refused.len().to_string(),
    );
    let (fewest, most) = lowered.windows();
    print(
        "fewest in 60 s from 120 s on",
        "at least 180",
        &fewest.to_string(),
    );
    print(
        "most in 60 s from 120 s on",
        "at most 200",
        &most.to_string(),
    );
    print(
        "429s in the worst minute from 120 s on",
        "at most 3",
        &lowered.most_refused_in_a_minute().to_string(),
    );

    stage.simulator.set_quota(quota(USUAL));
    let raised = part(&stage, lengths.raised).await;
    println!("raised to {USUAL} again, {:?}", lengths.raised);
    print(
        "most in 60 s",
        "at least 540",
        &raised.windows().1.to_string(),
    );
    print("429s", "", &raised.refused.len().to_string());
    drop(workers);
}

fn print(what: &str, must: &str, is: &str) {
    println!("  {what:<40}{is:>10}   {must}");
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// What the provider saw from one of its moments to another, in milliseconds.
struct Part {
    from: u64,
    to: u64,
    taken: Vec<u64>,
    refused: Vec<u64>,
}

/// Waits, and says what the provider saw meanwhile. With a backlog its last call is now.
async fn part(stage: &Stage, length: Duration) -> Part {
    let now = |log: &[CallRecord]| log.last().map_or(0, |call| call.received_at_ms);
    let from = now(&stage.simulator.log());
    sleep(length).await;
    let log = stage.simulator.log();
    let to = now(&log);
    let within = log
        .iter()
        .filter(|call| (from..to).contains(&call.received_at_ms));
    let (taken, refused): (Vec<_>, Vec<_>) = within.partition(|call| call.accepted);
    let moments = |calls: Vec<&CallRecord>| calls.iter().map(|call| call.received_at_ms).collect();
    Part {
        from,
        to,
        taken: moments(taken),
        refused: moments(refused),
    }
}

impl Part {
    fn used(&self, per_minute: u32) -> f64 {
        let minutes = f64::from(u32::try_from(self.to - self.from).unwrap()) / 60_000.0;
        number(self.taken.len()) / (f64::from(per_minute) * minutes)
    }

    fn share_refused(&self) -> f64 {
        number(self.refused.len()) / number(self.refused.len() + self.taken.len())
    }

    /// The fewest and the most calls taken in any whole minute. Few begin just after a call, many with
    /// one.
    fn windows(&self) -> (usize, usize) {
        let length = u64::try_from(MINUTE.as_millis()).unwrap();
        let taken_from = |start: u64| {
            let first = self.taken.partition_point(|at| *at < start);
            self.taken.partition_point(|at| *at < start + length) - first
        };
        let starts = self.taken.iter().flat_map(|at| [*at, at + 1]);
        let counts: Vec<usize> = std::iter::once(self.from)
            .chain(starts)
            .filter(|start| start + length <= self.to)
            .map(taken_from)
            .collect();
        (
            counts.iter().copied().min().unwrap_or(0),
            counts.iter().copied().max().unwrap_or(0),
        )
    }

    fn most_refused_in_a_minute(&self) -> usize {
        let length = u64::try_from(MINUTE.as_millis()).unwrap();
        let from = |start: u64| {
            let within = self.refused.iter();
            within
                .filter(|at| (start..start + length).contains(*at))
                .count()
        };
        self.refused.iter().map(|at| from(*at)).max().unwrap_or(0)
    }
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

fn quota(per_minute: u32) -> Quota {
    Quota {
        requests_per_minute: Some(per_minute),
        ..Quota::default()
    }
}
