//! What providers refuse: cooldowns, daily quotas, blocked accounts, and what operators pause.
//!
//! Written to `photo_generation_limits` by the worker that met it, heeded by all.

use std::time::Duration;

use futures_util::future::join_all;
use safelight::db::ledger::{self, Gate, NewCall};
use safelight::domain::Model;
use safelight::providers::simulator::{Fault, FaultKind, PushedFault, SimAccount, SimulatorConfig};
use safelight::worker::Settings;
use uuid::Uuid;

use crate::harness::{InProcess, MODEL, Stage};

const OTHER_MODEL: &str = "gemini-3-pro-image";
/// Midnight Pacific time, written otherwise than in the migration.
const NEXT_QUOTA_DAY: &str = "(((now() AT TIME ZONE 'America/Los_Angeles')::date + 1)::timestamp AT TIME ZONE 'America/Los_Angeles')";

fn soon(settings: &mut Settings) {
    settings.poll_every = Duration::from_millis(200);
    settings.concurrency = 10;
}

impl Stage {
    async fn job_of(&self, model: &str, prompt: &str) -> i64 {
        sqlx::query_scalar(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", model)
               VALUES ($1, 1, $2) RETURNING id"#,
        )
        .bind(prompt)
        .bind(model)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// Lets a job of another model through: whoever did it has looked at the whole queue since.
    async fn another_model_works(&self) {
        let job = self.job_of(OTHER_MODEL, "a job of another model").await;
        self.until(&format!(
            "SELECT status = 'completed' FROM photo_generation_queue WHERE id = {job}"
        ))
        .await;
    }

    /// Calls of the default model.
    fn calls(&self) -> usize {
        let log = self.simulator.log();
        log.iter().filter(|call| call.model == MODEL).count()
    }

    async fn until_rate_limited(&self, job: i64) {
        self.until(&format!(
            "SELECT status = 'rate_limited' FROM photo_generation_queue WHERE id = {job}"
        ))
        .await;
    }

    async fn until_blocked(&self) {
        self.until(&format!(
            r#"SELECT "blockedUntil" > now() AND NOT EXISTS (
                   SELECT FROM photo_generation_queue WHERE status = 'processing')
               FROM photo_generation_limits WHERE account = 'default' AND model = '{MODEL}'"#
        ))
        .await;
    }

    /// What the whole queue was charged for the limits: nothing.
    async fn assert_no_attempt_counted(&self) {
        let counted = "SELECT count(*) FROM photo_generation_queue WHERE attempts > 0";
        assert_eq!(self.number(counted).await, 0, "{}", self.dump().await);
    }
}

async fn stop_all(workers: Vec<InProcess>) {
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_short_429_is_waited_out_in_process() {
    let stage = Stage::new().await;
    stage.record_states().await;
    let worker = stage.worker_with(soon).await;
    let stated = stage.job("a lake [sim:429@1 wait=1s]", 1).await;
    let bare = stage.job("a hill [sim:429-bare@1]", 2).await;

    stage.until_all_ended().await;

    for job in [stated, bare] {
        assert_eq!(stage.states(job).await, "processing completed");
    }
    assert_eq!(
        stage
            .text("SELECT string_agg(concat_ws(':', state, accepted), ' ' ORDER BY state) FROM photo_generation_calls")
            .await,
        "limited:f limited:f stored:t stored:t stored:t"
    );
    stage.assert_no_attempt_counted().await;
    // A call that went through takes the refusal back.
    let troubled = format!(
        r#"SELECT count(*) FROM photo_generation_limits
           WHERE model = '{MODEL}' AND (reason IS NOT NULL OR "limitedInARow" > 0)"#
    );
    stage.until(&format!("SELECT ({troubled}) = 0")).await;
    stage.assert_equation().await;
    worker.stop().await;
}

#[tokio::test]
async fn the_fleet_makes_no_call_while_an_account_cools_down() {
    let stage = Stage::new().await;
    let workers = vec![stage.worker_with(soon).await, stage.worker_with(soon).await];
    stage.job("a lake [sim:429@1 wait=2s]", 1).await;
    stage.until_called(|log| log.len() == 1).await;
    stage
        .until(
            r#"SELECT EXISTS (SELECT FROM photo_generation_limits WHERE "cooldownUntil" > now())"#,
        )
        .await;

    for number in 0..4 {
        stage.job(&format!("a hill, number {number}"), 1).await;
    }
    stage.until_all_ended().await;

    let log = stage.simulator.log();
    let wait = log[1].received_at_ms - log[0].received_at_ms;
    assert!(wait >= 2000, "called again after {wait} ms");
    stage.assert_no_attempt_counted().await;
    stop_all(workers).await;
}

#[tokio::test]
async fn a_429_that_does_not_end_is_met_four_times_and_then_given_back() {
    let stage = Stage::new().await;
    let worker = stage.worker_with(soon).await;
    let job = stage.job("a lake [sim:429 wait=0.1s]", 1).await;

    stage.until_rate_limited(job).await;

    assert_eq!(stage.simulator.log().len(), 4);
    // 500, 1000, 2000 ms by consecutive 429, though less was stated.
    let waits: Vec<u64> = stage
        .simulator
        .log()
        .windows(2)
        .map(|calls| calls[1].received_at_ms - calls[0].received_at_ms)
        .collect();
    assert!(
        waits[0] >= 500 && waits[1] >= 1000 && waits[2] >= 2000,
        "{waits:?}"
    );
    stage.assert_no_attempt_counted().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_long_429_makes_exactly_the_job_that_met_it_rate_limited() {
    let stage = Stage::new().await;
    stage.record_states().await;
    let first = stage.worker_with(soon).await;
    // In the middle of its images when the other job meets the limit: they go five a second at most.
    let beside = stage.job("a lake", 30).await;
    stage.until_called(|log| !log.is_empty()).await;
    let met = stage.job("a hill [sim:429@1 wait=60s]", 1).await;
    stage.until_rate_limited(met).await;
    stage
        .until(&format!(
            "SELECT status = 'pending' FROM photo_generation_queue WHERE id = {beside}"
        ))
        .await;
    let second = stage.worker_with(soon).await;
    let later = stage.job("a forest", 1).await;
    stage.another_model_works().await;

    let cools_down = format!(
        r#"SELECT "cooldownUntil" - now() BETWEEN interval '50 s' AND interval '66 s'
           FROM photo_generation_limits WHERE model = '{MODEL}'"#
    );
    assert_eq!(stage.text(&cools_down).await, "true");
    let waits = format!(
        r#"SELECT bool_and("retryAt" - now() BETWEEN interval '50 s' AND interval '80 s')
           FROM photo_generation_queue WHERE id IN ({met}, {beside})"#
    );
    assert_eq!(stage.text(&waits).await, "true", "{}", stage.dump().await);
    assert_eq!(stage.states(met).await, "processing rate_limited");
    assert_eq!(stage.states(beside).await, "processing pending");
    assert_eq!(stage.states(later).await, "", "it was not even claimed");
    stage.assert_no_attempt_counted().await;

    stage
        .sql(r#"UPDATE photo_generation_limits SET "cooldownUntil" = now() WHERE "cooldownUntil" IS NOT NULL;
                UPDATE photo_generation_queue SET "retryAt" = now() WHERE "retryAt" IS NOT NULL"#)
        .await;
    stage.until_all_ended().await;
    // The images that were bought before the limit are not bought again.
    assert_eq!(stage.calls(), 30 + 2 + 1);
    stage.assert_no_attempt_counted().await;
    stage.assert_photos().await;
    stage.assert_equation().await;
    stop_all(vec![first, second]).await;
}

#[tokio::test]
async fn a_daily_quota_is_waited_for_until_midnight_pacific_by_every_worker() {
    let stage = Stage::new().await;
    stage.record_states().await;
    let first = stage.worker_with(soon).await;
    let met = stage.job("a lake [sim:daily@1]", 1).await;
    stage.until_rate_limited(met).await;
    let second = stage.worker_with(soon).await;
    let later = stage.job("a hill", 1).await;
    stage.another_model_works().await;

    let midnight = format!(
        r#"SELECT "retryAt" = {NEXT_QUOTA_DAY} AND "errorCode" = 'daily_quota' AND "cooldownUntil" = {NEXT_QUOTA_DAY}
             AND reason = 'daily_quota'
           FROM photo_generation_queue AS job
           JOIN photo_generation_limits AS l ON l.model = '{MODEL}' WHERE id = {met}"#
    );
    assert_eq!(
        stage.text(&midnight).await,
        "true",
        "{}",
        stage.dump().await
    );
    assert_eq!(stage.states(met).await, "processing rate_limited");
    assert_eq!(stage.states(later).await, "");
    assert_eq!(stage.calls(), 1);
    stage.assert_no_attempt_counted().await;
    stage.assert_equation().await;
    stop_all(vec![first, second]).await;
}

#[tokio::test]
async fn a_blocked_account_lets_one_real_call_through_at_a_time() {
    for (fault, code) in [
        (FaultKind::BadKey, "bad_key: "),
        (FaultKind::NoCredit, "no_credit: "),
        (FaultKind::LimitZero, "not_on_plan: "),
        (FaultKind::Gone, "model_gone: "),
    ] {
        let stage = Stage::new().await;
        stage.simulator.push_fault(PushedFault {
            fault: Fault::of(fault),
            matching: "a lake".to_owned(),
            times: 2,
        });
        let mut workers = Vec::new();
        for _ in 0..4 {
            workers.push(stage.worker_with(soon).await);
        }
        stage.job("a lake, the first", 1).await;
        stage.until_blocked().await;
        for number in 1..20 {
            stage.job(&format!("a lake, number {number}"), 1).await;
        }
        stage.another_model_works().await;

        assert_eq!(stage.calls(), 1, "{fault}");
        let reason = format!("SELECT reason FROM photo_generation_limits WHERE model = '{MODEL}'");
        let reason = stage.text(&reason).await;
        // The code, then what to do about it, then the provider's own words.
        assert!(
            reason.starts_with(code) && reason.ends_with(')'),
            "{reason}"
        );

        stage.probe_now().await;
        stage
            .until_called(|log| log.iter().filter(|call| call.model == MODEL).count() == 2)
            .await;
        stage.until_blocked().await;
        stage.another_model_works().await;
        assert_eq!(stage.calls(), 2, "{fault}");
        stage.assert_no_attempt_counted().await;

        // Mended: the next probe takes the block away, and nothing waits any longer.
        stage.probe_now().await;
        stage
            .until_within(
                "SELECT bool_and(status = 'completed') FROM photo_generation_queue",
                Duration::from_secs(40),
            )
            .await;
        stage.assert_no_attempt_counted().await;
        stage.assert_equation().await;
        stop_all(workers).await;
    }
}

impl Stage {
    async fn probe_now(&self) {
        self.sql(&format!(
            r#"UPDATE photo_generation_limits SET "blockedUntil" = now()
               WHERE account = 'default' AND model = '{MODEL}'"#
        ))
        .await;
    }
}

/// Seen waiting for the account together, so that none of them is late.
#[tokio::test]
async fn of_many_that_ask_at_once_one_may_try_a_blocked_account() {
    let stage = Stage::new().await;
    stage.without_cap().await;
    let holder = stage.holder("a worker").await;
    let mut claimed = Vec::new();
    for number in 0..6 {
        stage.job(&format!("a lake, number {number}"), 1).await;
        let (lease, job) = holder.claim().await;
        ledger::plan(&holder.db, &lease, 1).await.unwrap();
        claimed.push((lease, job));
    }
    stage.probe_now().await;
    let mut other = stage.pool.begin().await.unwrap();
    sqlx::query(
        "SELECT pg_advisory_xact_lock(hashtextextended('safelight/gemini/default/' || $1, 0))",
    )
    .bind(MODEL)
    .execute(&mut *other)
    .await
    .unwrap();

    let model = Model::from_name(MODEL).unwrap();
    let accounts = ["default".to_owned()];
    let asking = join_all(claimed.iter().map(async |(lease, job)| {
        let call = NewCall {
            id: Uuid::new_v4(),
            target: safelight::domain::Target::Image(1),
            run: holder.claimer.run,
            tenant: &job.tenant,
            accounts: &accounts,
            model: &model,
            deadline: Duration::from_mins(3),
        };
        ledger::calling(&holder.db, lease, &call).await.unwrap()
    }));
    let go_on = async {
        stage.until_waiting(6).await;
        other.commit().await.unwrap();
    };
    let (answers, ()) = tokio::join!(asking, go_on);

    let granted = answers.iter().filter(|gate| matches!(gate, Gate::Open(_)));
    assert_eq!(granted.count(), 1, "{answers:?}");
}

#[tokio::test]
async fn one_blocked_account_does_not_stop_another() {
    let stage = Stage::with(SimulatorConfig {
        accounts: vec![SimAccount {
            key: "good-key".to_owned(),
            account: "second".to_owned(),
        }],
        ..SimulatorConfig::instant()
    })
    .await;
    let mut config = stage.config();
    config.provider.gemini_api_keys = Some("default:bad-key,second:good-key".to_owned());
    let worker = stage.worker_from(config, soon).await;

    for number in 0..10 {
        stage.job(&format!("a lake, number {number}"), 1).await;
    }
    stage
        .until_within(
            "SELECT bool_and(status = 'completed') FROM photo_generation_queue",
            Duration::from_secs(40),
        )
        .await;

    assert_eq!(
        stage
            .text(&format!(
                r#"SELECT string_agg(concat_ws(' ', account, split_part(reason, ':', 1), "blockedUntil" IS NOT NULL), ', ' ORDER BY account)
                   FROM photo_generation_limits WHERE model = '{MODEL}'"#
            ))
            .await,
        "default bad_key t, second f"
    );
    stage.assert_no_attempt_counted().await;
    stage.assert_equation().await;
    worker.stop().await;
}

#[tokio::test]
async fn paused_stops_at_once_and_unpaused_goes_on() {
    let stage = Stage::new().await;
    let worker = stage.worker_with(soon).await;
    let pause = async |paused: bool| {
        stage
            .sql(&format!(
                "UPDATE photo_generation_limits SET paused = {paused} WHERE model = '{MODEL}'"
            ))
            .await;
    };
    let job = stage.job("a lake", 20).await;
    stage.until_called(|log| log.len() == 2).await;

    pause(true).await;
    stage
        .until("SELECT status = 'pending' FROM photo_generation_queue")
        .await;
    let calls = stage.calls();
    stage.another_model_works().await;

    assert!(calls < 20, "{calls}");
    assert_eq!(stage.calls(), calls);
    stage.assert_no_attempt_counted().await;
    pause(false).await;
    stage
        .until(&format!(
            r#"SELECT status = 'completed' AND "imagesCompleted" = 20 FROM photo_generation_queue WHERE id = {job}"#
        ))
        .await;
    assert_eq!(stage.calls(), 20);
    stage.assert_photos().await;
    worker.stop().await;
}

/// Asked for one by one at the pace of calls, a hundred images would hold the slot for half a minute.
#[tokio::test]
async fn a_job_of_a_hundred_images_is_given_back_as_soon_as_it_has_to_wait() {
    let stage = Stage::new().await;
    let worker = stage.worker_with(soon).await;
    stage.job("a lake", 100).await;
    stage.until_called(|log| log.len() == 2).await;

    stage
        .sql("UPDATE photo_generation_limits SET paused = true")
        .await;
    stage
        .until_within(
            "SELECT status = 'pending' FROM photo_generation_queue",
            Duration::from_secs(15),
        )
        .await;

    stage.assert_no_attempt_counted().await;
    assert!(stage.calls() < 50);
    worker.stop().await;
}
