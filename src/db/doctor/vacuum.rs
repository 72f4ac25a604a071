//! What keeps VACUUM from taking away the dead versions of our rows: the queue's rows change a
//! dozen times each, and every claim has to pass what is left of them.

use std::time::Duration;

use crate::db::{Db, DbError, seconds};

/// A transaction that has been open for long.
#[derive(Debug)]
pub struct OpenTransaction {
    /// `pid 712, app, user postgres from 10.0.0.3`.
    pub who: String,
    /// `idle in transaction` and its like.
    pub state: String,
    pub seconds: f64,
    /// Ends it.
    pub sql: String,
}

/// What can be seen of the transactions of this database.
#[derive(Debug)]
pub struct Transactions {
    pub old: Vec<OpenTransaction>,
    /// Sessions of other roles that we may not look into.
    pub hidden: i64,
    /// What lets us.
    pub look_sql: String,
}

pub async fn transactions(db: &Db, older_than: Duration) -> Result<Transactions, DbError> {
    let old = sqlx::query_as!(
        OpenTransaction,
        r#"SELECT concat_ws(', ', 'pid ' || pid, nullif(application_name, ''),
                            concat_ws(' from ', 'user ' || usename, host(client_addr))) AS "who!",
                  coalesce(state, backend_type, 'unknown') AS "state!",
                  extract(epoch FROM now() - xact_start)::float8 AS "seconds!",
                  format('SELECT pg_terminate_backend(%s);', pid) AS "sql!"
           FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid()
             AND backend_type IS DISTINCT FROM 'autovacuum worker'
             AND xact_start < now() - make_interval(secs => $1)
           ORDER BY xact_start"#,
        seconds(older_than)
    )
    .fetch_all(&db.pool)
    .await?;
    let others = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE query = '<insufficient privilege>') AS "hidden!",
                  format('GRANT pg_read_all_stats TO %I;', current_user) AS "look_sql!"
           FROM pg_stat_activity WHERE datname = current_database()"#
    )
    .fetch_one(&db.pool)
    .await?;
    Ok(Transactions {
        old,
        hidden: others.hidden,
        look_sql: others.look_sql,
    })
}

/// Prepared transactions of this database: nobody's session, so that nothing ends them by itself.
pub async fn prepared(db: &Db, older_than: Duration) -> Result<Vec<OpenTransaction>, DbError> {
    Ok(sqlx::query_as!(
        OpenTransaction,
        r#"SELECT format('%L of user %s', gid, owner) AS "who!", 'prepared' AS "state!",
                  extract(epoch FROM now() - prepared)::float8 AS "seconds!",
                  format('ROLLBACK PREPARED %L;', gid) AS "sql!"
           FROM pg_prepared_xacts
           WHERE database = current_database() AND prepared < now() - make_interval(secs => $1)
           ORDER BY prepared"#,
        seconds(older_than)
    )
    .fetch_all(&db.pool)
    .await?)
}

/// Replication slots that nobody reads from and that keep dead rows; name, and what drops it.
pub async fn slots(db: &Db) -> Result<Vec<(String, String)>, DbError> {
    let slots = sqlx::query!(
        r#"SELECT slot_name::text AS "name!",
                  format('SELECT pg_drop_replication_slot(%L);', slot_name) AS "sql!"
           FROM pg_replication_slots
           WHERE NOT active AND (xmin IS NOT NULL OR catalog_xmin IS NOT NULL)
           ORDER BY slot_name"#
    )
    .fetch_all(&db.pool)
    .await?;
    Ok(slots
        .into_iter()
        .map(|slot| (slot.name, slot.sql))
        .collect())
}

/// The versions of the queue's rows, as counted by the server.
#[derive(Debug)]
pub struct DeadRows {
    pub dead: i64,
    pub live: i64,
}

pub async fn dead_rows(db: &Db) -> Result<DeadRows, DbError> {
    let row = sqlx::query_as!(
        DeadRows,
        r#"SELECT n_dead_tup AS "dead!", n_live_tup AS "live!"
           FROM pg_stat_user_tables
           WHERE schemaname = 'public' AND relname = 'photo_generation_queue'"#
    )
    .fetch_optional(&db.pool)
    .await?;
    Ok(row.unwrap_or(DeadRows { dead: 0, live: 0 }))
}
