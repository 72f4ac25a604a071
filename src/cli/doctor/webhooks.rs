//! Whether apps are told that their jobs have ended.

use super::report::{Line, Mend};
use crate::cli::words::count;
use crate::config::WebhookArgs;
use crate::db::webhooks::{self, Undelivered};
use crate::db::{Db, DbError};

/// Makes a secret.
const MAKE: &str = "echo \"WEBHOOK_SECRET=whsec_$(openssl rand -base64 32)\"";

/// What is not delivered, and whether this environment could sign it.
pub(super) async fn check(db: &Db, args: &WebhookArgs) -> Result<Vec<Line>, DbError> {
    let signs = match args.secrets() {
        Ok(secrets) => secrets.is_some(),
        Err(error) => {
            let mend = [Mend::say("Make one:"), Mend::shell(MAKE)];
            return Ok(vec![Line::fail("webhooks", error, mend)]);
        }
    };
    Ok(vec![of(webhooks::undelivered(db).await?, signs)])
}

fn of(undelivered: Undelivered, signs: bool) -> Line {
    let Undelivered {
        fresh,
        failing,
        given_up,
    } = undelivered;
    let waiting = messages(fresh + failing);
    if fresh + failing > 0 && !signs {
        let mend = [
            Mend::say(
                "Only a worker that has WEBHOOK_SECRET sends them. Make one, for all workers and servers:",
            ),
            Mend::shell(MAKE),
        ];
        let seen = format!("not delivered: {waiting}, and WEBHOOK_SECRET is not set here");
        return Line::warn("webhooks", seen, mend);
    }
    if failing + given_up > 0 {
        let seen = format!(
            "tried in vain: {}; given up: {}",
            messages(failing),
            messages(given_up)
        );
        let mend = [Mend::say(
            "Why, and to whom: sql/ops/webhooks.sql. Once the receiver is mended, sql/ops/retry_webhooks_write.sql sends them at once.",
        )];
        return Line::warn("webhooks", seen, mend);
    }
    Line::ok(
        "webhooks",
        if fresh > 0 {
            format!("{waiting} to be sent")
        } else if signs {
            "every message is delivered".to_owned()
        } else {
            "none is asked for".to_owned()
        },
    )
}

fn messages(number: i64) -> String {
    count(usize::try_from(number).unwrap_or_default(), "message")
}
