//! Races made certain: leases held by the test itself, statements that are seen waiting for a
//! lock, and tables compared row by row.

use safelight::db::lease::{self, Claimer, Window};
use safelight::db::workers::{self, Idle, Registration};
use safelight::db::{Db, Lease};
use safelight::domain::ClaimedJob;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::Stage;

/// The model that the test's own worker claims.
pub(crate) const MODEL: &str = "gemini-2.5-flash-image";

/// A worker that is only what the database sees of it: the test makes its statements one by one.
pub(crate) struct Holder {
    pub(crate) db: Db,
    pub(crate) claimer: Claimer,
}

impl Holder {
    pub(crate) fn registration(&self) -> Registration {
        Registration {
            run: self.claimer.run,
            label: self.claimer.label.clone(),
            host: None,
            accounts: Vec::new(),
        }
    }

    pub(crate) async fn renew(&self) -> Vec<workers::Owned> {
        workers::renew(&self.db, &self.registration(), Idle::No)
            .await
            .unwrap()
    }

    /// Claims the one job that is due.
    pub(crate) async fn claim(&self) -> (Lease, ClaimedJob) {
        self.renew().await;
        let mut claimed = lease::claim(&self.db, &self.claimer, 1, Window::Usual, &[])
            .await
            .unwrap();
        claimed.pop().expect("a job is due")
    }
}

impl Stage {
    pub(crate) async fn holder(&self, label: &str) -> Holder {
        self.sql(&format!(
            "INSERT INTO photo_generation_settings (key, value)
             VALUES ('defaultProvider', 'gemini'), ('defaultModel.gemini', '{MODEL}')
             ON CONFLICT DO NOTHING"
        ))
        .await;
        Holder {
            db: self.db().await,
            claimer: Claimer {
                run: Uuid::new_v4(),
                label: label.to_owned(),
                accounts: vec!["gemini:default".to_owned()],
                types: None,
            },
        }
    }

    /// Waits until so many statements wait for a lock in this test's database.
    pub(crate) async fn until_waiting(&self, statements: i64) {
        self.until(&format!(
            "SELECT count(*) >= {statements} FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ))
        .await;
    }

    /// Ends the statements that wait for a lock. Postgres does not notice that their worker is dead, and
    /// carries them out when the lock is free: that is right too, but not what tests of a death are about.
    pub(crate) async fn end_waiting(&self) {
        self.sql(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'safelight'
               AND wait_event_type = 'Lock'",
        )
        .await;
    }

    /// All that the tables say.
    pub(crate) async fn photograph(&self) -> String {
        let mut connection = self.pool.acquire().await.unwrap();
        photograph(&mut connection).await
    }

    /// From now on every state that a job enters is written down.
    pub(crate) async fn record_states(&self) {
        self.sql(
            "CREATE TABLE seen (at bigint GENERATED ALWAYS AS IDENTITY, job bigint, status text);
             CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO seen (job, status) VALUES (NEW.id, NEW.status); RETURN NULL; END $$;
             CREATE TRIGGER see AFTER UPDATE OF status ON photo_generation_queue FOR EACH ROW
                 WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION see();",
        )
        .await;
    }

    /// The states that a job went through, in order.
    pub(crate) async fn states(&self, job: i64) -> String {
        self.text(&format!(
            "SELECT string_agg(status, ' ' ORDER BY at) FROM seen WHERE job = {job}"
        ))
        .await
    }
}

/// Every row of every table of ours, as one connection sees it; only the workers' rows are left
/// out, because renewals never stop.
pub(crate) async fn photograph(connection: &mut PgConnection) -> String {
    let tables = [
        "queue",
        "images",
        "calls",
        "limits",
        "batches",
        "batch_checks",
        "settings",
    ];
    let rows = tables
        .map(|table| {
            format!(
                "SELECT '{table} ' || to_jsonb(t)::text AS line FROM photo_generation_{table} AS t"
            )
        })
        .join(" UNION ALL ");
    sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT coalesce(string_agg(line, E'\n' ORDER BY line), '') FROM ({rows}) AS rows"
    )))
    .fetch_one(connection)
    .await
    .unwrap()
}
