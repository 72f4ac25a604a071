//! `sql/ops`: every file is run with psql, as an operator runs it, and must say what is true.
//!
//! What only looks is run against one queue with a job in every state beside a worker that lives.
//! What changes data has a scenario of its own, see [`writes`]. A file without an expectation here
//! fails, and so does one that the reader is not told how to use.

pub(crate) mod psql;
mod queue;
mod writes;

use futures_util::future::join_all;
use psql::{Table, psql};

use crate::harness::Stage;

/// A file that looks, the variables it is run with, and what its answer must be.
type Expectation = (&'static str, &'static [&'static str], fn(&Table));

const READS: [Expectation; 35] = [
    ("credits.sql", &[], |t| {
        assert_eq!(t.column("tenant"), ["user:7", "team:7"]);
        let row = t.row(&[("tenant", "user:7")]);
        assert_eq!((row["remaining"], row["granted"]), ("13", "21"));
        assert_eq!(
            (row["reserved"], row["captured"], row["refunded"]),
            ("3", "4", "2")
        );
    }),
    ("credits.sql", &["rows=1"], |t| {
        assert_eq!(t.column("tenant"), ["user:7"]);
    }),
    ("credits_audit.sql", &[], |t| {
        // As the fixture has it.
        assert_eq!(t.column("what"), ["account", "image", "job", "round"]);
        let problems = t.column("problem");
        assert_eq!(problems[0], "has 4, should have 5");
        assert_eq!(problems[1], "image 1 is stored and not captured");
        assert_eq!(problems[2], "image 3 is open, but the job is completed");
        assert_eq!(
            problems[3],
            "reserved 3, but captured, refunded and open are 2"
        );
    }),
    ("pending.sql", &[], |t| {
        assert_eq!(t.column("pending"), ["4"]);
    }),
    ("rate_limited.sql", &[], |t| {
        assert_eq!(t.column("rate_limited"), ["1"]);
        assert!(t.column("next_in")[0].starts_with("00:09"), "{t:?}");
    }),
    ("depth.sql", &[], |t| {
        let depth = |model, status| {
            let row = t.row(&[("model", model), ("status", status)]);
            (row["jobs"], row["due"])
        };
        assert_eq!(depth("(default)", "pending"), ("3", "2"));
        assert_eq!(depth("gemini-3-pro-image", "pending"), ("1", "1"));
        assert_eq!(depth("gemini-3.1-flash-image", "rate_limited"), ("1", "0"));
        assert_eq!(depth("(default)", "processing"), ("5", "0"));
        assert_eq!(depth("(default)", "failed"), ("3", "0"));
        let rows = t.rows(&[("model", "(default)")]);
        let states = rows.iter().map(|row| row["status"]);
        assert_eq!(
            states.collect::<Vec<_>>(),
            ["pending", "processing", "completed", "failed", "canceled"]
        );
    }),
    ("waiting.sql", &[], |t| {
        assert_eq!(t.column("id"), ["102", "101", "105", "104", "103"]);
        let starts = t.column("may_start");
        assert_eq!(starts[..2], ["now", "now"]);
        assert!(starts[2].starts_with("in 00:09"), "{starts:?}");
        assert!(starts[3].starts_with("in 00:59"), "{starts:?}");
        assert_eq!(starts[4], "when it is resumed");
        assert_eq!(t.column("model")[0], "gemini-2.5-flash-image");
        assert_eq!(t.column("tenant")[0], "none");
    }),
    ("waiting.sql", &["rows=1"], |t| {
        assert_eq!(t.column("id"), ["102"]);
    }),
    ("shares.sql", &[], |t| {
        let share = |model| {
            let row = t.row(&[("model", model), ("type", "image_edit"), ("tenant", "none")]);
            (row["running"], row["waiting"])
        };
        assert_eq!(share("gemini-2.5-flash-image"), ("4/any", "3"));
        assert_eq!(share("gemini-3-pro-image"), ("4/any", "1"));
        assert_eq!(
            t.row(&[("model", "gemini-3-pro-image")])["may_start"],
            "when the model is resumed"
        );
        // What its four running jobs will take, of one image at ten seconds each.
        let row = t.row(&[("model", "gemini-2.5-flash-image"), ("tenant", "none")]);
        assert_eq!((row["may_start"], row["ahead"]), ("now", "40.0"));
        let cooling = t.row(&[("model", "gemini-3.1-flash-image")])["may_start"];
        assert!(cooling.starts_with("in 00:09"), "{cooling}");
    }),
    ("shares.sql", &["rows=1"], |t| {
        assert_eq!(t.column("tenant").len(), 1);
    }),
    ("oldest_waiting.sql", &[], |t| {
        assert_eq!(t.column("job"), ["103", "102"]);
        assert_eq!(t.column("usable"), ["no, paused", "yes"]);
        assert!(t.column("waited")[1].starts_with("00:45"), "{t:?}");
    }),
    ("running.sql", &[], |t| {
        let row = t.row(&[("worker", "alive")]);
        assert_eq!((row["id"], row["images"], row["calls"]), ("1", "0/2", "2"));
        assert!(row["renewed"] < "00:00:30", "{row:?}");
        let foreign = t.row(&[("id", "107")]);
        assert_eq!((foreign["worker"], foreign["calls"]), ("old-worker", "0"));
        assert_eq!(t.column("id").len(), 5);
    }),
    ("budget.sql", &[], |t| {
        let live = t.row(&[("model", "gemini-2.5-flash-image")]);
        assert_eq!((live["minute"], live["running"]), ("2", "2"));
        assert_eq!((live["next_call"], live["per_minute"]), ("now", ""));
        let paused = t.row(&[("model", "gemini-3-pro-image")]);
        assert_eq!(
            (paused["next_call"], paused["why"]),
            ("when resumed", "paused")
        );
        let cooling = t.row(&[("model", "gemini-3.1-flash-image")]);
        assert!(cooling["next_call"].starts_with("in 00:09"), "{cooling:?}");
    }),
    ("stuck.sql", &[], |t| {
        assert_eq!(t.column("id"), ["106", "107", "113", "114"]);
        assert_eq!(
            t.column("why"),
            [
                "its worker is gone",
                "locked by another program, which does not renew it",
                "its worker does not say that it lives",
                "no call was started or ended for 10 minutes",
            ]
        );
    }),
    ("stale_locks.sql", &[], |t| {
        assert_eq!(t.column("id"), ["107"]);
    }),
    ("failures.sql", &[], |t| {
        assert_eq!(t.column("code"), ["moderation_output"]);
        assert_eq!(
            (t.column("jobs")[0], t.column("latest_job")[0]),
            ("2", "110")
        );
        assert_eq!(t.column("latest_message"), ["The picture was refused."]);
    }),
    ("failures.sql", &["hours=72"], |t| {
        assert_eq!(t.column("code"), ["moderation_output", "expired"]);
    }),
    ("calls.sql", &[], |t| {
        let row = t.row(&[("model", "gemini-3-pro-image")]);
        assert_eq!(
            (row["calls"], row["stored"], row["refused"]),
            ("8", "2", "1")
        );
        assert_eq!(
            (row["empty"], row["limited"], row["error"]),
            ("1", "1", "2")
        );
        assert_eq!((row["ambiguous"], row["seconds_per_picture"]), ("1", "9.0"));
        let live = t.row(&[("model", "gemini-2.5-flash-image")]);
        assert_eq!((live["calls"], live["in_flight"]), ("2", "2"));
    }),
    ("calls.sql", &["days=30"], |t| {
        assert_eq!(t.rows(&[("model", "gemini-3-pro-image")]).len(), 2);
    }),
    ("spend.sql", &[], |t| {
        let row = t.row(&[("account", "key-1")]);
        assert_eq!((row["at_least"], row["at_most"]), ("5", "7"));
        assert_eq!((row["stored"], row["ambiguous"]), ("2", "1"));
        assert_eq!((row["input_tokens"], row["output_tokens"]), ("20", "2580"));
        assert_eq!(row["cost_usd"], "0.268000");
        let live = t.row(&[("account", "default")]);
        assert_eq!((live["at_least"], live["at_most"]), ("0", "2"));
    }),
    ("spend.sql", &["days=30"], |t| {
        assert_eq!(t.rows(&[("account", "key-1")]).len(), 2);
    }),
    ("cost_by_tenant.sql", &[], |t| {
        let row = t.row(&[("model", "gemini-3-pro-image")]);
        assert_eq!(
            (row["tenant"], row["calls"], row["stored"]),
            ("user:7", "7", "2")
        );
        assert_eq!(
            (row["cost_usd"], row["per_photo"]),
            ("0.268000", "0.134000")
        );
        // In flight, so this is expected.
        let live = t.row(&[("model", "gemini-2.5-flash-image")]);
        assert_eq!((live["cost_usd"], live["per_photo"]), ("0.078000", ""));
    }),
    ("cost_by_tenant.sql", &["days=30"], |t| {
        assert_eq!(t.row(&[("model", "gemini-3-pro-image")])["calls"], "9");
    }),
    ("limits.sql", &[], |t| {
        assert_eq!(t.column("state"), ["blocked", "cooling down", "paused"]);
        assert_eq!(
            t.column("reason"),
            ["bad_key: set a valid one", "rate_limited", ""]
        );
        assert!(t.column("next_call_in")[0].starts_with("00:03"), "{t:?}");
        assert_eq!(t.column("next_call_in")[2], "");
    }),
    ("paused.sql", &[], |t| {
        assert_eq!(t.column("what"), ["account", "tenant"]);
        assert_eq!(
            t.column("name"),
            ["gemini/default/gemini-3-pro-image", "team:late"]
        );
        assert_eq!(t.column("reason"), ["", "has not paid"]);
        assert!(t.column("since")[1].starts_with("2026-"), "{t:?}");
    }),
    ("workers.sql", &[], |t| {
        let alive = t.row(&[("label", "alive")]);
        assert_eq!((alive["alive"], alive["jobs"]), ("t", "1"));
        assert_eq!(alive["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(alive["accounts"], "gemini:default");
        let silent = t.row(&[("label", "silent")]);
        assert_eq!((silent["alive"], silent["jobs"]), ("f", "1"));
    }),
    ("job.sql", &["job=108"], |t| {
        assert_eq!(
            t.column("event"),
            [
                "inserted",
                "first claimed",
                "call for image 1",
                "call for image 1 ended: stored",
                "image 1 stored",
                "call for image 2",
                "call for image 2 ended: stored",
                "image 2 stored",
                "call for image 3",
                "call for image 3 ended: refused",
                "image 3 refused",
                "now completed",
            ]
        );
        assert!(
            t.column("detail")[0].contains("user 7, batch 1, 3 images"),
            "{t:?}"
        );
        assert!(t.column("detail")[7].contains("no table photos"), "{t:?}");
        assert!(
            t.column("detail")[11].starts_with("2 images stored"),
            "{t:?}"
        );
    }),
    // Of a job that is gone its calls are left.
    ("job.sql", &["job=999"], |t| {
        assert_eq!(
            t.column("event"),
            ["call for image 1", "call for image 1 ended: stored"]
        );
        assert_eq!(
            t.column("detail")[0],
            "attempt 1, worker gone@vm, account key-1, gemini-3-pro-image"
        );
    }),
    ("job.sql", &["job=998"], |t| {
        assert_eq!(t.column("event").len(), 0);
    }),
    ("batches.sql", &[], |t| {
        assert_eq!(t.column("id"), ["1"]);
        let row = t.row(&[("id", "1")]);
        assert_eq!(
            (row["jobs"], row["unfinished"], row["failed"]),
            ("4", "2", "1")
        );
        assert_eq!(row["images"], "2/9");
    }),
    // No retention is set.
    ("prune.sql", &[], |t| {
        assert_eq!(t.column("status").len(), 0);
    }),
    // Not what has ended today, whose batch goes on, or whose photo the app has not taken over.
    ("prune.sql", &["completed=1", "failed=1"], |t| {
        assert_eq!(t.column("status"), ["failed", "canceled"]);
        assert_eq!(t.column("jobs"), ["1", "1"]);
        assert_eq!(t.column("size"), ["0 bytes", "0 bytes"]);
    }),
    // With pictures in it: `spool`.
    ("spool.sql", &[], |t| {
        assert_eq!(t.column("job").len(), 0);
    }),
    ("webhooks.sql", &[], |t| {
        assert_eq!(t.column("state"), ["waiting", "failing", "given_up"]);
        let failing = t.row(&[("state", "failing")]);
        assert_eq!((failing["job"], failing["tries"]), ("110", "2"));
        assert_eq!(
            (failing["status"], failing["error"]),
            ("500", "The receiver answered 500.")
        );
        assert!(failing["next_try"].starts_with("2999-"), "{t:?}");
    }),
    ("hooks.sql", &[], |t| {
        let row = t.row(&[("job", "108")]);
        assert_eq!((row["index"], row["tries"]), ("2", "3"));
        assert_eq!(row["error"], "no table photos");
        assert!(row["next_try"].starts_with("2999-"), "{}", row["next_try"]);
    }),
];

#[tokio::test]
async fn every_query_says_what_is_true_of_the_queue() {
    let (stage, worker) = queue::with_a_job_in_every_state().await;

    every_expectation_is_met(&stage).await;

    worker.kill();
}

/// An app's own table may have an enum for the status, moments without a time zone, which are UTC,
/// and numbers for those that its jobs belong to; and the server may be anywhere.
#[tokio::test]
async fn every_query_says_the_same_of_an_apps_own_table_in_tokyo() {
    let (stage, worker) = queue::with_a_job_in_every_state().await;
    worker.kill();
    stage.sql(queue::AN_APPS_OWN_TABLE).await;

    every_expectation_is_met(&stage).await;
    for file in files().filter(|file| changes_data(file)) {
        let told = [
            "job=104",
            "batch=2",
            "model=m",
            "account=a",
            "tenant=user:t",
            "most=9",
            "credits=1",
        ];
        psql(&stage, &file, &told).await;
    }
    let pending = "SELECT string_agg(id::text, ' ' ORDER BY id) FROM app.photo_generation_queue
                   WHERE status = 'pending'";
    // Of what one file did, the next one found the rest: 104 was deleted, 107 released.
    assert_eq!(stage.text(pending).await, "101 102 103 107");
}

/// An app may park a job at infinity, and one row like that must not blind an operator.
#[tokio::test]
async fn every_query_and_the_doctor_bear_moments_without_end() {
    let stage = Stage::new().await;
    stage.sql(queue::MOMENTS_WITHOUT_END).await;

    for file in files().filter(|file| !changes_data(file)) {
        psql(&stage, &file, &["job=1"]).await;
    }
    let parked = psql(&stage, "rate_limited.sql", &[]).await;
    assert_eq!(parked.row(&[])["rate_limited"], "9");
    for arguments in [&["show", "1"], &["show", "10"], &["show", "19"]] {
        let answer = stage.safelight(arguments).await;
        assert_eq!(answer.code, 0, "{answer:?}");
    }
    let doctor = stage.safelight(&["doctor"]).await;
    assert!(
        doctor
            .stdout
            .contains("gemini-2.5-flash-image on account default of gemini cools down for"),
        "{doctor:?}"
    );
}

async fn every_expectation_is_met(stage: &Stage) {
    for file in files().filter(|file| !changes_data(file)) {
        let expectations = READS.iter().filter(|(name, ..)| *name == file);
        let mut met = 0;
        for (_, variables, check) in expectations {
            println!("{file} {variables:?}");
            check(&psql(stage, &file, variables).await);
            met += 1;
        }
        assert!(met > 0, "{file} has no expectation in READS");
    }
}

#[tokio::test]
async fn every_change_does_what_it_says_while_a_worker_lives() {
    // At once: most of the time each waits for its worker.
    join_all(
        files()
            .filter(|file| changes_data(file))
            .map(|file| writes::scenario(&file)),
    )
    .await;
}

#[tokio::test]
async fn a_file_that_was_not_told_which_row_says_so_and_changes_nothing() {
    let (stage, worker) = queue::with_a_job_in_every_state().await;
    let before = stage.text(queue::FINGERPRINT).await;

    let mut asked = 0;
    for file in files().filter(|file| text(file).contains("\\warn")) {
        let answer = psql::output(&stage, &file, &[]).await;

        let complaint = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert!(
            complaint.contains(&format!("-f sql/ops/{file}")),
            "{file}: {complaint}"
        );
        assert!(answer.stdout.is_empty(), "{file}: {answer:?}");
        asked += 1;
    }

    assert_eq!(asked, 10);
    assert_eq!(stage.text(queue::FINGERPRINT).await, before);
    worker.kill();
}

#[test]
fn every_file_says_what_it_answers_when_to_use_it_and_what_it_needs() {
    for file in files() {
        let text = text(&file);
        let name = file.trim_end_matches(".sql");

        assert!(text.starts_with(&format!("-- ops/{name}: ")), "{file}");
        assert!(text.contains("\n-- When: "), "{file}");
        for variable in text.split(":{?").skip(1) {
            let (variable, _) = variable.split_once('}').unwrap();
            let usage = format!("psql -v {variable}=");
            let usage = text
                .lines()
                .find(|line| line.starts_with("--") && line.contains(&usage));
            assert!(
                usage.is_some_and(|line| line.contains(&format!("-f sql/ops/{file}"))),
                "{file}"
            );
        }
    }
}

#[test]
fn only_files_that_end_in_write_change_data() {
    for file in files() {
        let statement: String = text(&file)
            .lines()
            .filter(|line| !line.starts_with("--"))
            .collect();
        let changes = ["UPDATE ", "INSERT ", "DELETE ", "_grant_credits("]
            .iter()
            .any(|word| statement.contains(word));

        assert_eq!(changes, changes_data(&file), "{file}");
    }
}

fn changes_data(file: &str) -> bool {
    file.ends_with("_write.sql")
}

/// The names of all files, in order.
pub(crate) fn files() -> impl Iterator<Item = String> {
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort_unstable();
    files.into_iter()
}

pub(crate) fn text(file: &str) -> String {
    std::fs::read_to_string(folder().join(file)).unwrap()
}

fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/ops")
}
