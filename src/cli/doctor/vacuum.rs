//! What keeps dead rows from being taken away, and how many there are.

use std::time::Duration;

use super::report::{Line, Mend};
use crate::cli::time::{from_seconds, span};
use crate::db::doctor::{self, OpenTransaction};
use crate::db::{Db, DbError};

/// The queue is vacuumed at 2000 dead rows; at ten times that, vacuum does not keep up, and each
/// claim reads past them.
const DEAD_ROWS: i64 = 20_000;
/// The oldest say enough: it is the oldest one that everything waits for.
const SHOWN: usize = 5;

pub(super) async fn check(db: &Db, older_than: Duration) -> Result<Vec<Line>, DbError> {
    let transactions = doctor::transactions(db, older_than).await?;
    let prepared = doctor::prepared(db, older_than).await?;
    let slots = doctor::slots(db).await?;
    let rows = doctor::dead_rows(db).await?;
    let mut lines: Vec<Line> = transactions.old.iter().take(SHOWN).map(of_open).collect();
    lines.extend(prepared.iter().take(SHOWN).map(of_prepared));
    lines.extend(slots.into_iter().map(|(name, sql)| {
        let seen = format!("nobody reads from the replication slot {name}, which keeps dead rows");
        let mend = [
            Mend::say("Unless a replica or a service is to come back to it:"),
            Mend::sql(sql),
        ];
        Line::warn("vacuum", seen, mend)
    }));
    if rows.dead > DEAD_ROWS {
        let seen = format!(
            "{} of the queue's rows are dead, {} live",
            rows.dead, rows.live
        );
        let mend = [
            Mend::say("When nothing above keeps them:"),
            Mend::sql(doctor::VACUUM_QUEUE),
        ];
        lines.push(Line::warn("vacuum", seen, mend));
    }
    if lines.is_empty() {
        let unseen = match transactions.hidden {
            0 => String::new(),
            hidden => format!(
                "; {hidden} sessions of other roles cannot be seen, which a superuser's {} changes",
                transactions.look_sql
            ),
        };
        let open = span(older_than);
        let seen = format!(
            "no transaction is open for {open}, {} dead rows in the queue{unseen}",
            rows.dead
        );
        lines.push(Line::ok("vacuum", seen));
    }
    Ok(lines)
}

fn of_open(open: &OpenTransaction) -> Line {
    let seen = format!(
        "a transaction has been open for {} ({}, {}): nothing that died since is taken away",
        span(from_seconds(open.seconds)),
        open.who,
        open.state
    );
    let mend = [
        Mend::say("Its work so far is lost by this; its program should commit sooner:"),
        Mend::sql(&open.sql),
    ];
    Line::warn("vacuum", seen, mend)
}

fn of_prepared(prepared: &OpenTransaction) -> Line {
    let seen = format!(
        "the prepared transaction {} has waited for {} to be committed",
        prepared.who,
        span(from_seconds(prepared.seconds))
    );
    let mend = [
        Mend::say("In this database, unless it is to be committed (COMMIT PREPARED):"),
        Mend::sql(&prepared.sql),
    ];
    Line::warn("vacuum", seen, mend)
}
