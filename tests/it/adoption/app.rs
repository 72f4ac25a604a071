//! The apps whose tables are adopted: one file of SQL, with the types that are found in the wild.

use sqlx::{AssertSqlSafe, PgPool};

use crate::harness::empty_database;

const TABLES: &str = include_str!("app.sql");

/// An app's choice of types.
#[derive(Clone, Copy)]
pub(super) struct App {
    pub(super) name: &'static str,
    user: &'static str,
    new_user: &'static str,
    status: &'static str,
    batch_status: &'static str,
    time: &'static str,
    /// SQL before and after the tables.
    before: &'static str,
    after: &'static str,
}

/// As the seed had it: integer users, text with narrow checks.
pub(super) const TEXT: App = App {
    name: "text",
    user: "integer",
    new_user: "nextval('user_ids')",
    status: "text",
    batch_status: "text",
    time: "timestamptz",
    before: "CREATE SEQUENCE user_ids;",
    after:
        "ALTER TABLE photo_generation_queue ADD CHECK (status IN
                ('pending', 'processing', 'completed', 'failed', 'rate_limited'));
            ALTER TABLE photo_generation_batches ADD CHECK (status IN ('generating', 'completed'));",
};

/// Users as Supabase has them.
pub(super) const UUID: App = App {
    name: "uuid",
    user: "uuid",
    new_user: "gen_random_uuid()",
    before: "",
    ..TEXT
};

/// Status as an enum, which lacks words.
pub(super) const ENUM: App = App {
    name: "enum",
    status: "photo_status",
    batch_status: "batch_status",
    before: "CREATE SEQUENCE user_ids;
             CREATE TYPE photo_status AS ENUM
                 ('pending', 'processing', 'completed', 'failed', 'rate_limited');
             CREATE TYPE batch_status AS ENUM ('generating', 'completed');",
    after: "",
    ..TEXT
};

/// Times without a zone, in a database whose own zone is far from UTC.
pub(super) const TIMESTAMP: App = App {
    name: "timestamp",
    time: "timestamp",
    before: "CREATE SEQUENCE user_ids; SET timezone = 'UTC';
             DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = ''Pacific/Auckland''',
                                        current_database()); END $$;",
    ..TEXT
};

pub(super) const APPS: [App; 4] = [TEXT, UUID, ENUM, TIMESTAMP];

impl App {
    /// A database with this app's tables and rows in it.
    pub(super) async fn database(&self) -> String {
        let url = empty_database().await;
        let pool = PgPool::connect(&url).await.unwrap();
        // The longer names first.
        let tables = TABLES
            .replace("$NEW_USER", self.new_user)
            .replace("$USER", self.user)
            .replace("$BATCH_STATUS", self.batch_status)
            .replace("$STATUS", self.status)
            .replace("$TIME", self.time);
        let sql = format!("{}{tables}{}; ANALYZE;", self.before, self.after);
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&pool)
            .await
            .unwrap();
        pool.close().await;
        url
    }
}
