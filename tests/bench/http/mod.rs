//! A crowd that looks at its jobs: `scripts/bench http`. 2,000 pollers, each with a connection and a job of
//! its own, and 200 event streams, against a real `safelight serve`.
//!
//! Three parts: everybody comes at once; nothing happens; a worker makes pictures. The crowd, the worker,
//! the simulated provider and Postgres share the machine with the server, so what the server itself takes
//! is told beside the times.

mod connection;
mod crowd;

use std::time::Duration;

use safelight::providers::simulator::{Pictures, SimulatorConfig};
use tokio::time::{Instant, sleep};

use crate::harness::{MODEL, Process, Stage};
use crate::{Samples, load};
use crowd::{Crowd, Job, Seen};

const POLLERS: usize = 2000;
const STREAMS: usize = 200;
const TEAMS: usize = 200;
/// Enough that few jobs end: who looks at one that has ended has stopped.
const IMAGES: usize = 10;
/// Pictures at a time; some 15 a second then.
const AT_A_TIME: usize = 40;

const COMING: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_secs(20);
const WORKING: Duration = Duration::from_mins(1);

pub(crate) async fn measure() {
    let stage = Stage::with(SimulatorConfig {
        pictures: Pictures::Small,
        latency: Duration::from_millis(1500)..=Duration::from_secs(4),
        ..SimulatorConfig::instant()
    })
    .await;
    let jobs = jobs(&stage).await;
    let keys: Vec<_> = (0..TEAMS)
        .map(|team| format!("{team}:{}", key(team)))
        .collect();
    let server = stage.http(&[
        "--bind=127.0.0.1:0",
        &format!("--api-keys={}", keys.join(",")),
    ]);
    let address = server.url().await.replace("http://", "");

    println!(
        "{POLLERS} pollers every 2 s, {STREAMS} event streams, {TEAMS} teams, p99 aim: 100 ms"
    );
    let crowd = Crowd::start(address, jobs, STREAMS);
    part("everybody comes", COMING, &stage, &server, &crowd).await;
    part("nothing happens", QUIET, &stage, &server, &crowd).await;
    let worker = stage.process(&["--worker-concurrency=20"]);
    part("a worker at work", WORKING, &stage, &server, &crowd).await;
    let stored = r#"SELECT sum("imagesCompleted") FROM photo_generation_queue"#;
    println!("pictures made: {}", stage.number(stored).await);
    println!("load of this machine after: {}", load());
    drop(crowd);
    assert_eq!(server.exit_code_after("TERM").await, Some(0));
    assert_eq!(worker.exit_code_after("TERM").await, Some(0));
}

/// One for each poller, of all teams in turn.
async fn jobs(stage: &Stage) -> Vec<Job> {
    stage
        .sql(&format!(
            r#"UPDATE photo_generation_limits SET "maxConcurrent" = {AT_A_TIME} WHERE model = '{MODEL}';
               INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "teamId")
               SELECT 'a lake', {IMAGES}, n % {TEAMS} FROM generate_series(1, {POLLERS}) AS n"#
        ))
        .await;
    let rows: Vec<(String, i32)> = sqlx::query_as(
        r#"SELECT "jobId"::text, "teamId"::integer FROM photo_generation_queue ORDER BY id"#,
    )
    .fetch_all(&stage.pool)
    .await
    .unwrap();
    let job = |(id, team): (String, i32)| Job {
        path: format!("/api/generations/{id}"),
        key: key(usize::try_from(team).unwrap()),
    };
    rows.into_iter().map(job).collect()
}

fn key(team: usize) -> String {
    format!("the-long-key-of-team-{team}")
}

async fn part(what: &str, length: Duration, stage: &Stage, server: &Process, crowd: &Crowd) {
    let begun = Instant::now();
    let (cpu, commits) = (cpu_seconds(server.pid()), commits(stage).await);
    sleep(length).await;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = cpu_seconds(server.pid()) - cpu;
    let commits = self::commits(stage).await - commits;
    let Seen {
        polls,
        unchanged,
        events,
        errors,
    } = crowd.take();
    let count = polls.len();
    let times = Samples::new(polls);
    println!("{what}, {length:?}");
    println!(
        "  {count} polls: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, most {:.1} ms; {:.0} % are 304",
        times.at(0.5),
        times.at(0.9),
        times.at(0.99),
        times.at(1.0),
        100.0 * number(unchanged) / number(count)
    );
    println!(
        "  {events} events; {} errors{}",
        errors.len(),
        errors
            .first()
            .map_or(String::new(), |first| format!(", the first: {first}"))
    );
    println!(
        "  the server: {:.0} % of a core, at most {:.0} MB; {:.0} transactions a second by all",
        100.0 * cpu / seconds,
        peak_megabytes(server.pid()),
        number(usize::try_from(commits).unwrap()) / seconds
    );
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

async fn commits(stage: &Stage) -> i64 {
    stage
        .number("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
        .await
}

/// User and system time, which Linux counts in hundredths of a second.
fn cpu_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name may hold spaces; utime and stime are the twelfth and thirteenth field after it.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2);
    ticks
        .map(|ticks| ticks.parse::<f64>().unwrap())
        .sum::<f64>()
        / 100.0
}

/// The most memory that it ever had.
fn peak_megabytes(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<f64>().unwrap() / 1000.0
}
