//! Parses arguments, calls the command, turns its end into an exit code.

use std::process::ExitCode;

use safelight::{cli, config};

fn main() -> ExitCode {
    // Before any thread exists: reading .env changes the environment.
    config::load_dotenv();
    cli::run()
}
