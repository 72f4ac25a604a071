//! How the fleet stands: clocks, limits, workers.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

use super::report::{Line, Mend};
use crate::cli::pause::{label, resume_with};
use crate::cli::time::{ago, between, from_seconds, span};
use crate::cli::words::{count, size};
use crate::db::doctor::{self, Held, Limited, Zone};
use crate::db::pauses::{self, Pause};
use crate::db::spools::{self, Spool};
use crate::db::{Db, DbError, limits};

/// Nothing of ours compares two clocks, but people who read logs beside tables do, and TLS and
/// signatures of storages refuse a clock that is minutes off.
const CLOCKS_APART: f64 = 5.0;

/// This machine's clock beside the database's, and the zones in which times without one are written.
pub(super) async fn clock(db: &Db) -> Result<Vec<Line>, DbError> {
    let before = SystemTime::now();
    let theirs = doctor::clock(db).await?;
    let round_trip = before.elapsed().unwrap_or_default();
    let apart = of_clocks(before, theirs, round_trip);
    let columns = doctor::untimed_columns(db).await?;
    if columns.is_empty() {
        return Ok(vec![apart]);
    }
    let mut zones = doctor::zones(db).await?;
    zones.extend(doctor::session_zone(db).await?);
    let mut lines: Vec<Line> = zones
        .into_iter()
        .map(|zone| of_zone(zone, &columns))
        .collect();
    if lines.is_empty() || !apart.is_ok() {
        lines.push(apart);
    }
    Ok(lines)
}

fn of_zone(zone: Zone, columns: &[String]) -> Line {
    let seen = format!(
        "{} is set, but times without a zone, which are read as UTC, are in {}",
        zone.setting,
        columns.join(", ")
    );
    let mend = [
        Mend::say("Set it so, then restart what is connected, workers and app:"),
        Mend::sql(zone.sql),
    ];
    Line::warn("clock", seen, mend)
}

fn of_clocks(before: SystemTime, theirs: DateTime<Utc>, round_trip: Duration) -> Line {
    let ours: DateTime<Utc> = (before + round_trip / 2).into();
    let ahead = (theirs - ours).as_seconds_f64();
    // The statement ran at some moment of the round trip.
    let surely = ahead.abs() - round_trip.as_secs_f64() / 2.0;
    let seen = format!(
        "the database's clock is {:.2} s {} this machine's",
        ahead.abs(),
        if ahead < 0.0 { "behind" } else { "ahead of" }
    );
    if surely > CLOCKS_APART {
        let mend = [
            Mend::say("On the machine whose clock is wrong (compare both with https://time.is):"),
            Mend::shell("sudo timedatectl set-ntp true"),
        ];
        Line::warn("clock", seen, mend)
    } else {
        Line::ok("clock", seen)
    }
}

/// Accounts and models that take no calls now.
pub(super) async fn limits(db: &Db) -> Result<Vec<Line>, DbError> {
    let limited = doctor::limited(db).await?;
    let uncounted = limits::uncounted(db).await?;
    if limited.is_empty() && uncounted.is_empty() {
        return Ok(vec![Line::ok(
            "limits",
            "every account and model takes calls",
        )]);
    }
    let uncounted = uncounted.iter().map(|key| of_uncounted(key));
    Ok(limited.into_iter().map(of_limit).chain(uncounted).collect())
}

/// A limit of money that counts nothing.
fn of_uncounted(key: &str) -> Line {
    Line::warn(
        "limits",
        format!("what a call to {key} costs is not known, so no limit of money counts it"),
        [
            Mend::say("Set what the provider bills for one call, in US dollars:"),
            Mend::shell(format!("safelight limits set {key} --cost-per-call 0.05")),
        ],
    )
}

fn of_limit(limited: Limited) -> Line {
    let Limited {
        provider,
        account,
        model,
        paused,
        blocked,
        seconds,
        reason,
        sql,
    } = limited;
    let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    let next = span(from_seconds(seconds));
    let (state, advice) = if paused {
        (
            "is paused".to_owned(),
            "By an operator, on this account alone. To go on:",
        )
    } else if blocked {
        (
            format!("is blocked, next try in {next}{reason}"),
            "Mend it at the provider's; with a new key, restart the workers. Then \
             sql/ops/unblock_write.sql, or:",
        )
    } else {
        (
            format!("cools down for {next}{reason}"),
            "Ends by itself. Sooner by sql/ops/unblock_write.sql, or:",
        )
    };
    Line::warn(
        "limits",
        format!("{model} on account {account} of {provider} {state}"),
        [Mend::say(advice), Mend::sql(sql)],
    )
}

/// What operators have paused, by type, model, tenant, or as a whole.
pub(super) async fn pauses(db: &Db) -> Result<Vec<Line>, DbError> {
    // Those of accounts are limits.
    let paused = pauses::list(db).await?.into_iter();
    let lines: Vec<Line> = paused
        .filter(|pause| pause.what != "account")
        .map(|pause| of_pause(&pause))
        .collect();
    Ok(if lines.is_empty() {
        vec![Line::ok("pauses", "nothing is paused")]
    } else {
        lines
    })
}

fn of_pause(pause: &Pause) -> Line {
    let since = pause.paused_at.map_or_else(String::new, |at| {
        format!(", {}", ago(between(at, pause.read_at)))
    });
    let reason = pause
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(": {reason}"));
    let seen = format!(
        "paused by an operator{since}: {}{reason}",
        label(&pause.what, &pause.name)
    );
    let mend = [
        Mend::say("Calls in flight end, nothing more begins. To go on:"),
        Mend::shell(resume_with(pause)),
    ];
    Line::warn("pauses", seen, mend)
}

/// Who works, what waits, and what is held by nobody.
pub(super) async fn workers(db: &Db) -> Result<Vec<Line>, DbError> {
    let workers = doctor::workers(db).await?;
    let due = doctor::due(db).await?;
    let Held { by_dead, by_others } = doctor::held_by_nobody(db).await?;
    let start = || Mend::shell("safelight worker");
    let mut lines = Vec::new();
    if workers.alive == 0 && due > 0 {
        let seen = format!("no worker lives, and due: {}", jobs(due));
        lines.push(Line::warn("workers", seen, [start()]));
    }
    if by_dead > 0 {
        let seen = format!("held by workers that are dead: {}", jobs(by_dead));
        let mend = if workers.alive == 0 {
            vec![
                Mend::say("A worker takes them back within a minute:"),
                start(),
            ]
        } else {
            vec![Mend::say(
                "A living worker takes them back within a minute; if not, see sql/ops/stuck.sql.",
            )]
        };
        lines.push(Line::warn("workers", seen, mend));
    }
    if by_others > 0 {
        let seen = format!(
            "locked by another program and not renewed for 5 minutes: {}",
            jobs(by_others)
        );
        let mend = [
            Mend::say(
                "A living worker takes them back. By hand, \
                 sql/ops/release_stale_locks_write.sql, or:",
            ),
            Mend::sql(doctor::RELEASE_STALE_LOCKS),
        ];
        lines.push(Line::warn("workers", seen, mend));
    }
    if lines.is_empty() {
        let names = workers
            .names
            .map_or_else(String::new, |names| format!(" ({names})"));
        let seen = format!("{} live{names}, due: {}", workers.alive, jobs(due));
        lines.push(Line::ok("workers", seen));
    }
    Ok(lines)
}

/// Photos that are paid for and wait on workers' disks.
pub(super) async fn spools(db: &Db) -> Result<Vec<Line>, DbError> {
    let spools = spools::all(db).await?;
    if spools.is_empty() {
        return Ok(vec![Line::ok("spool", "no photo waits for the storage")]);
    }
    Ok(spools.iter().map(of_spool).collect())
}

fn of_spool(spool: &Spool) -> Line {
    let photos = count(usize::try_from(spool.photos).unwrap_or_default(), "photo");
    let error = spool
        .error
        .as_ref()
        .map_or_else(String::new, |error| format!(": {error}"));
    let seen = format!(
        "paid for and waiting on {} for {}: {photos}, {}{error}",
        spool.worker,
        span(from_seconds(spool.waits_seconds)),
        size(spool.bytes)
    );
    if let Some(silent) = spool.silent_seconds {
        let mend = [
            Mend::say(format!(
                "No worker has looked after it for {}; after an hour its photos are given up. \
                 On that machine, with the same SPOOL_DIR:",
                span(from_seconds(silent))
            )),
            Mend::shell("safelight worker"),
        ];
        return Line::warn("spool", seen, mend);
    }
    let by_themselves = "Stored by itself once the storage works, see storage; \
                         which jobs wait for it: sql/ops/spool.sql.";
    if spool.full {
        let mend = [
            Mend::say(
                "It takes no more, so its workers claim nothing. Mend the storage, or set SPOOL_MAX_MB higher.",
            ),
            Mend::say(by_themselves),
        ];
        Line::fail("spool", seen, mend)
    } else {
        Line::warn("spool", seen, [Mend::say(by_themselves)])
    }
}

fn jobs(number: i64) -> String {
    count(usize::try_from(number).unwrap_or_default(), "job")
}

#[cfg(test)]
mod tests;
