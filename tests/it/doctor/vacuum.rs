//! What keeps dead rows is found, and its end is what is printed.

use safelight::providers::simulator::SimulatorConfig;
use sqlx::{Connection as _, PgConnection, PgPool};

use super::{check_mended, examine, follow, healthy};
use crate::harness::{Server, Stage};

const OLDER_THAN_A_SECOND: [&str; 2] = ["--transactions-older-than", "1s"];

#[tokio::test]
async fn a_transaction_that_stays_open_is_named_and_ended() {
    let stage = healthy().await;
    let mut forgotten = PgConnection::connect(&stage.url).await.unwrap();
    sqlx::raw_sql("SET application_name = 'forgetful-app'; BEGIN; SELECT txid_current();")
        .execute(&mut forgotten)
        .await
        .unwrap();
    stage
        .until(
            "SELECT now() - xact_start > interval '1 second' FROM pg_stat_activity
             WHERE application_name = 'forgetful-app' AND state = 'idle in transaction'",
        )
        .await;

    let report = examine(&stage, &OLDER_THAN_A_SECOND).await;
    report.assert_fails_only(&[]);
    report.assert_is(
        "vacuum",
        "warn",
        "forgetful-app, user postgres from 127.0.0.1, idle in transaction",
    );
    follow(&stage, &report, "vacuum").await;

    let gone =
        "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'forgetful-app')";
    stage.until(gone).await;
    examine(&stage, &OLDER_THAN_A_SECOND)
        .await
        .assert_is("vacuum", "ok", "");
    // Ten minutes are not over for anybody.
    examine(&stage, &[])
        .await
        .assert_is("vacuum", "ok", "10 min");
}

#[tokio::test]
async fn what_no_session_holds_is_found_too() {
    let server = Server::start().await;
    let settings = PgPool::connect(&server.url).await.unwrap();
    for setting in ["wal_level = 'logical'", "max_prepared_transactions = 5"] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("ALTER SYSTEM SET {setting}")))
            .execute(&settings)
            .await
            .unwrap();
    }
    settings.close().await;
    server.stop().await;
    server.start_again().await;
    let stage = Stage::on(&server, SimulatorConfig::instant()).await;
    stage.drain().await;
    stage
        .sql("SELECT pg_create_logical_replication_slot('left_behind', 'pgoutput')")
        .await;
    stage
        .sql("BEGIN; SELECT txid_current(); PREPARE TRANSACTION 'it''s left'")
        .await;
    stage
        .until("SELECT now() - prepared > interval '1 second' FROM pg_prepared_xacts")
        .await;

    let report = examine(&stage, &OLDER_THAN_A_SECOND).await;
    report.assert_fails_only(&[]);
    let seen: Vec<_> = report
        .lines("vacuum")
        .iter()
        .map(|line| &line.seen)
        .collect();
    assert!(
        seen[0].contains("'it''s left' of user postgres"),
        "{seen:?}"
    );
    assert!(seen[1].contains("slot left_behind"), "{seen:?}");
    follow(&stage, &report, "vacuum").await;

    let report = examine(&stage, &OLDER_THAN_A_SECOND).await;
    report.assert_is("vacuum", "ok", "");
}

#[tokio::test]
async fn dead_rows_that_nobody_takes_away_are_counted() {
    let stage = healthy().await;
    stage
        .sql("ALTER TABLE photo_generation_queue SET (autovacuum_enabled = false)")
        .await;
    let many = "INSERT INTO photo_generation_queue (status) SELECT 'failed' FROM generate_series(1, 25000);
                DELETE FROM photo_generation_queue; SELECT pg_stat_force_next_flush();";

    check_mended(
        &stage,
        many,
        "vacuum",
        "warn",
        "25000 of the queue's rows are dead",
    )
    .await;
}
