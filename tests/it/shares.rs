//! Fair shares: whose turn it is, and how many jobs of one tenant run at a time.

mod simulation;

use std::time::Duration;

use futures_util::future::join_all;
use safelight::db::lease::{self, Window};
use safelight::db::sweep;

use crate::harness::{Holder, Stage};
use simulation::{Policy, Simulation};

impl Stage {
    async fn waiting_jobs(&self, user: &str, jobs: u32) {
        self.sql(&format!(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "userId")
               SELECT 'a lake', 1, '{user}' FROM generate_series(1, {jobs})"#
        ))
        .await;
    }

    /// Of so many users.
    async fn one_job_each(&self, users: u32) {
        self.sql(&format!(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "userId")
               SELECT 'a lake', n FROM generate_series(1, {users}) AS n"#
        ))
        .await;
    }

    /// An app's insert for user 7, not committed yet.
    async fn open_insert(&self) -> sqlx::Transaction<'static, sqlx::Postgres> {
        let mut app = self.pool.begin().await.unwrap();
        sqlx::query(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "userId") VALUES ('a lake', '7')"#,
        )
        .execute(&mut *app)
        .await
        .unwrap();
        app
    }

    async fn end(&self, jobs: &[i64]) {
        sqlx::query("UPDATE photo_generation_queue SET status = 'completed' WHERE id = ANY ($1)")
            .bind(jobs)
            .execute(&self.pool)
            .await
            .unwrap();
    }
}

impl Holder {
    /// Claims up to so many jobs: their ids, and whose they are.
    async fn take(&self, most: usize) -> Vec<(i64, String)> {
        self.renew().await;
        lease::claim(&self.db, &self.claimer, most, Window::Usual, &[])
            .await
            .unwrap()
            .into_iter()
            .map(|(lease, job)| (lease.job(), job.tenant.to_string()))
            .collect()
    }

    async fn whose(&self, most: usize) -> Vec<String> {
        let taken = self.take(most).await;
        taken.into_iter().map(|(_, tenant)| tenant).collect()
    }

    async fn next_due(&self) -> Option<Duration> {
        lease::next_due(&self.db, &self.claimer, &[]).await.unwrap()
    }
}

fn within(share: f64, of: f64) -> impl Fn(f64) -> bool {
    move |ratio| ratio > of * (1.0 - share) && ratio < of * (1.0 + share)
}

/// Both have more than can be done; how much more of the provider's time the first one has after ten
/// minutes.
async fn both_backlogged(policy: Policy, large: (u32, f64, &str), small: (u32, f64, &str)) -> f64 {
    let mut simulation = Simulation::new(4, policy).await;
    for (user, (images, seconds, priority)) in [("large", large), ("small", small)] {
        let jobs = 2400.0 / (f64::from(images) * seconds);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few hundred"
        )]
        simulation
            .insert(user, jobs.ceil() as u32, images, seconds, priority)
            .await;
    }
    simulation.run_until(600).await;
    simulation.ratio("large", "small")
}

#[tokio::test]
async fn who_asks_for_ten_images_a_job_has_no_more_time_than_who_asks_for_one() {
    let (large, small) = ((10, 6.0, "normal"), (1, 6.0, "normal"));

    let shares = both_backlogged(Policy::Shares, large, small).await;
    assert!(within(0.1, 1.0)(shares), "{shares}");
    let fifo = both_backlogged(Policy::Fifo, large, small).await;
    assert!(!within(0.1, 1.0)(fifo), "{fifo}");
}

/// With many places much is estimated and little is known.
#[tokio::test]
async fn many_places_are_shared_as_few_are() {
    let mut simulation = Simulation::new(20, Policy::Shares).await;
    simulation.insert("large", 60, 10, 6.0, "normal").await;
    simulation.insert("small", 600, 1, 6.0, "normal").await;

    simulation.run_until(300).await;

    let ratio = simulation.ratio("large", "small");
    assert!(within(0.1, 1.0)(ratio), "{ratio}");
}

#[tokio::test]
async fn a_tenant_alone_on_its_model_is_not_starved_by_many_on_another() {
    let mut simulation = Simulation::new(10, Policy::Shares).await;
    for number in 0..30 {
        let user = format!("one of many {number}");
        simulation.insert(&user, 30, 1, 6.0, "normal").await;
    }
    simulation
        .insert_on("gemini-3-pro-image", "alone", 60)
        .await;

    simulation.run_until(120).await;

    let alone = simulation.ratio("alone", "one of many 7");
    assert!(alone > 0.7, "{:?}", simulation.used);
    let others = simulation.ratio("one of many 29", "one of many 0");
    assert!(within(0.35, 1.0)(others), "{:?}", simulation.used);
}

#[tokio::test]
async fn who_was_paused_is_not_given_at_once_what_it_missed() {
    let mut simulation = Simulation::new(3, Policy::Shares).await;
    simulation.insert("steady", 500, 1, 6.0, "normal").await;
    simulation.insert("resumed", 400, 1, 6.0, "normal").await;
    simulation.pause("resumed").await;
    simulation.run_until(500).await;
    assert_eq!(simulation.used.get("resumed"), None);
    let before = simulation.used.clone();
    simulation.resume("resumed").await;

    simulation.run_until(900).await;

    *simulation.used.get_mut("steady").unwrap() -= before["steady"];
    let ratio = simulation.ratio("resumed", "steady");
    assert!(ratio > 1.0 && ratio < 1.4, "{ratio}");
}

#[tokio::test]
async fn who_makes_slow_calls_has_no_more_time_than_who_makes_quick_ones() {
    let (slow, quick) = ((4, 12.0, "normal"), (4, 3.0, "normal"));

    let shares = both_backlogged(Policy::Shares, slow, quick).await;
    assert!(within(0.1, 1.0)(shares), "{shares}");
}

#[tokio::test]
async fn urgent_jobs_have_twice_the_time_of_normal_ones_and_nobody_starves() {
    let urgent = both_backlogged(Policy::Shares, (2, 6.0, "urgent"), (2, 6.0, "normal")).await;
    assert!(within(0.15, 2.0)(urgent), "{urgent}");
    let batch = both_backlogged(Policy::Shares, (2, 6.0, "batch"), (2, 6.0, "urgent")).await;
    assert!(within(0.15, 0.25)(batch), "{batch}");
}

/// Where the first job of one who comes to a backlog stands among those that begin after it came.
async fn place_of_a_newcomer(policy: Policy) -> usize {
    let mut simulation = Simulation::new(4, policy).await;
    simulation.insert("large", 150, 10, 6.0, "normal").await;
    simulation.insert("other", 300, 2, 6.0, "normal").await;
    simulation.run_until(200).await;
    let before = simulation.began.len();
    simulation.insert("newcomer", 1, 1, 6.0, "normal").await;
    simulation.run_until(600).await;
    let after = &simulation.began[before..];
    after
        .iter()
        .position(|tenant| tenant == "newcomer")
        .unwrap_or(usize::MAX)
}

#[tokio::test]
async fn who_comes_to_a_backlog_is_the_next_and_not_the_last() {
    assert_eq!(place_of_a_newcomer(Policy::Shares).await, 0);
    assert!(place_of_a_newcomer(Policy::Fifo).await > 10);
}

/// More come than can be served, each once; and one was there before.
#[tokio::test]
async fn a_stream_of_newcomers_does_not_starve_who_was_there() {
    let mut simulation = Simulation::new(2, Policy::Shares).await;
    simulation.insert("steady", 20, 2, 6.0, "normal").await;
    for round in 1..=30 {
        simulation.run_until(round * 6).await;
        for number in 0..3 {
            let user = format!("newcomer {round} {number}");
            simulation.insert(&user, 1, 1, 6.0, "normal").await;
        }
    }
    let begun = simulation.began.iter();
    let steady = begun.filter(|tenant| *tenant == "steady").count();
    assert!(steady >= 4, "{steady} {:?}", simulation.began);
}

#[tokio::test]
async fn who_was_away_is_given_no_more_than_the_others() {
    let mut simulation = Simulation::new(4, Policy::Shares).await;
    simulation.insert("steady", 400, 1, 6.0, "normal").await;
    simulation.insert("away", 2, 1, 6.0, "normal").await;
    simulation.run_until(300).await;
    let before = simulation.used.clone();
    simulation.insert("away", 200, 1, 6.0, "normal").await;

    simulation.run_until(600).await;

    for (tenant, used) in &mut simulation.used {
        *used -= before[tenant];
    }
    let ratio = simulation.ratio("away", "steady");
    assert!(within(0.1, 1.0)(ratio), "{ratio}");
}

#[tokio::test]
async fn a_tenant_runs_no_more_jobs_than_its_cap_whoever_claims() {
    const CLAIMERS: usize = 8;
    let stage = Stage::new().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_tenants (tenant, "maxRunning")
               VALUES ('user:wide', 7), ('user:free', 0), ('none', 2)"#,
        )
        .await;
    for user in ["usual", "wide", "free"] {
        stage.waiting_jobs(user, 40).await;
    }
    stage
        .sql(r#"INSERT INTO photo_generation_queue ("basePrompt") SELECT 'a lake' FROM generate_series(1, 9)"#)
        .await;
    let mut holders = Vec::new();
    for _ in 0..CLAIMERS {
        holders.push(stage.holder("a worker").await);
    }

    let running = "SELECT string_agg(tenant || ' ' || running, ', ' ORDER BY tenant) FROM photo_generation_busy()";
    for _ in 0..3 {
        join_all(holders.iter().map(|holder| holder.take(10))).await;
        assert_eq!(
            stage.text(running).await,
            "none 2, user:free 40, user:usual 3, user:wide 7"
        );
    }

    // What ends makes room for as many.
    let ended: Vec<i64> = sqlx::query_scalar(
        r#"SELECT id FROM photo_generation_queue
           WHERE status = 'processing' AND "userId" IN ('usual', 'wide') ORDER BY "userId" LIMIT 2"#,
    )
    .fetch_all(&stage.pool)
    .await
    .unwrap();
    stage.end(&ended).await;
    let taken = join_all(holders.iter().map(|holder| holder.whose(10))).await;
    assert_eq!(taken.concat(), ["user:usual", "user:usual"]);
    assert_eq!(
        holders[0].next_due().await,
        None,
        "what waits, waits for a cap"
    );

    stage
        .sql("INSERT INTO photo_generation_settings (key, value) VALUES ('tenantMaxRunning', '5')")
        .await;
    let taken = join_all(holders.iter().map(|holder| holder.whose(10))).await;
    assert_eq!(taken.concat(), ["user:usual", "user:usual"]);
}

#[tokio::test]
async fn jobs_that_name_nobody_have_no_cap() {
    let stage = Stage::new().await;
    stage
        .sql(r#"INSERT INTO photo_generation_queue ("basePrompt") SELECT 'a lake' FROM generate_series(1, 9)"#)
        .await;

    assert_eq!(stage.holder("a worker").await.take(20).await.len(), 9);
}

#[tokio::test]
async fn the_fleet_begins_no_more_jobs_a_second_or_a_minute_than_it_is_told() {
    let stage = Stage::new().await;
    stage.without_cap().await;
    stage
        .sql(
            "INSERT INTO photo_generation_settings (key, value)
             VALUES ('maxJobsPerSecond', '4'), ('maxJobsPerMinute', '6')",
        )
        .await;
    stage.waiting_jobs("7", 20).await;
    let (one, other) = (
        stage.holder("a worker").await,
        stage.holder("a worker").await,
    );

    let taken = join_all([one.take(3), other.take(3), one.take(3)]).await;
    assert_eq!(taken.concat().len(), 4);
    let wait = one.next_due().await.unwrap();
    assert!(
        wait > Duration::ZERO && wait < Duration::from_secs(1),
        "{wait:?}"
    );

    let later = |by: &str| format!("UPDATE photo_generation_claims SET at = at - interval '{by}'");
    stage.sql(&later("1 second")).await;
    assert_eq!(one.take(10).await.len(), 2);
    let wait = one.next_due().await.unwrap();
    assert!(wait > Duration::from_secs(50), "{wait:?}");
    stage.sql(&later("1 minute")).await;
    assert_eq!(one.take(10).await.len(), 4);
}

#[tokio::test]
async fn a_job_committed_after_its_tenant_was_found_empty_is_found() {
    let stage = Stage::new().await;
    let holder = stage.holder("a worker").await;
    stage.waiting_jobs("7", 1).await;
    // Another is known to come later, which is no reason not to look before.
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "userId", "retryAt")
               VALUES ('a lake', '7', now() + interval '1 hour')"#,
        )
        .await;
    let app = stage.open_insert().await;
    assert_eq!(holder.take(5).await.len(), 1);
    assert_eq!(holder.take(5).await.len(), 0);
    app.commit().await.unwrap();

    assert_eq!(holder.next_due().await, Some(Duration::ZERO));
    assert_eq!(holder.whose(5).await, ["user:7"]);
}

#[tokio::test]
async fn a_tenant_without_jobs_is_forgotten() {
    let stage = Stage::new().await;
    let holder = stage.holder("a worker").await;
    stage.waiting_jobs("7", 1).await;
    let taken = holder.take(5).await;
    let long_ago = r#"UPDATE photo_generation_shares
        SET "emptySince" = now() - interval '3 minutes'"#;

    // Not while it runs one, whose time is still to be counted.
    stage.sql(long_ago).await;
    sweep::forget_shares(&holder.db).await.unwrap();
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_shares")
            .await,
        1
    );

    stage.end(&[taken[0].0]).await;
    stage.sql(long_ago).await;
    sweep::forget_shares(&holder.db).await.unwrap();
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_shares")
            .await,
        0
    );
}

#[tokio::test]
async fn whatever_hands_do_to_waiting_jobs_is_noticed() {
    let stage = Stage::new().await;
    let holder = stage.holder("a worker").await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "userId", "retryAt")
               VALUES ('a lake', '7', now() + interval '1 hour')"#,
        )
        .await;
    for (hand, whose) in [
        (r#""retryAt" = now()"#, "user:7"),
        (r#"status = 'pending', "retryAt" = NULL"#, "user:7"),
        (r#"status = 'pending', "userId" = '8'"#, "user:8"),
        (r#"status = 'pending', "teamId" = '9'"#, "team:9"),
        ("status = 'pending', model = 'gemini-3-pro-image'", "team:9"),
        ("status = 'pending', type = 'image_edit'", "team:9"),
        (
            r#"status = 'rate_limited', "retryAt" = now() - interval '1 hour'"#,
            "team:9",
        ),
    ] {
        assert!(holder.take(5).await.is_empty(), "{hand}");
        assert_ne!(holder.next_due().await, Some(Duration::ZERO), "{hand}");
        stage
            .sql(&format!("UPDATE photo_generation_queue SET {hand}"))
            .await;

        assert_eq!(holder.next_due().await, Some(Duration::ZERO), "{hand}");
        let taken = holder.take(5).await;
        assert_eq!(taken.len(), 1, "{hand}");
        assert_eq!(taken[0].1, whose, "{hand}");
        stage.end(&[taken[0].0]).await;
    }
}

#[tokio::test]
async fn jobs_that_no_trigger_noted_are_found_by_the_sweep() {
    let stage = Stage::new().await;
    let holder = stage.holder("a worker").await;
    stage
        .sql(
            r#"ALTER TABLE photo_generation_queue DISABLE TRIGGER USER;
               INSERT INTO photo_generation_queue ("basePrompt", "userId", type, model, "retryAt")
               SELECT 'a lake', n % 3, CASE n % 2 WHEN 1 THEN 'image_edit' END,
                      CASE WHEN n > 6 THEN 'gemini-3-pro-image' END,
                      CASE WHEN n % 4 = 0 THEN now() - interval '1 hour' END
               FROM generate_series(1, 12) AS n;
               ALTER TABLE photo_generation_queue ENABLE TRIGGER USER"#,
        )
        .await;
    stage.without_cap().await;
    assert!(holder.take(20).await.is_empty());

    assert!(sweep::find_arrivals(&holder.db).await.unwrap() > 0);
    assert_eq!(holder.take(20).await.len(), 12);

    stage.waiting_jobs("7", 1).await;
    holder.take(0).await;
    assert_eq!(sweep::find_arrivals(&holder.db).await.unwrap(), 0);
}

#[tokio::test]
async fn a_worker_of_some_types_is_not_held_up_by_tenants_of_others() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "userId", type)
               SELECT 'a lake', n, 'image_edit' FROM generate_series(1, 500) AS n;
               INSERT INTO photo_generation_queue ("basePrompt", "userId") VALUES ('a lake', 'mine')"#,
        )
        .await;
    let mut holder = stage.holder("a worker").await;
    holder.claimer.types = Some(vec!["photo_generation".to_owned()]);

    assert_eq!(holder.whose(5).await, ["user:mine"]);
    assert_eq!(holder.next_due().await, None);
}

#[tokio::test]
async fn tenants_whose_jobs_were_taken_away_do_not_stand_in_front_of_others() {
    let stage = Stage::new().await;
    let holder = stage.holder("a worker").await;
    stage.one_job_each(150).await;
    assert_eq!(holder.take(1).await.len(), 1);
    stage
        .sql("UPDATE photo_generation_queue SET status = 'canceled' WHERE status = 'pending'")
        .await;
    stage.waiting_jobs("last", 1).await;

    // One look is enough.
    assert_eq!(holder.whose(1).await, ["user:last"]);
}

#[tokio::test]
async fn tenants_whose_jobs_come_later_do_not_stand_in_front_of_others() {
    let stage = Stage::new().await;
    let holder = stage.holder("a worker").await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "userId", "retryAt")
               SELECT 'a lake', n, now() + interval '1 hour' FROM generate_series(1, 3000) AS n"#,
        )
        .await;
    stage.waiting_jobs("now", 2).await;

    assert_eq!(holder.whose(5).await, ["user:now", "user:now"]);
}

#[tokio::test]
async fn rows_that_a_hand_holds_stop_nobody_else() {
    let stage = Stage::new().await;
    let holder = stage.holder("a worker").await;
    stage.one_job_each(40).await;
    let mut hand = stage.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM photo_generation_queue FOR UPDATE")
        .execute(&mut *hand)
        .await
        .unwrap();
    stage.waiting_jobs("free", 2).await;

    assert_eq!(holder.whose(5).await, ["user:free", "user:free"]);
}

#[tokio::test]
async fn a_row_whose_change_the_app_refuses_or_holds_up_stops_nobody_else() {
    let stage = Stage::new().await;
    let holder = stage.holder("a worker").await;
    stage
        .sql(
            r#"CREATE TABLE users (id text PRIMARY KEY, used integer DEFAULT 0);
               INSERT INTO users VALUES ('held');
               CREATE FUNCTION use_one() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN
                   IF NEW."userId" LIKE 'refused%' THEN RAISE 'no more credit'; END IF;
                   UPDATE users SET used = used + 1 WHERE id = NEW."userId";
                   RETURN NULL;
               END $$;
               CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
               CREATE TRIGGER swallow BEFORE UPDATE ON photo_generation_queue
                   FOR EACH ROW WHEN (NEW."userId" = 'swallowed') EXECUTE FUNCTION swallow();
               CREATE TRIGGER use_one AFTER UPDATE ON photo_generation_queue
                   FOR EACH ROW EXECUTE FUNCTION use_one()"#,
        )
        .await;
    for user in [
        "refused",
        "swallowed",
        "held",
        "refused too",
        "refused as well",
        "free",
    ] {
        stage.waiting_jobs(user, 1).await;
    }
    let mut app = stage.pool.begin().await.unwrap();
    sqlx::query("UPDATE users SET used = 7")
        .execute(&mut *app)
        .await
        .unwrap();

    let claims = [holder.whose(5).await, holder.whose(5).await].concat();
    assert_eq!(claims, ["user:free"]);
    app.commit().await.unwrap();
    // They are left alone for five seconds.
    assert_eq!(holder.whose(5).await, [""; 0]);
    stage
        .sql(r#"UPDATE photo_generation_shares SET "lookAt" = now() WHERE "emptySince" IS NULL"#)
        .await;
    let claims = [holder.whose(5).await, holder.whose(5).await].concat();
    assert_eq!(claims, ["user:held"]);
    assert_eq!(stage.status(1).await, "pending");
}

#[tokio::test]
async fn no_more_jobs_are_claimed_than_calls_could_begin() {
    let stage = Stage::new().await;
    stage.without_cap().await;
    stage
        .sql(r#"UPDATE photo_generation_limits SET "maxConcurrent" = 2"#)
        .await;
    stage.one_job_each(60).await;

    assert_eq!(stage.holder("a worker").await.take(50).await.len(), 2);
}

#[tokio::test]
async fn an_open_insert_of_one_app_keeps_no_other_waiting() {
    let stage = Stage::new().await;
    let app = stage.open_insert().await;

    // A second one for the same tenant, and a claim of it.
    stage
        .sql("SET lock_timeout = '1s'; INSERT INTO photo_generation_queue (\"basePrompt\", \"userId\") VALUES ('a hill', '7')")
        .await;
    let holder = stage.holder("a worker").await;
    assert_eq!(holder.take(5).await.len(), 1);

    app.commit().await.unwrap();
    assert_eq!(holder.take(5).await.len(), 1);
}
