//! The provider's keys, without paying: one line for each account.

use super::DEADLINE;
use super::report::{Line, Mend};
use crate::app::{self, StartError};
use crate::config::{ConfigError, ProviderArgs};
use crate::domain::Model;
use crate::domain::failure::BlockReason;
use crate::domain::model::DEFAULT_MODEL;
use crate::providers::gemini::DEFAULT_BASE_URL;
use crate::providers::{Gemini, KeyFinding, KeysError};

const WHERE_KEYS_ARE: &str = "Get one at https://aistudio.google.com/apikey, then:";
const SET_KEY: &str = "export GEMINI_API_KEY=KEY";

/// Asks for the model that the fleet calls by default.
pub(super) async fn check(args: &ProviderArgs, recorded: Option<&str>) -> Vec<Line> {
    let gemini = match app::gemini(args) {
        Ok(gemini) => gemini,
        Err(error) => return vec![not_set_up(&error)],
    };
    let wished = args.model().ok().flatten();
    let names = [recorded, wished, Some(DEFAULT_MODEL)];
    let Some(model) = names.into_iter().flatten().find_map(Model::from_name) else {
        return Vec::new();
    };
    let mut accounts: Vec<&str> = gemini.accounts().collect();
    accounts.dedup();
    let mut lines = Vec::new();
    for account in accounts {
        lines.push(of_account(&gemini, account, &model, args).await);
    }
    lines
}

fn not_set_up(error: &StartError) -> Line {
    match error {
        StartError::Config(ConfigError::Keys(KeysError::Missing)) => Line::fail(
            "provider",
            "no key is set in GEMINI_API_KEY or GEMINI_API_KEYS",
            [Mend::say(WHERE_KEYS_ARE), Mend::shell(SET_KEY)],
        ),
        StartError::Config(ConfigError::BaseUrl(_)) => {
            let mend = [Mend::shell(format!(
                "export GEMINI_BASE_URL={DEFAULT_BASE_URL}"
            ))];
            Line::fail("provider", error, mend)
        }
        StartError::Config(_)
        | StartError::Address(_)
        | StartError::Schema(_)
        | StartError::Database(_)
        | StartError::Storage(_)
        | StartError::Fetcher(_)
        | StartError::HttpClient(_)
        | StartError::TenantSql(_)
        | StartError::NoRandomness
        | StartError::Signals(_)
        | StartError::Bind { .. }
        | StartError::Open(_) => {
            let mend = [
                Mend::shell(SET_KEY),
                Mend::say("Several: GEMINI_API_KEYS=account:key,account:key"),
            ];
            Line::fail("provider", error, mend)
        }
    }
}

async fn of_account(gemini: &Gemini, account: &str, model: &Model, args: &ProviderArgs) -> Line {
    let findings = gemini.examine(account, model, DEADLINE).await;
    let keys = findings.len();
    let worst = findings
        .into_iter()
        .enumerate()
        .filter(|(_, finding)| *finding != KeyFinding::Good)
        // One that only waits must not hide one that is bad.
        .min_by_key(|(_, finding)| matches!(finding, KeyFinding::Busy(_)));
    let Some((at, finding)) = worst else {
        let keys = if keys == 1 {
            "the key is"
        } else {
            "all keys are"
        };
        let seen = format!("account {account}: {keys} accepted, and {model} is there");
        return Line::ok("provider", seen);
    };
    let whose = if keys == 1 {
        format!("account {account}")
    } else {
        format!("account {account}, key {} of {keys}", at + 1)
    };
    of_finding(&whose, &finding, model, args)
}

fn of_finding(whose: &str, finding: &KeyFinding, model: &Model, args: &ProviderArgs) -> Line {
    let fail =
        |seen: String, mend: Vec<Mend>| Line::fail("provider", format!("{whose}: {seen}"), mend);
    match finding {
        KeyFinding::Good => Line::ok("provider", whose),
        KeyFinding::Blocked { reason, detail } => fail(
            format!("{}: {detail}", reason.as_str()),
            of_block(*reason, model),
        ),
        KeyFinding::Busy(why) => Line::warn(
            "provider",
            format!("{whose}: {why}"),
            [Mend::say(
                "This passes by itself, and jobs wait for it. For long: safelight pause model.",
            )],
        ),
        KeyFinding::Stranger(why) => fail(
            format!("what answers is not Gemini ({why})"),
            vec![
                Mend::say("Unless you mean another server, unset GEMINI_BASE_URL, or:"),
                Mend::shell(format!("export GEMINI_BASE_URL={DEFAULT_BASE_URL}")),
            ],
        ),
        KeyFinding::Unreachable(why) => fail(
            format!("the provider cannot be reached: {why}"),
            vec![
                Mend::say("Look at this machine's network and DNS, and at GEMINI_BASE_URL:"),
                Mend::shell(format!("curl -sS -o /dev/null {}", public(args))),
            ],
        ),
    }
}

/// The address that is called, without what might be a secret in it.
fn public(args: &ProviderArgs) -> String {
    let url = args.base_url().ok();
    url.map_or_else(
        || DEFAULT_BASE_URL.to_owned(),
        |url| url.origin().ascii_serialization(),
    )
}

fn of_block(reason: BlockReason, model: &Model) -> Vec<Mend> {
    match reason {
        BlockReason::BadKey => vec![
            Mend::say(WHERE_KEYS_ARE),
            Mend::shell(SET_KEY),
            Mend::say("Restart the workers with it; what it blocked is listed under limits."),
        ],
        BlockReason::NoCredit => vec![Mend::say(
            "Set up billing for the key's project: https://aistudio.google.com/apikey, Set up \
             billing.",
        )],
        BlockReason::NotOnPlan => vec![Mend::say(format!(
            "The account's plan does not include {model}: choose another plan there, or another \
             model with GEMINI_MODEL_NAME=MODEL safelight migrate."
        ))],
        BlockReason::ModelGone => vec![
            Mend::say(format!(
                "The provider has no {model}. Name one that it has, for the whole fleet (and see \
                 GEMINI_BASE_URL, if you set it):"
            )),
            Mend::shell(format!(
                "GEMINI_MODEL_NAME={DEFAULT_MODEL} safelight migrate"
            )),
        ],
    }
}
