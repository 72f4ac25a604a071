//! The commands. Results go to stdout, everything about them to stderr.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage. Each command lives in its own file and does what
//! the same action does over SQL or HTTP, on the database directly.

mod act;
mod ask;
mod cancel;
mod credits;
mod demo;
mod doctor;
mod download;
mod enqueue;
mod keys;
mod limits;
mod list;
mod migrate;
mod output;
mod pause;
mod progress;
mod prune;
mod resume;
mod retry;
mod run;
mod serve;
mod show;
mod simulate;
mod table;
mod time;
mod watch;
mod words;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::app::StartError;
use crate::config::{self, LogArgs};
use crate::db::DbError;
use crate::db::credits::Lack;
use crate::telemetry::{self, Loudness};

/// AI photo generation made dependable with nothing but Postgres: insert a row, photos come back.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "Examples:\n  \
        safelight demo                                   see it work, nothing configured\n  \
        DATABASE_URL=... safelight migrate               create the tables\n  \
        DATABASE_URL=... GEMINI_API_KEY=... API_KEYS=team:key safelight run\n  \
        DATABASE_URL=... safelight enqueue \"a red bicycle\" --watch\n  \
        DATABASE_URL=... safelight doctor                what is wrong, and what mends it\n\n\
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
    Run(run::RunCommand),
    Worker(worker::WorkerCommand),
    Serve(serve::ServeCommand),
    Demo(demo::DemoCommand),
    Migrate(migrate::MigrateCommand),
    Doctor(doctor::DoctorCommand),
    Enqueue(enqueue::EnqueueCommand),
    List(list::ListCommand),
    Show(show::ShowCommand),
    Watch(watch::WatchCommand),
    Cancel(cancel::CancelCommand),
    Retry(retry::RetryCommand),
    Download(download::DownloadCommand),
    Limits(limits::LimitsCommand),
    Credits(credits::CreditsCommand),
    Keys(keys::KeysCommand),
    Pause(pause::PauseCommand),
    Resume(resume::ResumeCommand),
    Prune(prune::PruneCommand),
    Simulate(simulate::SimulateCommand),
}

/// Why a command failed, as one line for people.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Database(DbError),
    #[error("{0}")]
    Failed(String),
    /// What was typed cannot be done.
    #[error("{0}")]
    Usage(String),
    #[error("the terminal cannot be read or written: {0}")]
    Terminal(#[from] std::io::Error),
}

impl From<DbError> for CommandError {
    /// What a database says of credits is for people already.
    fn from(error: DbError) -> Self {
        match error.lack_of_credits() {
            Some(lack) => Self::no_credit(lack),
            None => Self::Database(error),
        }
    }
}

impl CommandError {
    fn no_credit(lack: Lack) -> Self {
        Self::Failed(format!(
            "{} To give more: safelight credits grant --help",
            lack.sentence()
        ))
    }

    /// Whoever reads our output has seen enough: `safelight list | head`.
    fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Terminal(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Start(_) | Self::Database(_) | Self::Failed(_) | Self::Terminal(_) => 1,
            Self::Usage(_) => 2,
        }
    }
}

/// All commands with their arguments, as the program takes them.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the arguments and runs the command.
pub fn run() -> ExitCode {
    let command = config::with_prefixed_variables(command());
    let cli = match Cli::from_arg_matches(&command.get_matches()) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            return fail(&CommandError::Failed(format!(
                "the runtime could not be started: {error}"
            )));
        }
    };
    let loudness = match cli.command {
        Command::Run(_) | Command::Worker(_) | Command::Serve(_) | Command::Simulate(_) => {
            Loudness::Worker
        }
        Command::Demo(_)
        | Command::Migrate(_)
        | Command::Doctor(_)
        | Command::Enqueue(_)
        | Command::List(_)
        | Command::Show(_)
        | Command::Watch(_)
        | Command::Cancel(_)
        | Command::Retry(_)
        | Command::Download(_)
        | Command::Limits(_)
        | Command::Credits(_)
        | Command::Keys(_)
        | Command::Pause(_)
        | Command::Resume(_)
        | Command::Prune(_) => Loudness::Quiet,
    };
    telemetry::init(&cli.log, loudness);
    match runtime.block_on(execute(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn execute(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Run(command) => command.run().await,
        Command::Worker(command) => command.run().await,
        Command::Serve(command) => command.run().await,
        Command::Demo(command) => command.run().await,
        Command::Migrate(command) => command.run().await,
        Command::Doctor(command) => command.run().await,
        Command::Enqueue(command) => command.run().await,
        Command::List(command) => command.run().await,
        Command::Show(command) => command.run().await,
        Command::Watch(command) => command.run().await,
        Command::Cancel(command) => command.run().await,
        Command::Retry(command) => command.run().await,
        Command::Download(command) => command.run().await,
        Command::Limits(command) => command.run().await,
        Command::Credits(command) => command.run().await,
        Command::Keys(command) => command.run().await,
        Command::Pause(command) => command.run().await,
        Command::Resume(command) => command.run().await,
        Command::Prune(command) => command.run().await,
        Command::Simulate(command) => command.run().await,
    }
}

fn fail(error: &CommandError) -> ExitCode {
    eprintln!("safelight: {error}");
    ExitCode::from(error.exit_code())
}

#[cfg(test)]
mod tests;
