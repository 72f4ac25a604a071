//! The providers' keys, without paying: one line for each account.

use super::DEADLINE;
use super::report::{Line, Mend};
use crate::app::{self, StartError};
use crate::config::{
    ConfigError, ProviderArgs, default_url, key_variable, model_variable, url_variable,
};
use crate::domain::failure::BlockReason;
use crate::domain::{Model, Provider};
use crate::providers::{KeyFinding, KeysError, Providers};

/// Asks each provider that a key is set for. `recorded` is the model that the fleet calls by default.
pub(super) async fn check(args: &ProviderArgs, recorded: &[String]) -> Vec<Line> {
    let providers = match app::providers(args) {
        Ok(providers) => providers,
        Err(error) => return vec![not_set_up(&error, args.serves_first())],
    };
    let mut lines = Vec::new();
    for provider in args.with_key() {
        let Some(model) = model_of(provider, args, recorded) else {
            continue;
        };
        let mut accounts = providers.accounts(provider);
        accounts.dedup();
        for account in accounts {
            lines.push(of_account(&providers, account, &model, args).await);
        }
    }
    lines
}

/// The recorded one, else the one that is wished for here, else the usual one.
fn model_of(provider: Provider, args: &ProviderArgs, recorded: &[String]) -> Option<Model> {
    let recorded = recorded.iter().map(String::as_str);
    let wished = args.model(provider).ok().flatten();
    let mut names = recorded.chain(wished).chain([provider.default_model()]);
    names.find_map(|name| Model::from_name(name).filter(|model| model.provider() == provider))
}

fn set_key(provider: Provider) -> String {
    format!("export {}=KEY", key_variable(provider))
}

fn where_keys_are(provider: Provider) -> Mend {
    Mend::say(match provider {
        Provider::Gemini => "Get one at https://aistudio.google.com/apikey, then:",
        Provider::OpenAi => "Get one at https://platform.openai.com/api-keys, then:",
    })
}

fn not_set_up(error: &StartError, first: Provider) -> Line {
    match error {
        StartError::Config(ConfigError::Keys(KeysError::Missing)) => Line::fail(
            "provider",
            "no key is set in GEMINI_API_KEY or OPENAI_API_KEY",
            [where_keys_are(first), Mend::shell(set_key(first))],
        ),
        StartError::Config(
            ConfigError::BaseUrl { provider, .. } | ConfigError::BaseUrlUnfit(provider),
        ) => Line::fail("provider", error, [Mend::shell(usual_address(*provider))]),
        StartError::Config(ConfigError::KeysOf { provider, .. }) => {
            let several = format!(
                "Several: {}S=account:key,account:key",
                key_variable(*provider)
            );
            let mend = [Mend::shell(set_key(*provider)), Mend::say(several)];
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
        | StartError::Sender(_)
        | StartError::Open(_) => Line::fail("provider", error, [Mend::shell(set_key(first))]),
    }
}

fn usual_address(provider: Provider) -> String {
    let (variable, url) = (url_variable(provider), default_url(provider));
    format!("export {variable}={url}")
}

async fn of_account(
    providers: &Providers,
    account: &str,
    model: &Model,
    args: &ProviderArgs,
) -> Line {
    let findings = providers.examine(account, model, DEADLINE).await;
    let account = if args.with_key().count() > 1 {
        format!("{account} of {}", model.provider().title())
    } else {
        account.to_owned()
    };
    let keys = findings.len();
    let worst = findings
        .into_iter()
        .enumerate()
        .filter(|(_, finding)| *finding != KeyFinding::Good)
        // One that only waits must not hide one that is bad.
        .min_by_key(|(_, finding)| matches!(finding, KeyFinding::Busy(_) | KeyFinding::Untold(_)));
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
    let provider = model.provider();
    let url_variable = url_variable(provider);
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
        KeyFinding::Untold(why) => Line::warn(
            "provider",
            format!("{whose}: the key is known, and may not ask for {model}: {why}"),
            [Mend::say(
                "It may be restricted to making images, which only a paid call tells.",
            )],
        ),
        KeyFinding::Stranger(why) => fail(
            format!("what answers is not {} ({why})", provider.title()),
            vec![
                Mend::say(format!(
                    "Unless you mean another server, unset {url_variable}, or:"
                )),
                Mend::shell(usual_address(provider)),
            ],
        ),
        KeyFinding::Unreachable(why) => fail(
            format!("the provider cannot be reached: {why}"),
            vec![
                Mend::say(format!(
                    "Look at this machine's network and DNS, and at {url_variable}:"
                )),
                Mend::shell(format!("curl -sS -o /dev/null {}", public(args, provider))),
            ],
        ),
    }
}

/// The address that is called, without what might be a secret in it.
fn public(args: &ProviderArgs, provider: Provider) -> String {
    let url = args.base_url(provider).ok();
    url.map_or_else(
        || default_url(provider).to_owned(),
        |url| url.origin().ascii_serialization(),
    )
}

fn of_block(reason: BlockReason, model: &Model) -> Vec<Mend> {
    let provider = model.provider();
    let variable = model_variable(provider);
    match reason {
        BlockReason::BadKey => vec![
            where_keys_are(provider),
            Mend::shell(set_key(provider)),
            Mend::say("Restart the workers with it; what it blocked is listed under limits."),
        ],
        BlockReason::NoCredit => vec![Mend::say(match provider {
            Provider::Gemini => {
                "Set up billing for the key's project: https://aistudio.google.com/apikey, Set up \
                 billing."
            }
            Provider::OpenAi => {
                "Add credit for the key's organization: \
                 https://platform.openai.com/settings/organization/billing"
            }
        })],
        BlockReason::NotOnPlan => vec![Mend::say(format!(
            "The account may not call {model}: choose another plan there (with OpenAI, verify the \
             organization), or another model with {variable}=MODEL safelight migrate."
        ))],
        BlockReason::ModelGone => vec![
            Mend::say(format!(
                "The provider has no {model}. Name one that it has, for the whole fleet (and see \
                 {}, if you set it):",
                url_variable(provider)
            )),
            Mend::shell(format!(
                "{variable}={} safelight migrate",
                provider.default_model()
            )),
        ],
    }
}
