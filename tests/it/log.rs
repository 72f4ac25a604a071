//! A job's life as it can be observed: what its worker logs, one line for each change of state with
//! the same fields in all of them and nothing that must stay secret, and what `safelight show` tells
//! of it from the tables.

use std::collections::BTreeMap;

use safelight::providers::simulator::DEFAULT_KEY;
use serde_json::Value;

use crate::harness::{Process, Stage};

/// In every line about a job.
const OF_A_JOB: [&str; 8] = [
    "job",
    "job_id",
    "lease",
    "attempt",
    "model",
    "request_id",
    "tenant",
    "worker",
];
/// In every line about a call besides.
const OF_A_CALL: [&str; 4] = ["image", "call", "account", "elapsed_ms"];
/// How a call may end.
const ENDS_OF_CALLS: [&str; 9] = [
    "image stored",
    "image refused",
    "image failed",
    "image ambiguous",
    "call failed",
    "call limited",
    "call ambiguous",
    "call abandoned",
    "abandoned call settled",
];

/// A line and its text.
#[derive(Debug)]
struct Line(Value);

impl Line {
    fn message(&self) -> &str {
        self.0["message"].as_str().expect("a message")
    }

    fn has(&self, fields: &[&str]) {
        for field in fields {
            assert!(!self.0[field].is_null(), "no {field} in {}", self.0);
        }
    }
}

fn lines(worker: &Process) -> Vec<Line> {
    let log = worker.log();
    log.iter()
        .map(|line| Line(serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))))
        .collect()
}

/// What is said of a job, lease by lease; images are worked side by side, so their order is not.
fn story(lines: &[Line], job: i64) -> Vec<String> {
    let mut leases: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.0["job"] == job) {
        let lease = line.0["lease"].as_i64().expect("a lease");
        leases.entry(lease).or_default().push(line.message());
    }
    leases
        .into_values()
        .map(|mut said| {
            let last = said.len() - 1;
            said[1..last].sort_unstable();
            said.join(", ")
        })
        .collect()
}

#[tokio::test]
async fn the_end_of_a_job_that_expires_where_it_waits_is_told_like_any_other() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"UPDATE photo_generation_limits SET paused = true;
               INSERT INTO photo_generation_queue ("basePrompt", "expiresAt") VALUES ('a lake', now())"#,
        )
        .await;
    let worker = stage.process_with_json_log(&[]);

    worker.said("job failed").await;

    let lines = lines(&worker);
    let told = lines.iter().find(|line| line.message() == "job failed");
    let told = told.expect("a line");
    told.has(&["job_id", "request_id", "worker"]);
    assert_eq!(
        (&told.0["job"], &told.0["code"]),
        (&1.into(), &"expired".into())
    );
}

#[tokio::test]
async fn each_change_of_state_is_one_line_that_says_whose_it_is() {
    let stage = Stage::new().await;
    stage
        .sql("INSERT INTO photo_generation_batches (id) VALUES (1)")
        .await;
    let worker = stage.process_with_json_log(&[
        "--bind=127.0.0.1:0",
        "--worker-id=w1",
        "--poll-interval-ms=200",
        "--call-timeout-seconds=3",
    ]);
    let bumpy = stage
        .job(
            "a lake [sim:500@1] [sim:safety@2] [sim:reset@4] [sim:429@5 wait=3s]",
            3,
        )
        .await;
    stage
        .sql(r#"UPDATE photo_generation_queue SET "batchId" = 1"#)
        .await;
    for attempts in [1, 2] {
        stage
            .until(&format!(
                "SELECT attempts = {attempts} AND status = 'pending' FROM photo_generation_queue"
            ))
            .await;
        stage
            .sql(r#"UPDATE photo_generation_queue SET "retryAt" = now()"#)
            .await;
    }
    stage.until_all_ended().await;
    assert_shown(&stage, bumpy).await;
    let rejected = stage.job("a wood [sim:400]", 1).await;
    stage.until_all_ended().await;
    let canceled = stage.job("a hill [sim:hang]", 1).await;
    stage
        .until_called(|log| log.iter().any(|call| call.prompt.contains("hill")))
        .await;
    stage
        .sql(&format!(
            "UPDATE photo_generation_queue SET status = 'canceled' WHERE id = {canceled}"
        ))
        .await;
    worker.said("job lost, it is no longer ours").await;
    let blocked = stage.job("a dune [sim:badkey@1]", 1).await;
    worker.said("job given back").await;
    stage
        .sql(r#"UPDATE photo_generation_limits SET "blockedUntil" = now()"#)
        .await;
    stage.until_all_ended().await;
    worker.signal("TERM");
    worker.said("worker stopped").await;

    let lines = lines(&worker);
    assert_eq!(
        story(&lines, bumpy),
        [
            "job claimed, call failed, image refused, image stored, job to be retried",
            "job claimed, a call to the provider broke off, call ambiguous, job to be retried",
            "job claimed, account cooling down, call limited, job rate limited",
            "job claimed, account recovered, image stored, job completed, batch ended",
        ]
    );
    assert_eq!(
        story(&lines, rejected),
        ["job claimed, image failed, job failed"]
    );
    assert_eq!(
        story(&lines, canceled),
        ["job claimed, call abandoned, job lost, it is no longer ours"]
    );
    assert_eq!(
        story(&lines, blocked),
        [
            "job claimed, account blocked, call limited, job given back",
            "job claimed, account recovered, image stored, job completed",
        ]
    );
    assert_fields(&stage, &lines).await;
    let others: Vec<_> = lines
        .iter()
        .filter(|line| line.0["job"].is_null())
        .map(Line::message)
        .collect();
    assert_eq!(others, ["listening", "worker started", "worker stopped"]);
    for line in worker.log() {
        assert!(!line.contains(DEFAULT_KEY), "{line}");
    }
}

/// `safelight show` tells the same from the tables.
async fn assert_shown(stage: &Stage, job: i64) {
    let text = show(stage, job, &[]).await;
    let (_, story) = text.split_once("\nStory\n").expect("a story");
    let mut rest = story;
    for part in [
        "  enqueued",
        "  claimed after ",
        "  worker w1@",
        " begins attempt 1, gemini-2.5-flash-image\n",
        ": error after ",
        " begins attempt 2, gemini-2.5-flash-image, ",
        " later: tried again after an error\n",
        ": ambiguous after ",
        " begins attempt 3, gemini-2.5-flash-image, ",
        ": limited after ",
        " goes on with attempt 3, gemini-2.5-flash-image, ",
        " later: rate limited\n",
        ": stored after ",
        " (account default, provider's id ",
        "  completed with 2 of 3 images\n",
        "\nNext\n",
    ] {
        let at = rest
            .find(part)
            .unwrap_or_else(|| panic!("no {part:?} in {rest}"));
        rest = &rest[at + part.len()..];
    }
    let json: Value = serde_json::from_str(&show(stage, job, &["--json"]).await).unwrap();
    assert_eq!(json["calls"].as_array().unwrap().len(), 6);
    for call in json["calls"].as_array().unwrap() {
        assert!(
            call["worker"].as_str().unwrap().starts_with("w1@"),
            "{call}"
        );
    }
    assert!(json["story"].as_array().unwrap().len() > 10);
}

async fn show(stage: &Stage, job: i64, more: &[&str]) -> String {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_safelight"))
        .args(["show", &job.to_string(), "--database-url", &stage.url])
        .args(more)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    println!("{said}");
    said
}

/// Every line has what it must, and every call in the ledger has the one line of its end.
async fn assert_fields(stage: &Stage, lines: &[Line]) {
    for line in lines.iter().filter(|line| !line.0["job"].is_null()) {
        // The sweep reads the ledger, which does not know the request.
        match line.message() {
            "abandoned call settled" => line.has(&["job", "job_id", "lease", "attempt", "account"]),
            _ => line.has(&OF_A_JOB),
        }
        assert_eq!(line.0["worker"], "w1");
        match line.message() {
            "abandoned call settled" => line.has(&["call_state", "image", "call"]),
            "job lost, it is no longer ours" => line.has(&["reason", "elapsed_ms"]),
            "job rate limited" => line.has(&["wait_ms", "code", "error"]),
            "job to be retried" => line.has(&["wait_ms", "code", "error", "elapsed_ms"]),
            "job failed" => line.has(&["code", "error", "elapsed_ms"]),
            "image stored" | "image refused" => line.has(&["provider_request_id"]),
            _ => {}
        }
        if ENDS_OF_CALLS.contains(&line.message()) && line.message() != "abandoned call settled" {
            line.has(&OF_A_CALL);
        }
    }
    let mut ended: Vec<String> = lines
        .iter()
        .filter(|line| ENDS_OF_CALLS.contains(&line.message()))
        .map(|line| {
            let text = |field: &str| line.0[field].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("call"), text("provider_request_id"))
        })
        .collect();
    ended.sort_unstable();
    let ledger = r#"SELECT string_agg(concat(id, ' ', "providerRequestId"), E'\n' ORDER BY id::text)
                    FROM photo_generation_calls"#;
    assert_eq!(ended.join("\n"), stage.text(ledger).await);
}
