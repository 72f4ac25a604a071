//! `safelight simulate`: the provider simulator as a server of its own, for trying things out
//! without a key and without paying. It is the one of the demo and of the tests.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::{CommandError, output};
use crate::app::StartError;
use crate::providers::simulator::{
    DEFAULT_KEY, Quota, SimAccount, Simulator, SimulatorConfig, parse_time,
};

/// The markers, in the words of somebody who wants to see one at work. A test checks that none is
/// forgotten.
const HELP: &str = "\
Examples:
  safelight simulate
  GEMINI_BASE_URL=http://127.0.0.1:8089 GEMINI_API_KEY=simulator safelight worker
  OPENAI_BASE_URL=http://127.0.0.1:8089 OPENAI_API_KEY=simulator safelight worker
  safelight simulate --requests-per-minute 10 --key team-a:key-a --key team-b:key-b

A marker in a prompt makes its calls fail: \"a red bicycle [sim:429@2 wait=3s]\"
  name            every call of this prompt
  name@2          the second; also @1,3 and @2-4 and @3-
  wait=3s         what a 429 states, how long a hang lasts, else how much later the answer comes
  reason=WORD     the finishReason of finish, the blockReason of blocked; any word
  message=...     in place of the provider's own words, to the end of the marker

  refused         429 429-bare 429-array daily limit0 badkey nocredit 401 403 gone 400
                  fidelity (input_fidelity is)
  breaks          500 500-accepted array-error 408 502 503 504 hang reset truncated webpage
  odd answers     text empty noimage finish nocontent thoughts only-thought wrongmime wrongratio
                  cut-picture cut-base64 huge slow
  to questions    badjson badbox (of a try-on: where is the face?)
  moderation      safety (this image) blocked (the prompt)
It speaks Gemini and OpenAI, with the same keys, markers, quotas and log. What only Gemini has (drafts,
words, reasons) comes from OpenAI as a picture, no picture or moderation_blocked.

Its log, as JSON: curl http://127.0.0.1:8089/_simulator/log
It asks nobody who they are there, so leave it on loopback.";

/// Serve the provider simulator: the wire formats of Gemini and OpenAI, drawn pictures, quotas, faults on request
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct SimulateCommand {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8089")]
    bind: SocketAddr,
    /// A key that is accepted and whose account it is, once for each [default: default:simulator]
    #[arg(long = "key", value_name = "ACCOUNT:KEY")]
    keys: Vec<Key>,
    /// How long a call takes
    #[arg(long, value_name = "FROM..TO", default_value = "1.5s..4s")]
    latency: Latency,
    /// Calls of each account and model in any 60 seconds [default: no limit]
    #[arg(long, value_name = "CALLS")]
    requests_per_minute: Option<u32>,
    /// Calls of each account and model until the simulator ends [default: no limit]
    #[arg(long, value_name = "CALLS")]
    requests_per_day: Option<u32>,
    /// Calls of each account and model at a time [default: no limit]
    #[arg(long, value_name = "CALLS")]
    max_concurrent: Option<u32>,
}

impl SimulateCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let bind = self.bind;
        let config = self.config();
        let key = config.accounts[0].key.clone();
        let simulator = Simulator::start(config)
            .await
            .map_err(|error| CommandError::Failed(format!("{bind} cannot be served: {error}")))?;
        output::line(greeting(&simulator.base_url(), &key))?;
        tokio::signal::ctrl_c().await.map_err(StartError::Signals)?;
        simulator
            .stop()
            .await
            .map_err(|error| CommandError::Failed(format!("the simulator broke off: {error}")))
    }

    /// With at least one account.
    fn config(self) -> SimulatorConfig {
        let mut config = SimulatorConfig {
            bind: self.bind,
            latency: self.latency.0,
            quota: Quota {
                requests_per_minute: self.requests_per_minute,
                requests_per_day: self.requests_per_day,
                max_concurrent: self.max_concurrent,
                ..Quota::default()
            },
            ..SimulatorConfig::default()
        };
        if !self.keys.is_empty() {
            config.accounts = self.keys.into_iter().map(|key| key.0).collect();
        }
        config
    }
}

fn greeting(url: &str, key: &str) -> String {
    format!(
        "The simulator answers at {url}

Point a worker at it:
  GEMINI_BASE_URL={url} GEMINI_API_KEY={key} safelight worker
  OPENAI_BASE_URL={url} OPENAI_API_KEY={key} safelight worker

Its log: curl {url}/_simulator/log
Markers that make calls fail: safelight simulate --help
Ctrl-C ends it."
    )
}

/// `account:key`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key(SimAccount);

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some((account, key)) if !account.is_empty() && !key.is_empty() => {
                Ok(Self(SimAccount {
                    key: key.to_owned(),
                    account: account.to_owned(),
                }))
            }
            _ => Err(format!(
                "write an account and its key, for instance default:{DEFAULT_KEY}"
            )),
        }
    }
}

/// `1.5s..4s`, or one time for every call.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Latency(RangeInclusive<Duration>);

impl FromStr for Latency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = |text: &str| parse_time(text.trim()).map_err(|error| error.to_string());
        let (from, to) = match text.split_once("..") {
            Some((from, to)) => (time(from)?, time(to)?),
            None => (time(text)?, time(text)?),
        };
        if from > to {
            return Err(format!("write the shorter time first: {text}"));
        }
        Ok(Self(from..=to))
    }
}

#[cfg(test)]
mod tests;
