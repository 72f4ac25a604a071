//! The commands. Results go to stdout, everything about them to stderr.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage. Each command lives in its own file and does what
//! the same action does over SQL or HTTP, on the database directly.

mod demo;
mod migrate;
mod output;
mod simulate;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::app::StartError;
use crate::config::{self, LogArgs};
use crate::telemetry::{self, Loudness};

/// AI photo generation made dependable with nothing but Postgres: insert a row, photos come back.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "Examples:\n  \
        safelight demo                                   see it work, nothing configured\n  \
        DATABASE_URL=... safelight migrate               create the tables\n  \
        DATABASE_URL=... GEMINI_API_KEY=... safelight worker\n\n\
        Settings are read from the environment, from .env, and from flags; see each command's --help."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    Worker(Box<worker::WorkerCommand>),
    Migrate(migrate::MigrateCommand),
    Demo(demo::DemoCommand),
    Simulate(simulate::SimulateCommand),
}

/// Why a command failed, as one line for people.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Database(#[from] crate::db::DbError),
    #[error("{0}")]
    Failed(String),
    #[error("the terminal cannot be read or written: {0}")]
    Terminal(#[from] std::io::Error),
}

/// Parses the arguments and runs the command.
pub fn run() -> ExitCode {
    let command = config::with_prefixed_variables(Cli::command());
    let cli = match Cli::from_arg_matches(&command.get_matches()) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime could not be started: {error}")),
    };
    let loudness = match cli.command {
        Command::Worker(_) | Command::Simulate(_) => Loudness::Worker,
        Command::Migrate(_) | Command::Demo(_) => Loudness::Quiet,
    };
    telemetry::init(&cli.log, loudness);
    match runtime.block_on(execute(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

async fn execute(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Worker(command) => command.run().await,
        Command::Migrate(command) => command.run().await,
        Command::Demo(command) => command.run().await,
        Command::Simulate(command) => command.run().await,
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("safelight: {message}");
    ExitCode::FAILURE
}
