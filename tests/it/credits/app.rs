//! CREDITS=app: the app is told what to give back, once for each image, in the transaction that ends the job.

use crate::harness::Stage;

/// The app's accounts, in a schema of its own: its customer 7 has paid for what it asks for.
const APP: &str = r#"
    CREATE SCHEMA billing;
    CREATE TABLE billing.customers (name text PRIMARY KEY, credits bigint NOT NULL);
    INSERT INTO billing.customers VALUES ('user:7', 0);
    CREATE TABLE billing.told (job uuid, tenant text, images integer, credits bigint, reason text, who text);
    CREATE FUNCTION billing."giveBack"(job_id uuid, tenant text, images integer, credits bigint, reason text)
    RETURNS bigint LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO billing.told VALUES (job_id, tenant, images, credits, reason, current_user);
        UPDATE billing.customers AS c SET credits = c.credits + "giveBack".credits WHERE name = tenant;
        IF NOT FOUND THEN RAISE EXCEPTION 'nobody is %', tenant; END IF;
        RETURN 1;
    END $$;
    INSERT INTO photo_generation_settings (key, value) VALUES ('creditsRefundFunction', 'billing.giveBack')"#;

async fn app() -> Stage {
    let stage = Stage::new().await;
    stage.pays("app").await;
    stage.sql(APP).await;
    stage
}

impl Stage {
    /// `user:7 3 images 3 credits canceled`, in order.
    async fn told(&self) -> String {
        self.text(
            "SELECT string_agg(format('%s %s images %s credits %s', tenant, images, credits, reason), ', ' ORDER BY ctid)
             FROM billing.told",
        )
        .await
    }

    /// What is noted and not done.
    async fn open_refunds(&self) -> String {
        self.text(
            r#"SELECT string_agg(concat_ws(' ', tries, error), ', ' ORDER BY id)
               FROM photo_generation_credit_refunds WHERE "tryAt" IS NOT NULL"#,
        )
        .await
    }
}

#[tokio::test]
async fn it_is_told_once_for_a_job_however_often_that_ends() {
    let stage = app().await;
    stage
        .sql("INSERT INTO photo_generation_credit_prices (type, credits) VALUES ('photo_generation', 5)")
        .await;
    let job = stage.job("a lake", 4).await;
    stage.image(job, 1, "stored").await;
    stage.image(job, 2, "refused").await;

    stage.set_status(job, "completed").await;
    for status in ["pending", "canceled", "failed"] {
        stage.set_status(job, status).await;
    }
    stage.sql("DELETE FROM photo_generation_queue").await;

    assert_eq!(stage.told().await, "user:7 3 images 15 credits not_made");
    let uuid = r#"SELECT count(*) FROM billing.told
        JOIN photo_generation_credit_refunds ON job = "jobUuid" WHERE "tryAt" IS NULL"#;
    assert_eq!(stage.number(uuid).await, 1);
    let book = "SELECT (SELECT count(*) FROM photo_generation_credit_entries)
                     + (SELECT count(*) FROM photo_generation_credit_reservations)";
    assert_eq!(stage.number(book).await, 0);
}

#[tokio::test]
async fn a_job_that_made_all_its_images_is_no_affair_of_its() {
    let stage = app().await;
    let job = stage.job("a lake", 2).await;
    stage.drain().await;

    stage.set_status(job, "pending").await;
    stage.drain().await;
    stage.sql("DELETE FROM photo_generation_queue").await;

    assert_eq!(stage.told().await, "");
}

#[tokio::test]
async fn a_worker_tells_it_what_went_wrong() {
    let stage = app().await;
    stage.job("a lake [sim:safety@2]", 3).await;

    stage.drain().await;

    let told = stage.told().await;
    assert!(
        told.starts_with("user:7 1 images 1 credits moderation"),
        "{told}"
    );
}

#[tokio::test]
async fn an_image_that_is_called_when_its_job_ends_is_told_by_itself() {
    for (end, wanted) in [
        ("stored", "user:7 2 images 2 credits canceled"),
        (
            "ambiguous",
            "user:7 2 images 2 credits canceled, user:7 1 images 1 credits canceled",
        ),
    ] {
        let stage = app().await;
        let job = stage.job("a lake", 3).await;
        stage.image(job, 1, "calling").await;
        stage.set_status(job, "canceled").await;

        stage.image(job, 1, end).await;

        assert_eq!(stage.told().await, wanted);
    }
}

#[tokio::test]
async fn of_a_deleted_job_it_is_told_of_what_was_not_stored() {
    let stage = app().await;
    let worker = stage.worker().await;
    let job = stage.job("a lake [sim:hang@2]", 3).await;
    stage.until_stored(job, 2).await;
    stage.until_called(|log| log.len() == 3).await;
    stage.sql("DELETE FROM photo_generation_queue").await;

    assert_eq!(stage.told().await, "user:7 1 images 1 credits deleted");
    worker.stop().await;
}

#[tokio::test]
async fn what_its_function_raises_is_noted_and_tried_again_until_it_is_taken_once() {
    let stage = app().await;
    stage.sql("DELETE FROM billing.customers").await;
    let job = stage.job("a lake", 2).await;

    stage.set_status(job, "canceled").await;
    assert_eq!(stage.open_refunds().await, "1 nobody is user:7");
    assert_eq!(stage.told().await, "", "what it had written is undone");
    let doctor = stage.safelight(&["doctor"]).await;
    assert!(
        doctor
            .stdout
            .contains("1 refund did not go through: nobody is user:7"),
        "{doctor:?}"
    );

    stage
        .sql("INSERT INTO billing.customers VALUES ('user:7', 0)")
        .await;
    let worker = stage.worker().await;
    stage
        .until(r#"SELECT NOT EXISTS (SELECT FROM photo_generation_credit_refunds WHERE "tryAt" IS NOT NULL)"#)
        .await;
    stage.set_status(job, "failed").await;
    worker.stop().await;

    assert_eq!(stage.told().await, "user:7 2 images 2 credits canceled");
}

#[tokio::test]
async fn a_function_that_is_not_there_keeps_no_job_from_ending() {
    let stage = Stage::new().await;
    stage.pays("app").await;
    let job = stage.job("a lake", 2).await;
    stage.set_status(job, "canceled").await;
    assert_eq!(
        stage.open_refunds().await,
        "1 CREDITS_REFUND_FUNCTION names no function"
    );
    let doctor = stage.safelight(&["doctor"]).await;
    assert!(
        doctor.stdout.contains("no CREDITS_REFUND_FUNCTION is set"),
        "{doctor:?}"
    );

    for name in ["giveBack", "no.such", "told; DROP TABLE users", "a.b.c", ""] {
        stage
            .sql(&format!(
                "INSERT INTO photo_generation_settings (key, value) VALUES ('creditsRefundFunction', '{name}')
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value;
                 UPDATE photo_generation_credit_refunds SET error = NULL;
                 SELECT photo_generation_try_refund(id) FROM photo_generation_credit_refunds"
            ))
            .await;
        let open = stage.open_refunds().await;
        assert!(
            open.ends_with("does not exist") || open.ends_with("names no function"),
            "{name}: {open}"
        );
    }
}

#[tokio::test]
async fn a_customer_that_an_open_transaction_holds_stalls_no_end() {
    let stage = app().await;
    let job = stage.job("a lake", 2).await;
    let mut open = stage.pool.begin().await.unwrap();
    sqlx::raw_sql("UPDATE billing.customers SET credits = 5")
        .execute(&mut *open)
        .await
        .unwrap();

    stage
        .sql(&format!(
            "SET LOCAL statement_timeout = '5s'; UPDATE photo_generation_queue SET status = 'canceled' WHERE id = {job}"
        ))
        .await;
    assert!(stage.open_refunds().await.contains("lock timeout"));
    open.commit().await.unwrap();
    let worker = stage.worker().await;
    stage
        .until("SELECT credits = 7 FROM billing.customers")
        .await;
    worker.stop().await;
}

#[tokio::test]
async fn it_runs_with_the_rights_of_the_schemas_owner_whoever_ends_the_job() {
    let stage = app().await;
    let job = stage.job("a lake", 2).await;
    let role = format!("r_{}", uuid::Uuid::new_v4().simple());
    stage
        .sql(&format!(
            "CREATE ROLE {role} BYPASSRLS; GRANT SELECT, UPDATE ON photo_generation_queue TO {role}"
        ))
        .await;

    stage
        .sql(&format!(
            "SET LOCAL ROLE {role}; UPDATE photo_generation_queue SET status = 'canceled' WHERE id = {job}"
        ))
        .await;

    let owners = "SELECT count(*) FROM billing.told
        WHERE who = (SELECT tableowner FROM pg_tables WHERE tablename = 'photo_generation_credits')";
    assert_eq!(stage.number(owners).await, 1);
    stage
        .sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
}

#[tokio::test]
async fn a_deferred_key_of_the_apps_does_not_fail_the_end() {
    let stage = app().await;
    stage
        .sql(
            "ALTER TABLE billing.told ADD FOREIGN KEY (tenant) REFERENCES billing.customers
                 DEFERRABLE INITIALLY DEFERRED;
             CREATE OR REPLACE FUNCTION billing.\"giveBack\"(job_id uuid, tenant text, images integer, credits bigint, reason text)
             RETURNS bigint LANGUAGE plpgsql AS $$
             BEGIN INSERT INTO billing.told VALUES (job_id, 'user:8', images, credits, reason); RETURN 1; END $$",
        )
        .await;
    let job = stage.job("a lake", 2).await;

    stage.set_status(job, "canceled").await;

    assert!(stage.open_refunds().await.contains("foreign key"));
}

#[tokio::test]
async fn a_job_that_was_ended_with_an_old_snapshot_is_looked_at_by_the_sweep() {
    let stage = app().await;
    let job = stage.job("a lake", 2).await;
    stage.image(job, 1, "planned").await;
    stage
        .sql("INSERT INTO photo_generation_pauses (what) VALUES ('all')")
        .await;
    let mut old = stage.pool.begin().await.unwrap();
    for sql in [
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SELECT count(*) FROM photo_generation_images",
    ] {
        sqlx::raw_sql(sql).execute(&mut *old).await.unwrap();
    }
    stage.image(job, 1, "calling").await;
    sqlx::raw_sql("UPDATE photo_generation_queue SET status = 'canceled'")
        .execute(&mut *old)
        .await
        .unwrap();
    old.commit().await.unwrap();
    assert_eq!(stage.told().await, "");

    let worker = stage.worker().await;
    stage.until("SELECT count(*) = 1 FROM billing.told").await;
    stage.image(job, 1, "stored").await;
    worker.stop().await;

    assert_eq!(stage.told().await, "user:7 1 images 1 credits canceled");
    assert_eq!(stage.open_refunds().await, "");
}

#[tokio::test]
async fn what_the_ledger_has_reserved_for_stays_the_ledgers() {
    let stage = app().await;
    stage.pays("ledger").await;
    stage.grant("user:7", 2).await;
    let job = stage.job("a lake", 2).await;
    stage.pays("app").await;

    stage.set_status(job, "canceled").await;

    assert_eq!(stage.told().await, "");
    assert_eq!(
        stage.book("user:7").await,
        "left 2 reserved 0 captured 0 refunded 2"
    );
}
