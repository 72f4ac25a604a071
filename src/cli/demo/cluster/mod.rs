//! A private Postgres, for people who want to see safelight before they have a database.
//!
//! The server's programs are the system's; its files stay in the folder of the demo, so that the
//! next run goes on with the same table. It listens on a free port of the loopback only and asks
//! for a password that is made with the cluster: with `trust`, every account of a shared machine
//! could run commands as ours. It is not for production, and knows nothing of the schema.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use files::Files;
use programs::Programs;
use server_user::ServerUser;

mod files;
mod programs;
mod server_user;

/// Replaying the log after a kill takes seconds; this long means that something is wrong.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How often a starting server is asked. A start takes about 100 ms.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// A fast shutdown ends connections by itself; what takes longer hangs.
const STOPPED_WITHIN: Duration = Duration::from_secs(20);
/// Somebody may take the free port before the server does.
const PORT_TRIES: usize = 3;

/// A running server; it stops when this goes, at best by [`Cluster::stop`].
pub(super) struct Cluster {
    programs: Programs,
    files: Files,
    server: Child,
    port: u16,
    password: String,
    /// Two demos in one folder would be two servers on the same files.
    #[cfg_attr(not(test), expect(dead_code, reason = "held, not read"))]
    claim: File,
}

/// Why there is no server: one sentence with what to do about it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClusterError {
    #[error("Postgres 15 or newer was not found; install it with: apt-get install postgresql")]
    NotInstalled,
    #[error(
        "another `safelight demo` is at work in {0}; stop it first, or run this one in another folder"
    )]
    InUse(PathBuf),
    #[error(
        "Postgres does not run as root, and there is no user postgres or nobody to run it; create one with: useradd --system postgres"
    )]
    NoUser,
    #[error("{0} is not a folder of ours; delete it and try again")]
    NotOurs(PathBuf),
    #[error("the folder {0} cannot be used: {1}")]
    Folder(PathBuf, #[source] io::Error),
    #[error("{0} could not be run: {1}")]
    Program(PathBuf, #[source] io::Error),
    #[error("Postgres could not create its files: {0}")]
    Init(String),
    #[error("Postgres did not start: {0}")]
    Start(String),
    #[error("Postgres did not stop; its process is {0}")]
    Stop(u32),
}

impl Cluster {
    /// Starts the server whose files are in `dir`, creating both on first use. What a killed run
    /// left running there is stopped first.
    pub(super) async fn open(dir: &Path) -> Result<Self, ClusterError> {
        let claim = claim(dir)?;
        let programs = Programs::find().await.ok_or(ClusterError::NotInstalled)?;
        let files = Files::prepare(dir, ServerUser::choose().await?).await?;
        stop_leftover(&programs, &files).await?;
        let password = files.initialized(&programs).await?;
        let port = free_port().map_err(ClusterError::Start)?;
        let mut cluster = Self {
            server: spawn(&programs, &files, port)?,
            programs,
            files,
            port,
            password,
            claim,
        };
        cluster.become_ready().await?;
        Ok(cluster)
    }

    /// The address for any Postgres client on this machine.
    pub(super) fn url(&self) -> String {
        format!(
            "postgres://postgres:{}@{}:{}/postgres",
            self.password,
            Ipv4Addr::LOCALHOST,
            self.port
        )
    }

    /// The folder of the server's files: `postgres` below the demo's folder, unless root's server
    /// user cannot reach that.
    pub(super) fn files(&self) -> &Path {
        self.files.home()
    }

    /// Ends every connection and stops the server; its files stay.
    pub(super) async fn stop(mut self) -> Result<(), ClusterError> {
        for mode in ["--mode=fast", "--mode=immediate"] {
            let sent = pg_ctl_stop(&self.programs, &self.files, &[mode, "--no-wait"]);
            run(Command::from(sent)).await?;
            if timeout(STOPPED_WITHIN, self.server.wait()).await.is_ok() {
                return Ok(());
            }
        }
        Err(ClusterError::Stop(self.server.id().unwrap_or_default()))
    }

    async fn become_ready(&mut self) -> Result<(), ClusterError> {
        for _ in 1..PORT_TRIES {
            if let Readiness::Ready = self.wait_until_ready().await? {
                return Ok(());
            }
            self.port = free_port().map_err(ClusterError::Start)?;
            self.server = spawn(&self.programs, &self.files, self.port)?;
        }
        match self.wait_until_ready().await? {
            Readiness::Ready => Ok(()),
            Readiness::Exited => Err(ClusterError::Start(self.files.last_words())),
        }
    }

    async fn wait_until_ready(&mut self) -> Result<Readiness, ClusterError> {
        let options = PgConnectOptions::new_without_pgpass()
            .host(&Ipv4Addr::LOCALHOST.to_string())
            .port(self.port)
            .username("postgres")
            .password(&self.password)
            .database("postgres")
            .ssl_mode(PgSslMode::Disable);
        let answer = async {
            loop {
                if let Ok(connection) = PgConnection::connect_with(&options).await {
                    // Only a courtesy: the server logs a client that just goes.
                    let _ = connection.close().await;
                    return Readiness::Ready;
                }
                if let Ok(Some(_)) = self.server.try_wait() {
                    return Readiness::Exited;
                }
                sleep(ASK_EVERY).await;
            }
        };
        timeout(READY_WITHIN, answer)
            .await
            .map_err(|_| ClusterError::Start(self.files.last_words()))
    }
}

/// Best effort for whoever did not call [`Cluster::stop`]: asks and does not wait.
impl Drop for Cluster {
    fn drop(&mut self) {
        if self.server.id().is_none() {
            return;
        }
        let asked =
            pg_ctl_stop(&self.programs, &self.files, &["--mode=fast", "--no-wait"]).status();
        if !asked.is_ok_and(|status| status.success()) {
            // Too young to be asked. The next start replays its log.
            let _ = self.server.start_kill();
        }
    }
}

enum Readiness {
    Ready,
    Exited,
}

/// The lock on the folder is the operating system's, so that it goes with us however we die.
fn claim(dir: &Path) -> Result<File, ClusterError> {
    let unusable = |error| ClusterError::Folder(dir.to_owned(), error);
    fs::create_dir_all(dir).map_err(unusable)?;
    let folder = File::open(dir).map_err(unusable)?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(TryLockError::WouldBlock) => Err(ClusterError::InUse(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

fn free_port() -> Result<u16, String> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Ok(address.port())
}

fn spawn(programs: &Programs, files: &Files, port: u16) -> Result<Child, ClusterError> {
    let program = programs.postgres();
    let log = File::create(files.log())
        .map_err(|error| ClusterError::Folder(files.home().to_owned(), error))?;
    Command::from(files.user().command(&program))
        .arg("-D")
        .arg(files.data())
        .args(["-p", &port.to_string()])
        .args(["-c", "listen_addresses=127.0.0.1"])
        .args(["-c", "unix_socket_directories="])
        .stdout(Stdio::null())
        .stderr(log)
        // Ctrl-C is for us: the server goes on until we have written what we know.
        .process_group(0)
        .spawn()
        .map_err(|error| ClusterError::Program(program, error))
}

/// Stops the server of a run that was killed. Postgres itself copes with a file whose process is
/// gone; it does not with one whose number somebody else has now.
async fn stop_leftover(programs: &Programs, files: &Files) -> Result<(), ClusterError> {
    let Some(pid) = files.postmaster() else {
        return Ok(());
    };
    let Some(command_line) = command_line(pid).await else {
        return Ok(());
    };
    if command_line.contains(&*files.data().to_string_lossy()) {
        let stop = pg_ctl_stop(programs, files, &["--mode=fast", "--wait"]);
        run(Command::from(stop)).await?;
    } else if !command_line.contains("postgres") {
        files.forget_postmaster()?;
    }
    Ok(())
}

/// `pg_ctl` finds the process by the file in its folder and signals it as its own user.
fn pg_ctl_stop(programs: &Programs, files: &Files, how: &[&str]) -> std::process::Command {
    let mut command = files.user().command(&programs.pg_ctl());
    command.args(["stop", "--silent"]).args(how);
    command.arg("--pgdata").arg(files.data());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

async fn run(mut command: Command) -> Result<(), ClusterError> {
    let status = command.status().await;
    status.map(drop).map_err(|error| {
        ClusterError::Program(PathBuf::from(command.as_std().get_program()), error)
    })
}

/// What runs under a number: nothing, or its command line, which is empty for a process that has
/// ended and that nobody has collected.
async fn command_line(pid: u32) -> Option<String> {
    let bytes = if Path::new("/proc/self").exists() {
        fs::read(format!("/proc/{pid}/cmdline")).ok()?
    } else {
        // macOS has no /proc.
        let mut ps = Command::new("ps");
        ps.args(["-ww", "-o", "command=", "-p", &pid.to_string()]);
        let output = ps.output().await.ok()?;
        output.status.success().then_some(output.stdout)?
    };
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
