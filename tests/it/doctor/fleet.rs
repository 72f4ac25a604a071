//! Settings, clocks, limits and workers.

use super::{check_mended, examine, follow, healthy};

#[tokio::test]
async fn settings_that_hold_up_the_fleet_are_seen() {
    let stage = healthy().await;
    let off = "UPDATE photo_generation_settings SET value = 'off' WHERE key = 'notifications'";

    check_mended(&stage, off, "settings", "warn", "notifications are off").await;

    let wished = ["--gemini-model-name", "gemini-3-pro-image"];
    let report = examine(&stage, &wished).await;
    report.assert_is("settings", "warn", "is recorded and counts");
    let line = report.line("settings");
    line.assert_says("GEMINI_MODEL_NAME=gemini-3-pro-image safelight migrate");
    stage
        .sql("UPDATE photo_generation_settings SET value = 'dall-e' WHERE key = 'defaultModel.gemini'")
        .await;
    let report = examine(&stage, &[]).await;
    report.assert_fails_only(&["settings"]);
    report.assert_is(
        "settings",
        "fail",
        "\"dall-e\" is not an image model of Gemini",
    );
    stage
        .sql("DELETE FROM photo_generation_settings WHERE key = 'defaultProvider'")
        .await;
    let report = examine(&stage, &[]).await;
    report.assert_is("settings", "warn", "no default model is recorded");
    report.line("settings").assert_says("safelight worker");
}

#[tokio::test]
async fn a_clock_and_a_zone_that_mislead_are_seen() {
    let stage = healthy().await;
    let name = stage.text("SELECT current_database()").await;

    // The zone alone misleads nobody.
    stage
        .sql(&format!(
            "ALTER DATABASE {name} SET timezone = 'Europe/Berlin'"
        ))
        .await;
    examine(&stage, &[]).await.assert_is("clock", "ok", "");
    check_mended(
        &stage,
        r#"ALTER TABLE photo_generation_batches ADD "seenAt" timestamp"#,
        "clock",
        "warn",
        r#"times without a zone, which are read as UTC, are in photo_generation_batches."seenAt""#,
    )
    .await;

    // A server whose clock is an hour ahead.
    stage
        .sql(&format!(
            "CREATE SCHEMA ahead;
             CREATE FUNCTION ahead.clock_timestamp() RETURNS timestamptz LANGUAGE sql
             AS $$ SELECT pg_catalog.clock_timestamp() + interval '1 hour' $$;
             ALTER DATABASE {name} SET search_path = ahead, public, pg_catalog"
        ))
        .await;
    let report = examine(&stage, &[]).await;
    report.assert_fails_only(&[]);
    report.assert_is("clock", "warn", "ahead of this machine's");
    report.line("clock").assert_says("timedatectl");
}

#[tokio::test]
async fn each_limit_is_told_with_what_ends_it() {
    let stage = healthy().await;
    let limit = |set: &str| {
        format!("UPDATE photo_generation_limits SET {set} WHERE model = 'gemini-3-pro-image'")
    };
    for (set, seen) in [
        (
            "paused = true",
            "gemini-3-pro-image on account default of gemini is paused",
        ),
        (
            r#""blockedUntil" = now() + interval '5 hours', reason = 'bad_key: it''s bad'"#,
            "is blocked, next try in 4 h 59 min: bad_key: it's bad",
        ),
        (
            r#""cooldownUntil" = now() + interval '5 hours', reason = 'daily_quota'"#,
            "cools down for 4 h 59 min: daily_quota",
        ),
    ] {
        check_mended(&stage, &limit(set), "limits", "warn", seen).await;
    }
}

#[tokio::test]
async fn what_is_paused_is_told_with_the_command_that_resumes_it() {
    let stage = healthy().await;
    let paused = stage
        .safelight(&["pause", "tenant", "team:7", "--reason", "has not paid"])
        .await;
    assert_eq!(paused.code, 0, "{paused:?}");

    let report = examine(&stage, &[]).await;

    report.assert_fails_only(&[]);
    let seen = "paused by an operator, just now: tenant team:7: has not paid";
    report.assert_is("pauses", "warn", seen);
    report
        .line("pauses")
        .assert_says("safelight resume tenant team:7");
    let resumed = stage.safelight(&["resume", "tenant", "team:7"]).await;
    assert_eq!(resumed.stdout, "Resumed: tenant team:7.\n", "{resumed:?}");
    let report = examine(&stage, &[]).await;
    report.assert_is("pauses", "ok", "nothing is paused");
}

#[tokio::test]
async fn a_limit_of_money_that_counts_nothing_is_told_by_the_doctor_and_by_a_worker() {
    let stage = healthy().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_settings (key, value) VALUES ('dailySpendLimit', '5');
               INSERT INTO photo_generation_limits (provider, account, model, "costPerCall")
               VALUES ('gemini', 'default', 'gemini-9-flash-image', NULL),
                      ('gemini', 'other', 'gemini-9-flash-image', 0.04),
                      ('gemini', 'other', 'gemini-3-pro-image-preview', NULL)"#,
        )
        .await;
    let told = "what a call to gemini/default/gemini-9-flash-image costs is not known";

    let report = examine(&stage, &[]).await;
    report.assert_fails_only(&[]);
    report.assert_is("limits", "warn", told);
    report
        .line("limits")
        .assert_says("safelight limits set gemini/default/gemini-9-flash-image --cost-per-call");
    let worker = stage.process(&[]);
    worker.said(told).await;
    worker.said("worker started").await;
    let warned = worker.lines();
    let warned = warned.iter().filter(|line| line.contains("is not known"));
    assert_eq!(warned.count(), 1);
}

#[tokio::test]
async fn jobs_that_nobody_works_on_are_told() {
    let stage = healthy().await;
    stage.job("a lake", 1).await;
    let report = examine(&stage, &[]).await;
    report.assert_fails_only(&[]);
    report.assert_is("workers", "warn", "no worker lives, and due: 1 job");
    report.line("workers").assert_says("safelight worker");

    stage
        .sql(
            r#"UPDATE photo_generation_queue SET status = 'processing', "lockedBy" = 'gone',
                   "lockedAt" = now() - interval '6 minutes', run = gen_random_uuid()"#,
        )
        .await;
    let report = examine(&stage, &[]).await;
    report.assert_is("workers", "warn", "held by workers that are dead: 1 job");
    report.line("workers").assert_says("safelight worker");

    stage
        .sql("UPDATE photo_generation_queue SET run = NULL")
        .await;
    let report = examine(&stage, &[]).await;
    report.assert_is(
        "workers",
        "warn",
        "locked by another program and not renewed for 5 minutes: 1 job",
    );
    follow(&stage, &report, "workers").await;
    let report = examine(&stage, &[]).await;
    report.assert_is("workers", "warn", "no worker lives, and due: 1 job");

    let worker = stage
        .worker_with(|settings| settings.label = "night-shift".to_owned())
        .await;
    stage.until_all_ended().await;
    let report = examine(&stage, &[]).await;
    report.assert_is("workers", "ok", "1 live (night-shift");
    worker.stop().await;
}
