//! What anybody can do over Supabase's API, which serves schema `public` as `anon` and
//! `authenticated`.
//!
//! The queue and the batches may be the app's own: with row level security on, its policies decide,
//! and are not judged here. Everything else is the worker's alone.

use super::report::{Line, Mend};
use crate::db::doctor::{self, ApiRoles, OpenTable};
use crate::db::{Db, DbError};

pub(super) async fn check(db: &Db) -> Result<Vec<Line>, DbError> {
    let ApiRoles(Some(roles)) = doctor::api_roles(db).await? else {
        let seen = "no API serves these tables: there are no roles anon and authenticated";
        return Ok(vec![Line::ok("exposure", seen)]);
    };
    let tables = doctor::open_tables(db).await?;
    let functions = doctor::open_functions(db).await?;
    let mut lines: Vec<Line> = tables
        .iter()
        .filter_map(|open| of_table(open, &roles))
        .collect();
    lines.extend(functions.iter().map(|function| {
        let seen = format!("{roles} may call {}", function.name);
        Line::fail("exposure", seen, [Mend::sql(function.revoke_sql(&roles))])
    }));
    if lines.is_empty() {
        lines.push(Line::ok("exposure", format!("nothing is open to {roles}")));
    }
    Ok(lines)
}

fn of_table(table: &OpenTable, roles: &str) -> Option<Line> {
    let OpenTable {
        name,
        shared,
        guarded,
        granted,
    } = table;
    let line = match (granted, shared, guarded) {
        (Some(granted), true, false) => Line::fail(
            "exposure",
            format!(
                "{name} has no row level security ({granted}): anybody reads all of it, and who \
                 may insert spends your money"
            ),
            [
                Mend::sql(table.guard_sql()),
                Mend::say(format!(
                    "Then give your app's users what they need, for instance: {}",
                    doctor::POLICY_EXAMPLE
                )),
            ],
        ),
        (Some(granted), false, false) => Line::fail(
            "exposure",
            format!("{name} is open to anybody ({granted})"),
            [
                Mend::sql(table.guard_sql()),
                Mend::sql(table.revoke_sql(roles)),
            ],
        ),
        (Some(granted), false, true) => Line::fail(
            "exposure",
            format!("{name} is the worker's, and granted away ({granted})"),
            [Mend::sql(table.revoke_sql(roles))],
        ),
        (None, false, false) => Line::warn(
            "exposure",
            format!("{name} has no row level security; nothing is granted yet"),
            [Mend::sql(table.guard_sql())],
        ),
        (Some(_), true, true) | (None, true, _) | (None, false, true) => return None,
    };
    Some(line)
}
