//! A database per test, copied from a template that is migrated once.

use std::str::FromStr as _;

use safelight::db::{Db, schema};
use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

/// Any number: who makes the template holds it.
const TEMPLATE_LOCK: i64 = 7_335_110;

/// The server that `scripts/test` started.
pub(crate) fn server_url() -> String {
    #[expect(clippy::disallowed_methods, reason = "the one variable of the tests")]
    std::env::var("SAFELIGHT_TEST_DATABASE_URL").expect(
        "SAFELIGHT_TEST_DATABASE_URL is not set: run scripts/test, or \
         `scripts/postgres run cargo test`",
    )
}

/// The URL of a new database with the schema in it.
pub(crate) async fn create_database() -> String {
    create_database_on(&server_url()).await
}

/// The same, on a server of the test's own.
pub(crate) async fn create_database_on(server: &str) -> String {
    let mut connection = connect(server).await;
    let template = template(&mut connection, server).await;
    copy(connection, server, &template).await
}

/// The URL of a new database with nothing in it.
pub(crate) async fn empty_database() -> String {
    let server = server_url();
    copy(connect(&server).await, &server, "template1").await
}

async fn copy(mut connection: PgConnection, server: &str, template: &str) -> String {
    let name = format!("t_{}", uuid::Uuid::new_v4().simple());
    run(
        &mut connection,
        format!("CREATE DATABASE {name} TEMPLATE {template}"),
    )
    .await;
    connection.close().await.unwrap();
    with_database(server, &name)
}

/// Named after the migrations, so that a change of them makes a new one.
async fn template(connection: &mut PgConnection, server: &str) -> String {
    // Those that are compiled in, not those that lie there while this runs.
    let schema = [
        include_str!("../../../migrations/1_tables.sql"),
        include_str!("../../../migrations/2_functions.sql"),
        include_str!("../../../migrations/2_shares.sql"),
        include_str!("../../../migrations/2_standing.sql"),
        include_str!("../../../migrations/2_prices.sql"),
        include_str!("../../../migrations/2_credits.sql"),
        include_str!("../../../migrations/2_steps.sql"),
        include_str!("../../../migrations/2_webhooks.sql"),
        include_str!("../../../migrations/2_who_may.sql"),
        include_str!("../../../migrations/3_online.sql"),
        include_str!("../../../migrations/4_job_ids.sql"),
    ];
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"));
    assert_eq!(files.unwrap().count(), schema.len(), "a file is not listed");
    let hash = Sha256::digest(schema.concat());
    let name = format!(
        "template_{:02x}{:02x}{:02x}{:02x}",
        hash[0], hash[1], hash[2], hash[3]
    );
    run(
        connection,
        format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})"),
    )
    .await;
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(&name)
            .fetch_one(&mut *connection)
            .await
            .unwrap();
    if !exists {
        let draft = format!("{name}_draft");
        run(connection, format!("DROP DATABASE IF EXISTS {draft}")).await;
        run(connection, format!("CREATE DATABASE {draft}")).await;
        let db = Db::connect(&with_database(server, &draft), None, 1)
            .await
            .unwrap();
        schema::migrate(&db, &|_| {}).await.unwrap();
        db.close().await;
        run(
            connection,
            format!("ALTER DATABASE {draft} RENAME TO {name}"),
        )
        .await;
    }
    run(
        connection,
        format!("SELECT pg_advisory_unlock({TEMPLATE_LOCK})"),
    )
    .await;
    name
}

async fn connect(url: &str) -> PgConnection {
    PgConnectOptions::from_str(url)
        .unwrap()
        .connect()
        .await
        .unwrap()
}

async fn run(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .unwrap();
}

fn with_database(server: &str, name: &str) -> String {
    let mut url = url::Url::parse(server).unwrap();
    url.set_path(name);
    url.into()
}
