//! Whether credits can do what the settings ask of them.

use super::report::{Line, Mend};
use crate::cli::words::{count, excerpt};
use crate::db::credits::{self, Health};
use crate::db::{Db, DbError, doctor};

/// Cells of what an app's function said.
const ERROR_CELLS: usize = 100;

/// How credits stand: an app that is to be told of refunds must have a function that takes them.
pub(super) async fn check(db: &Db) -> Result<Vec<Line>, DbError> {
    let health = credits::health(db).await?;
    if let Some(word) = &health.unknown {
        let mend = [Mend::shell("CREDITS=off safelight migrate")];
        let seen = format!("\"{word}\" is none of off, ledger, app, and counts as off");
        return Ok(vec![Line::warn("credits", seen, mend)]);
    }
    let lines = of_function(&health).or_else(|| of_failures(&health));
    Ok(vec![
        lines.unwrap_or_else(|| Line::ok("credits", &health.mode)),
    ])
}

fn of_function(health: &Health) -> Option<Line> {
    if health.mode != "app" || health.function_exists {
        return None;
    }
    let seen = match &health.function {
        None => "CREDITS is app, but no CREDITS_REFUND_FUNCTION is set".to_owned(),
        Some(name) => {
            format!("there is no function {name}, which CREDITS_REFUND_FUNCTION names")
        }
    };
    let mend = [
        Mend::say(
            "Make a function (job_id uuid, tenant text, images integer, credits bigint, reason text), and name it:",
        ),
        Mend::shell("CREDITS_REFUND_FUNCTION=schema.name safelight migrate"),
    ];
    Some(Line::fail("credits", seen, mend))
}

fn of_failures(health: &Health) -> Option<Line> {
    if health.failing == 0 {
        return None;
    }
    let failing = usize::try_from(health.failing).unwrap_or(usize::MAX);
    let seen = format!(
        "{} did not go through: {}",
        count(failing, "refund"),
        excerpt(health.error.as_deref().unwrap_or_default(), ERROR_CELLS)
    );
    let mend = [
        Mend::say(
            "They are tried again, within the hour; when the function is mended, at once with:",
        ),
        Mend::sql(doctor::RETRY_REFUNDS),
    ];
    Some(Line::warn("credits", seen, mend))
}
