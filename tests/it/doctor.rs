//! `safelight doctor`, run as an operator runs it, on patients that lack one thing at a time: its
//! line appears with what mends it, and what it prints as SQL is executed and mends it.

mod exposure;
mod fleet;
mod outside;
mod pooler;
mod reach;
mod rights;
mod vacuum;

use std::process::Output;

use safelight::db::schema;
use safelight::providers::simulator::DEFAULT_KEY;
use serde::Deserialize;
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::process::Command;

use crate::harness::{Stage, empty_database};
use crate::schema::SUPABASE_ROLES;

/// The password that must never be seen.
const SECRET: &str = "hush-hush";

/// Everything that is looked at, in its order.
const CHECKS: [&str; 17] = [
    "database", "pooler", "listen", "schema", "rights", "clock", "settings", "limits", "pauses",
    "workers", "spool", "webhooks", "credits", "vacuum", "exposure", "storage", "provider",
];

/// What the doctor said, as a program reads it.
#[derive(Debug, Deserialize)]
struct Report {
    failed: usize,
    checks: Vec<Line>,
    #[serde(skip)]
    exit_code: Option<i32>,
}

#[derive(Debug, Deserialize)]
struct Line {
    level: String,
    name: String,
    seen: String,
    mend: Vec<Mend>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mend {
    Say(String),
    Sql(String),
    Shell(String),
}

impl Report {
    /// The lines of a check.
    fn lines(&self, name: &str) -> Vec<&Line> {
        let lines: Vec<_> = self
            .checks
            .iter()
            .filter(|line| line.name == name)
            .collect();
        assert!(!lines.is_empty(), "{name} is missing: {self:#?}");
        lines
    }

    /// The one line of a check.
    fn line(&self, name: &str) -> &Line {
        let lines = self.lines(name);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        lines[0]
    }

    #[track_caller]
    fn assert_is(&self, name: &str, level: &str, seen: &str) {
        let line = self.line(name);
        assert!(
            line.level == level && line.seen.contains(seen),
            "not \"{level}\" with \"{seen}\": {line:#?}"
        );
    }

    /// Nothing but this fails, and nothing is left out.
    #[track_caller]
    fn assert_fails_only(&self, names: &[&str]) {
        let failed = self.checks.iter().filter(|line| line.level == "fail");
        let mut failed: Vec<_> = failed.map(|line| line.name.as_str()).collect();
        failed.dedup();
        assert_eq!(failed, names, "{self:#?}");
        let code = i32::from(!names.is_empty());
        assert_eq!(self.exit_code, Some(code));
        let mut checks: Vec<_> = self.checks.iter().map(|line| line.name.as_str()).collect();
        checks.dedup();
        assert_eq!(checks, CHECKS);
    }
}

impl Line {
    fn sql(&self) -> Vec<&str> {
        let statements = self.mend.iter().filter_map(|mend| match mend {
            Mend::Sql(sql) => Some(sql.as_str()),
            Mend::Say(_) | Mend::Shell(_) => None,
        });
        statements.collect()
    }

    #[track_caller]
    fn assert_says(&self, words: &str) {
        let said = self.mend.iter().any(|mend| match mend {
            Mend::Say(text) | Mend::Sql(text) | Mend::Shell(text) => text.contains(words),
        });
        assert!(said, "nothing says \"{words}\": {self:#?}");
    }
}

/// A stage that nothing is wrong with, where Supabase's roles exist.
async fn healthy() -> Stage {
    let mut stage = Stage::new().await;
    stage.sql(SUPABASE_ROLES).await;
    stage.url = empty_database().await;
    stage.pool = PgPool::connect(&stage.url).await.unwrap();
    let db = stage.db().await;
    schema::migrate(&db, &|_| {}).await.unwrap();
    db.close().await;
    // Records what a first worker records.
    stage.drain().await;
    stage
}

fn command(stage: &Stage, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
    command
        .arg("doctor")
        .current_dir(stage.photos())
        .env("DATABASE_URL", &stage.url)
        .env("GEMINI_API_KEY", DEFAULT_KEY)
        .env("GEMINI_BASE_URL", stage.simulator.base_url())
        .env("STORAGE", format!("local:{}", stage.photos().display()))
        .env_remove("DATABASE_LISTEN_URL")
        .env_remove("GEMINI_API_KEYS")
        .env_remove("GOOGLE_AI_STUDIO_API_KEY")
        .env_remove("GEMINI_MODEL_NAME")
        .env_remove("SUPABASE_URL")
        .args(arguments);
    command
}

async fn run(stage: &Stage, arguments: &[&str]) -> Output {
    let output = command(stage, arguments).output().await.unwrap();
    for stream in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(stream);
        assert!(!text.contains(SECRET), "a secret is printed: {text}");
    }
    output
}

/// Calls for the doctor.
async fn examine(stage: &Stage, arguments: &[&str]) -> Report {
    let mut arguments = arguments.to_vec();
    arguments.push("--json");
    let output = run(stage, &arguments).await;
    let mut report: Report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    report.exit_code = output.status.code();
    assert_eq!(
        report.failed > 0,
        report.exit_code == Some(1),
        "{report:#?}"
    );
    report
}

/// Types the SQL that a check printed, statement by statement, in one session.
async fn follow(stage: &Stage, report: &Report, name: &str) {
    let mut session = PgConnection::connect(&stage.url).await.unwrap();
    let lines = report.lines(name);
    let statements: Vec<_> = lines.iter().flat_map(|line| line.sql()).collect();
    assert!(!statements.is_empty(), "no SQL: {lines:#?}");
    for sql in statements {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(&mut session)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{sql}"));
    }
    session.close().await.unwrap();
}

/// After `harm`, the check has one line that says so, and its own SQL makes it well again.
async fn check_mended(stage: &Stage, harm: &str, name: &str, level: &str, seen: &str) {
    stage.sql(harm).await;
    let ill = examine(stage, &[]).await;
    ill.assert_is(name, level, seen);

    follow(stage, &ill, name).await;

    let well = examine(stage, &[]).await;
    well.assert_is(name, "ok", "");
    well.assert_fails_only(&[]);
}

#[tokio::test]
async fn a_healthy_patient_has_one_line_for_each_check_and_all_are_ok() {
    let stage = healthy().await;

    let output = run(&stage, &[]).await;

    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let lines: Vec<_> = said.lines().collect();
    let (last, lines) = lines.split_last().unwrap();
    assert_eq!(*last, "All is well.", "{said}");
    let expected = CHECKS.map(|name| format!("ok    {name:<8}  "));
    assert_eq!(lines.len(), expected.len(), "{said}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(&expected), "{line}");
    }
    // Nothing was left in the storage, nothing was called.
    assert_eq!(std::fs::read_dir(stage.photos()).unwrap().count(), 0);
    assert!(stage.simulator.log().is_empty());
}

#[tokio::test]
async fn a_check_that_is_held_up_ends_and_holds_up_no_other() {
    let stage = healthy().await;
    let mut holder = PgConnection::connect(&stage.url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE photo_generation_queue")
        .execute(&mut holder)
        .await
        .unwrap();

    let report = examine(&stage, &[]).await;

    report.assert_fails_only(&["workers"]);
    let line = report.line("workers");
    line.assert_says("pg_blocking_pids");
    let shown: Vec<i32> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "SELECT pid FROM ({}) AS busy",
        line.sql()[0].trim_end_matches(';')
    )))
    .fetch_all(&stage.pool)
    .await
    .unwrap();
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut holder)
        .await
        .unwrap();
    assert!(shown.contains(&pid), "{shown:?} does not show {pid}");
}
