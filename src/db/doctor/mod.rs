//! What `safelight doctor` asks the database.
//!
//! Everything here only looks, and asks the catalog rather than our tables where it can, because
//! at the worst moment ours are missing, locked or out of reach. SQL that mends something is
//! written here too, where the names that it needs are quoted. What is good and what is bad is
//! decided in `cli::doctor`.

mod exposure;
mod reach;
mod rights;
mod sessions;
mod state;
mod vacuum;

pub use super::pool::Address;
pub use exposure::{ApiRoles, OpenFunction, OpenTable, api_roles, open_functions, open_tables};
pub use reach::{Server, Session, Unreachable, connect, server};
pub use rights::{Hidden, Rights, grants_missing, rights, rows_hidden};
pub use sessions::{Sessions, hear, notifications_pending, sessions};
pub use state::{
    Held, Limited, Workers, Zone, clock, due, held_by_nobody, limited, session_zone,
    untimed_columns, workers, zones,
};
pub use vacuum::{
    DeadRows, OpenTransaction, Transactions, dead_rows, prepared, slots, transactions,
};

use super::Db;

/// Shows who does what right now, and who waits for whom.
pub const WHO_IS_BUSY: &str = "SELECT pid, application_name, state, wait_event_type, \
     pg_blocking_pids(pid) AS waits_for, left(query, 80) AS query FROM pg_stat_activity \
     WHERE state <> 'idle' ORDER BY xact_start;";
/// Ends the sessions that have done nothing for long. Pools of apps connect again by themselves.
pub const END_IDLE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
     WHERE state = 'idle' AND state_change < now() - interval '10 minutes';";
/// Lets a session write that the database's default forbids it.
pub const WRITE_HERE: &str = "SET default_transaction_read_only = off;";
/// Lets inserts wake workers again.
pub const NOTIFY_AGAIN: &str =
    "UPDATE photo_generation_settings SET value = 'on' WHERE key = 'notifications';";
/// The statement of `sql/ops/release_stale_locks_write.sql`.
pub const RELEASE_STALE_LOCKS: &str = "UPDATE photo_generation_queue \
     SET \"lockedBy\" = NULL, \"lockedAt\" = NULL, status = 'pending' \
     WHERE status = 'processing' AND \"lockedAt\" < now() - interval '5 minutes';";
/// Lets the next sweep tell the app of its refunds again.
pub const RETRY_REFUNDS: &str = "UPDATE photo_generation_credit_refunds \
     SET \"tryAt\" = now() WHERE \"tryAt\" IS NOT NULL;";
/// Takes the dead rows away, as far as no transaction still sees them.
pub const VACUUM_QUEUE: &str = "VACUUM (ANALYZE) public.photo_generation_queue;";
/// What an app's signed-in users may need once row level security is on.
pub const POLICY_EXAMPLE: &str = "CREATE POLICY own_jobs ON public.photo_generation_queue \
     FOR SELECT TO authenticated USING (\"userId\" = auth.uid()::text);";

/// Checks run one after another; the others are for when one is stuck and keeps its connection.
const CONNECTIONS: u32 = 4;

/// The database behind an address of which nothing is known yet. Connects with the first statement.
pub fn careful(address: &Address) -> Db {
    Db::careful(address, CONNECTIONS)
}
