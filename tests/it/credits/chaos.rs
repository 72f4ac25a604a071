//! Two minutes of everything at once: workers killed, a provider that errs, hands that cancel, delete and
//! set back; and customers with too little. At the end every credit is where it belongs.

use std::time::Duration;

use safelight::providers::simulator::{Pictures, SimulatorConfig};
use tokio::time::{Instant, sleep};

use super::ledger_on;
use crate::harness::Stage;

/// How long workers are killed.
const KILLING: Duration = Duration::from_mins(2);
const WORKERS: usize = 3;
/// A job may lose its worker again and again, and each loss takes 30 s to notice.
const ALL_ENDED: Duration = Duration::from_mins(5);

/// What becomes of a prompt.
const FATES: [&str; 7] = [
    "",
    "[sim:safety@2]",
    "[sim:429@1 wait=2s]",
    "[sim:500@1]",
    "[sim:reset@1]",
    "[sim:400]",
    "[sim:500-accepted@1]",
];

/// What hands do, one after the other.
const HANDS: [&str; 5] = [
    "UPDATE photo_generation_queue SET status = 'canceled' WHERE id =
         (SELECT max(id) FROM photo_generation_queue WHERE status = 'processing')",
    "UPDATE photo_generation_queue SET status = 'pending' WHERE id =
         (SELECT max(id) FROM photo_generation_queue WHERE status IN ('failed', 'canceled'))",
    "DELETE FROM photo_generation_queue WHERE id =
         (SELECT max(id) FROM photo_generation_queue WHERE status = 'processing')",
    "UPDATE photo_generation_queue SET status = 'pending' WHERE id =
         (SELECT max(id) FROM photo_generation_queue WHERE status = 'completed')",
    "UPDATE photo_generation_queue SET status = 'canceled' WHERE id =
         (SELECT max(id) FROM photo_generation_queue WHERE status IN ('pending', 'rate_limited'))",
];

/// A row of each kind for two customers, one of whom may be out of credits: as its app would, it goes on.
async fn round(stage: &Stage, number: usize) {
    for (nth, fate) in FATES.into_iter().enumerate() {
        let user = 7 + (number + nth) % 2;
        let inserted = sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "userId", "numImagesPerExample")
               VALUES ('a hill {number} {nth} {fate}', '{user}', 2)"#
        )))
        .execute(&stage.pool)
        .await;
        if let Err(error) = inserted {
            let code = error
                .into_database_error()
                .unwrap()
                .code()
                .unwrap()
                .into_owned();
            assert_eq!(code, "PT402");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_minutes_of_everything_at_once_leave_every_credit_where_it_belongs() {
    let stage = ledger_on(
        Stage::with(SimulatorConfig {
            latency: Duration::from_millis(200)..=Duration::from_secs(2),
            pictures: Pictures::Small,
            ..SimulatorConfig::default()
        })
        .await,
        // One of them runs out.
        &[("user:7", 100_000), ("user:8", 150)],
    )
    .await;
    stage.without_cap().await;
    let mut fleet: Vec<_> = (0..WORKERS).map(|_| stage.process(&[])).collect();

    let begun = Instant::now();
    let (mut rounds, mut kills) = (0, 0);
    while begun.elapsed() < KILLING {
        round(&stage, rounds).await;
        stage.sql(HANDS[rounds % HANDS.len()]).await;
        rounds += 1;
        sleep(Duration::from_millis(fastrand::u64(1500..4000))).await;
        fleet
            .swap_remove(fastrand::usize(..fleet.len()))
            .kill_9()
            .await;
        kills += 1;
        fleet.push(stage.process(&[]));
        // At every moment, not only at the end.
        stage.assert_books().await;
    }
    stage
        .until_within(
            "SELECT NOT EXISTS (SELECT FROM photo_generation_queue
                    WHERE status IN ('pending', 'processing', 'rate_limited'))
                AND NOT EXISTS (SELECT FROM photo_generation_calls WHERE state = 'calling')
                AND NOT EXISTS (SELECT FROM photo_generation_credit_reservations)",
            ALL_ENDED,
        )
        .await;

    assert!(kills > 20, "{kills} kills");
    for user in ["user:7", "user:8"] {
        println!("{user}: {}", stage.book(user).await);
    }
    stage.assert_photos().await;
    stage.assert_equation().await;
    let sums =
        "SELECT sum(CASE kind WHEN 'reserve' THEN amount WHEN 'grant' THEN 0 ELSE -amount END)
                FROM photo_generation_credit_entries";
    assert_eq!(stage.number(sums).await, 0);
    let captured = "SELECT count(*) FROM photo_generation_credit_entries WHERE kind = 'capture'";
    let stored = "SELECT count(*) FROM photo_generation_calls WHERE state = 'stored'";
    assert!(stage.number(captured).await > 20);
    // Of deleted jobs the ledger of calls tells what was stored.
    let gifts = stage.number(stored).await - stage.number(captured).await;
    let late = stage
        .number(
            "SELECT count(*) FROM photo_generation_calls AS call WHERE state = 'stored' AND NOT EXISTS (
                 SELECT FROM photo_generation_credit_entries AS entry
                 WHERE entry.\"jobId\" = call.\"jobId\" AND entry.index = call.index AND kind = 'capture')",
        )
        .await;
    let of_deleted = stage
        .number(
            "SELECT count(*) FROM photo_generation_calls AS call WHERE state = 'stored'
             AND NOT EXISTS (SELECT FROM photo_generation_queue WHERE id = call.\"jobId\")",
        )
        .await;
    assert_eq!(gifts, late, "{}", stage.dump().await);
    assert!(late <= of_deleted, "{late} of {of_deleted}");
}
