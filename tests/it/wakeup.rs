//! A row that is inserted wakes an idle worker, whoever inserts it and however; a wake-up that
//! fails hurts nobody.
//!
//! The workers here poll once a minute: what is done sooner was done because of a wake-up.

use std::time::Duration;

use safelight::db::listener::{self, Doorbell};
use safelight::db::workers::{self, Idle};
use safelight::worker::Settings;
use sqlx::postgres::PgListener;
use sqlx::{Connection as _, PgConnection};

use crate::harness::{InProcess, Stage};

mod going_idle;

/// Far less than a poll interval, far more than a wake-up takes.
const SOON: Duration = Duration::from_secs(20);
const CHANNEL: &str = "photo_generation";
/// The server process that a worker listens on, or 0.
const LISTENING: &str = "SELECT coalesce(min(pid), 0) FROM pg_stat_activity
    WHERE datname = current_database() AND query ILIKE 'LISTEN%'";

fn seldom(settings: &mut Settings) {
    settings.poll_every = Duration::from_mins(1);
}

impl Stage {
    /// A worker that polls once a minute, and is idle.
    async fn idle_worker(&self) -> InProcess {
        let worker = self.worker_with(seldom).await;
        self.until_idle().await;
        worker
    }

    /// Idle and listening: to connect is a wake-up too, and must not be what a test sees.
    async fn until_idle(&self) {
        self.until(&format!(
            "SELECT bool_or(idle) AND ({LISTENING}) > 0 FROM photo_generation_workers"
        ))
        .await;
    }

    async fn until_soon_all_completed(&self) {
        self.until_within(
            "SELECT bool_and(status = 'completed') FROM photo_generation_queue",
            SOON,
        )
        .await;
    }

    /// A worker's row without a worker, so that only what a test does is heard.
    async fn pretend_worker(&self, idle: bool, seconds_ago: i32) {
        self.sql(&format!(
            r#"DELETE FROM photo_generation_workers;
               INSERT INTO photo_generation_workers (run, label, version, idle, "renewedAt")
               VALUES (gen_random_uuid(), 'pretended', '0', {idle}, now() - interval '{seconds_ago} s')"#
        ))
        .await;
    }

    /// How many notifications some statements send.
    async fn notifications_of(&self, sql: &str) -> usize {
        let mut listener = PgListener::connect_with(&self.pool).await.unwrap();
        listener.listen(CHANNEL).await.unwrap();
        self.sql(sql).await;
        self.sql(&format!("NOTIFY {CHANNEL}, 'the end'")).await;
        let mut heard = 0;
        while listener.recv().await.unwrap().payload() != "the end" {
            heard += 1;
        }
        heard
    }
}

#[tokio::test]
async fn an_idle_worker_is_woken_by_an_insert() {
    let stage = Stage::new().await;
    let worker = stage.idle_worker().await;

    stage.job("a lake", 1).await;

    stage.until_soon_all_completed().await;
    worker.stop().await;
}

#[tokio::test]
async fn an_idle_worker_is_woken_by_a_row_set_back_to_pending() {
    let stage = Stage::new().await;
    stage.job("a lake", 1).await;
    stage
        .sql("UPDATE photo_generation_queue SET status = 'canceled'")
        .await;
    let worker = stage.idle_worker().await;

    stage
        .sql("UPDATE photo_generation_queue SET status = 'pending'")
        .await;

    stage.until_soon_all_completed().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_role_with_nothing_but_insert_inserts_rows_of_any_size_and_wakes() {
    let stage = Stage::new().await;
    let role = format!("app_{}", uuid::Uuid::new_v4().simple());
    // On Supabase, which this server may have been taken for by another test, it needs a policy.
    stage
        .sql(&format!(
            "CREATE ROLE {role} LOGIN;
             ALTER TABLE photo_generation_queue DISABLE ROW LEVEL SECURITY;
             GRANT INSERT ON photo_generation_queue TO {role}"
        ))
        .await;
    let worker = stage.idle_worker().await;
    let mut url = url::Url::parse(&stage.url).unwrap();
    url.set_username(&role).unwrap();
    let mut app = PgConnection::connect(url.as_str()).await.unwrap();

    sqlx::query(r#"INSERT INTO photo_generation_queue ("basePrompt", metadata) VALUES ($1, $2)"#)
        .bind("a lake ".repeat(3000))
        .bind(serde_json::json!({"large": "text ".repeat(4000)}))
        .execute(&mut app)
        .await
        .unwrap();

    stage.until_soon_all_completed().await;
    let denied = sqlx::query("SELECT FROM photo_generation_queue")
        .execute(&mut app)
        .await;
    assert!(denied.is_err());
    app.close().await.unwrap();
    worker.stop().await;
    stage
        .sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
}

#[tokio::test]
async fn ten_thousand_rows_in_one_insert_wake_once() {
    let stage = Stage::new().await;
    let insert = "INSERT INTO photo_generation_queue (\"basePrompt\")
                  SELECT 'a lake' FROM generate_series(1, 10000)";

    stage.pretend_worker(true, 0).await;
    assert_eq!(stage.notifications_of(insert).await, 1);
    let released = "UPDATE photo_generation_queue SET status = 'processing';
                    UPDATE photo_generation_queue SET status = 'pending'";
    assert_eq!(stage.notifications_of(released).await, 1);
}

#[tokio::test]
async fn nobody_is_notified_but_a_living_worker_that_is_idle() {
    let stage = Stage::new().await;
    let insert = "INSERT INTO photo_generation_queue (\"basePrompt\") VALUES ('a lake')";

    stage.pretend_worker(false, 0).await;
    assert_eq!(stage.notifications_of(insert).await, 0, "busy");
    stage.pretend_worker(true, 31).await;
    assert_eq!(stage.notifications_of(insert).await, 0, "dead");
    stage.pretend_worker(true, 0).await;
    assert_eq!(stage.notifications_of(insert).await, 1, "idle");
    stage
        .sql("UPDATE photo_generation_settings SET value = 'off' WHERE key = 'notifications'")
        .await;
    assert_eq!(stage.notifications_of(insert).await, 0, "switched off");
}

#[tokio::test]
async fn a_transaction_that_may_not_see_the_flag_always_notifies() {
    let stage = Stage::new().await;
    stage.pretend_worker(false, 0).await;

    for isolation in ["REPEATABLE READ", "SERIALIZABLE"] {
        let insert = format!(
            "BEGIN ISOLATION LEVEL {isolation};
             INSERT INTO photo_generation_queue (\"basePrompt\") VALUES ('a lake'); COMMIT"
        );
        assert_eq!(stage.notifications_of(&insert).await, 1, "{isolation}");
    }
}

#[tokio::test]
async fn without_notifications_everything_works_only_slower() {
    let stage = Stage::new().await;
    stage
        .sql("UPDATE photo_generation_settings SET value = 'off' WHERE key = 'notifications'")
        .await;
    let worker = stage
        .worker_with(|settings| settings.poll_every = Duration::from_millis(300))
        .await;
    stage.until_idle().await;

    stage.job("a lake", 2).await;

    stage.until_soon_all_completed().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_killed_listener_is_replaced() {
    let stage = Stage::new().await;
    let worker = stage.idle_worker().await;
    let killed = stage.number(LISTENING).await;
    stage
        .sql(&format!("SELECT pg_terminate_backend({killed})"))
        .await;
    stage
        .until(&format!("SELECT ({LISTENING}) NOT IN (0, {killed})"))
        .await;
    stage.job("a lake", 1).await;

    stage.until_soon_all_completed().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_listener_that_connects_again_is_itself_a_wake_up() {
    let stage = Stage::new().await;
    let db = stage.db().await;
    let bell = std::sync::Arc::new(Doorbell::default());
    let listener = tokio::spawn({
        let (db, bell) = (db.clone(), bell.clone());
        async move { listener::listen(&db, &bell).await }
    });
    tokio::time::timeout(SOON, bell.rung()).await.unwrap();

    stage
        .sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE datname = current_database() AND query ILIKE 'LISTEN%'",
        )
        .await;

    // What was sent while nobody listened is lost, so it must look.
    tokio::time::timeout(SOON, bell.rung()).await.unwrap();
    listener.abort();
}

#[tokio::test]
async fn a_wake_up_that_fails_never_fails_the_insert() {
    let broken = [
        "ALTER TABLE photo_generation_workers RENAME TO hidden",
        r#"ALTER TABLE photo_generation_workers DROP COLUMN "renewedAt""#,
        "ALTER TABLE photo_generation_workers DROP COLUMN idle",
    ];
    for broken in broken {
        let stage = Stage::new().await;
        stage.pretend_worker(true, 0).await;
        stage.sql(broken).await;

        stage.job("a lake", 1).await;
        stage
            .sql(
                "UPDATE photo_generation_queue SET status = 'processing';
                  UPDATE photo_generation_queue SET status = 'pending'",
            )
            .await;

        assert_eq!(stage.status(1).await, "pending", "{broken}");
    }
}

/// A worker with one slot, which is taken: it asks for no wake-ups, and nothing else will make it
/// look when it goes idle again.
async fn saturated(stage: &Stage) -> InProcess {
    let worker = stage
        .worker_with(|settings| {
            seldom(settings);
            settings.concurrency = 1;
        })
        .await;
    stage.until_idle().await;
    stage.job("a hill [sim:hang@1]", 1).await;
    stage
        .until("SELECT NOT bool_or(idle) FROM photo_generation_workers")
        .await;
    worker
}

#[tokio::test]
async fn a_saturated_worker_asks_for_no_wake_ups() {
    let stage = Stage::new().await;
    let worker = saturated(&stage).await;

    let insert = "INSERT INTO photo_generation_queue (\"basePrompt\") VALUES ('a hill')";
    assert_eq!(stage.notifications_of(insert).await, 0);

    // A slot that becomes free is reason enough to look.
    stage
        .sql("UPDATE photo_generation_queue SET status = 'canceled' WHERE id = 1")
        .await;
    stage
        .until_within(
            "SELECT status = 'completed' FROM photo_generation_queue WHERE id = 2",
            SOON,
        )
        .await;
    stage.until_idle().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_renewal_that_was_under_way_does_not_take_the_flag_back() {
    let stage = Stage::new().await;
    let holder = stage.holder("a worker").await;
    holder.renew().await;
    workers::set_idle(&holder.db, holder.claimer.run, Idle::Yes)
        .await
        .unwrap();

    // Its values were read before the flag was set.
    workers::renew(&holder.db, &holder.registration(), Idle::No)
        .await
        .unwrap();

    assert_eq!(
        stage
            .text("SELECT idle FROM photo_generation_workers")
            .await,
        "true"
    );
}

/// Whether by command or by hand, and as an insert does: only when somebody is to be woken.
#[tokio::test]
async fn whoever_resumes_or_lets_a_tenant_run_more_wakes() {
    let stage = Stage::new().await;
    let pause = "INSERT INTO photo_generation_pauses (what) VALUES ('all')";
    let resume = "DELETE FROM photo_generation_pauses";
    let cap = r#"INSERT INTO photo_generation_tenants (tenant, "maxRunning") VALUES ('team:7', 9)"#;

    stage.pretend_worker(false, 0).await;
    assert_eq!(stage.notifications_of(resume).await, 0, "busy");
    stage.pretend_worker(true, 0).await;
    assert_eq!(stage.notifications_of(pause).await, 0);
    assert_eq!(stage.notifications_of(resume).await, 1);
    assert_eq!(stage.notifications_of(cap).await, 1);
    let limits = |change: &str| format!("UPDATE photo_generation_limits SET {change}");
    for (change, expected) in [
        ("paused = true", 0),
        ("paused = false", 1),
        (r#""blockedUntil" = now() + interval '5 minutes'"#, 0),
        (r#""blockedUntil" = now()"#, 0),
        (r#""blockedUntil" = NULL"#, 1),
        (r#""cooldownUntil" = now() + interval '1 hour'"#, 0),
        (r#""cooldownUntil" = NULL, "limitedInARow" = 0"#, 1),
        // As after each 429 that is over.
        (r#""cooldownUntil" = now() - interval '1 second'"#, 0),
        (r#""cooldownUntil" = NULL"#, 0),
    ] {
        let heard = stage.notifications_of(&limits(change)).await;
        assert_eq!(heard, expected, "{change}");
    }
    stage
        .sql("UPDATE photo_generation_settings SET value = 'off' WHERE key = 'notifications'")
        .await;
    assert_eq!(stage.notifications_of(resume).await, 0, "switched off");
}
