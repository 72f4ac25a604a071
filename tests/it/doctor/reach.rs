//! No database, or one that is no use: the line says what is wrong with the way there.

use sqlx::PgPool;

use super::{CHECKS, SECRET, check_mended, examine, healthy, run};
use crate::harness::{Stage, empty_database};

#[tokio::test]
async fn without_a_database_everything_else_is_still_looked_at() {
    let stage = Stage::new().await;
    let with_secret = |place: &str| format!("postgres://postgres:{SECRET}@{place}");
    let server = url::Url::parse(&stage.url).unwrap();
    let at_server = |user: &str, name: &str| {
        format!(
            "postgres://{user}:{SECRET}@{}:{}/{name}",
            server.host_str().unwrap(),
            server.port().unwrap()
        )
    };
    for (url, seen, mend) in [
        (
            String::new(),
            "DATABASE_URL is not set",
            "export DATABASE_URL=",
        ),
        (
            format!("mysql://root:{SECRET}@localhost/x"),
            "not a Postgres address",
            "Session pooler",
        ),
        (
            with_secret("127.0.0.1:9/x"),
            "connection refused",
            "pg_isready -h 127.0.0.1 -p 9",
        ),
        (
            with_secret("no-such-host.invalid/x"),
            "host name is not known",
            "no-such-host.invalid",
        ),
        (
            at_server("postgres", "no_such"),
            "no such database",
            "psql -h ",
        ),
        (
            at_server("no_such", "postgres"),
            "does not let this user in",
            "pg_hba.conf",
        ),
    ] {
        let report = examine(&stage, &["--database-url", &url]).await;

        report.assert_fails_only(&["database"]);
        report.assert_is("database", "fail", seen);
        report.line("database").assert_says(mend);
        for name in &CHECKS[1..11] {
            report.assert_is(name, "skip", "not checked: no database");
        }
        report.assert_is("storage", "ok", "");
        report.assert_is("provider", "ok", "");
    }
}

#[tokio::test]
async fn a_server_that_takes_the_call_and_says_nothing_is_given_up() {
    let stage = Stage::new().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://a:{SECRET}@{}/x", silent.local_addr().unwrap());

    let report = examine(&stage, &["--database-url", &url]).await;

    report.assert_is("database", "fail", "does not answer within 5s");
    report.line("database").assert_says("paused");
}

#[tokio::test]
async fn a_database_that_refuses_writes_or_has_no_room_is_seen() {
    let stage = healthy().await;
    let name = stage.text("SELECT current_database()").await;

    check_mended(
        &stage,
        &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"),
        "database",
        "fail",
        "refuses writes",
    )
    .await;
    check_mended(
        &stage,
        &format!("ALTER DATABASE {name} CONNECTION LIMIT 5"),
        "database",
        "warn",
        "a worker takes up to 7",
    )
    .await;
}

#[tokio::test]
async fn without_our_tables_it_says_how_to_make_them() {
    let mut stage = healthy().await;
    let ours = std::mem::replace(&mut stage.url, empty_database().await);

    let report = examine(&stage, &[]).await;

    report.assert_fails_only(&["schema"]);
    report.line("schema").assert_says("safelight migrate");
    for name in [
        "rights", "settings", "limits", "pauses", "workers", "exposure",
    ] {
        report.assert_is(name, "skip", "not checked");
    }
    stage.url = ours;
    stage.pool = PgPool::connect(&stage.url).await.unwrap();
    for (key, value, seen, mend) in [
        (
            "oldestWorker",
            9,
            "takes workers from version 9 on",
            "cargo install",
        ),
        ("version", 0, "is version 0", "safelight migrate"),
    ] {
        stage
            .sql(&format!(
                "UPDATE photo_generation_settings SET value = '{value}' WHERE key = '{key}'"
            ))
            .await;

        let report = examine(&stage, &[]).await;

        report.assert_fails_only(&["schema"]);
        report.assert_is("schema", "fail", seen);
        report.line("schema").assert_says(mend);
    }
}

#[tokio::test]
async fn people_read_failures_and_warnings_on_one_screen() {
    let stage = healthy().await;
    stage
        .sql("UPDATE photo_generation_settings SET value = 'off' WHERE key = 'notifications'")
        .await;

    let output = run(&stage, &["--storage", "somewhere"]).await;

    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("\nFAIL  storage   STORAGE=\"somewhere\""),
        "{said}"
    );
    assert!(
        said.contains("\n                export STORAGE=local:./photos\n"),
        "{said}"
    );
    assert!(
        said.contains("\nwarn  settings  notifications are off"),
        "{said}"
    );
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(complaint, "safelight: 1 failure, 1 warning\n");
}
