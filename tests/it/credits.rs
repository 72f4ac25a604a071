//! Credits: every rule of `migrations/2_credits.sql` by itself, the ways in, and all of it at once.

mod again;
mod app;
mod chaos;
mod ends;
mod reserve;
mod surface;
mod sweep;
mod work;

use crate::harness::Stage;
use crate::ops::psql::psql;

/// A stage whose customers pay: each with what it is granted.
async fn ledger(grants: &[(&str, i64)]) -> Stage {
    ledger_on(Stage::new().await, grants).await
}

async fn ledger_on(stage: Stage, grants: &[(&str, i64)]) -> Stage {
    stage.pays("ledger").await;
    for (tenant, credits) in grants {
        stage.grant(tenant, *credits).await;
    }
    stage
}

impl Stage {
    pub(crate) async fn pays(&self, mode: &str) {
        self.sql(&format!(
            "INSERT INTO photo_generation_settings (key, value) VALUES ('credits', '{mode}')
             ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        ))
        .await;
    }

    pub(crate) async fn grant(&self, tenant: &str, credits: i64) {
        self.sql(&format!(
            "SELECT photo_generation_grant_credits('{tenant}', {credits})"
        ))
        .await;
    }

    /// `left 3 reserved 4 captured 1 refunded 2`; and the account book adds up.
    pub(crate) async fn book(&self, tenant: &str) -> String {
        self.assert_books().await;
        self.text(&format!(
            "SELECT format('left %s reserved %s captured %s refunded %s',
                (SELECT coalesce(sum(balance), 0) FROM photo_generation_credits WHERE tenant = '{tenant}')
                + (SELECT coalesce(sum(amount), 0) FROM photo_generation_credit_returns WHERE tenant = '{tenant}'),
                (SELECT coalesce(sum(each * cardinality(open)), 0)
                 FROM photo_generation_credit_reservations WHERE tenant = '{tenant}'),
                coalesce(sum(amount) FILTER (WHERE kind = 'capture'), 0),
                coalesce(sum(amount) FILTER (WHERE kind = 'refund'), 0))
             FROM photo_generation_credit_entries WHERE tenant = '{tenant}'"
        ))
        .await
    }

    /// What an operator would look at.
    pub(crate) async fn assert_books(&self) {
        let wrong = psql(self, "credits_audit.sql", &[]).await;
        assert!(wrong.column("what").is_empty(), "{wrong:?}");
    }

    /// A refused statement: its SQLSTATE and message, detail and hint.
    async fn refusal_of(&self, sql: &str) -> [String; 4] {
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(&self.pool)
            .await
            .unwrap_err();
        let error = refused.into_database_error().unwrap();
        let error = error.downcast::<sqlx::postgres::PgDatabaseError>();
        [
            Some(error.code()),
            Some(error.message()),
            error.detail(),
            error.hint(),
        ]
        .map(|part| part.unwrap_or_default().to_owned())
    }

    /// Moves an image as a worker's statement would; it is planned before, if it is not there.
    async fn image(&self, job: i64, index: i32, state: &str) {
        let stored = r#", "storageKey" = 'k', "mimeType" = 'image/png', bytes = 1, width = 1, height = 1, sha256 = 'x'"#;
        let more = if state == "stored" { stored } else { "" };
        self.sql(&format!(
            r#"INSERT INTO photo_generation_images ("jobId", index) VALUES ({job}, {index})
               ON CONFLICT DO NOTHING;
               UPDATE photo_generation_images SET state = '{state}' {more}
               WHERE "jobId" = {job} AND index = {index}"#
        ))
        .await;
    }

    async fn set_status(&self, job: i64, status: &str) {
        self.sql(&format!(
            "UPDATE photo_generation_queue SET status = '{status}' WHERE id = {job}"
        ))
        .await;
    }

    /// `1 capture, 2 refund safety`, in the order of rounds and images.
    async fn settled(&self, job: i64) -> String {
        self.text(&format!(
            r#"SELECT string_agg(concat_ws(' ', index, kind, reason), ', ' ORDER BY round, index)
               FROM photo_generation_credit_entries WHERE "jobId" = {job} AND index IS NOT NULL"#
        ))
        .await
    }
}
