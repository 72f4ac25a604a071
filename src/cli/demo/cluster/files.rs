//! Where the demo's server keeps its files, and how they come to be.
//!
//! All of them are in one folder of the server's user: `data`, the `password` and the
//! `server.log` of the last start.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::process::Command;
use uuid::Uuid;

use super::ClusterError;
use super::programs::Programs;
use super::server_user::ServerUser;

/// Where the files go when root's folder is closed to the server's user. Not `/tmp`, because the
/// demo goes on with its table after a restart of the machine.
const OPEN_TO_ALL: &str = "/var/tmp";
/// The second exists on every system; both sort by bytes.
const LOCALES: [&str; 2] = ["C.UTF-8", "C"];

pub(super) struct Files {
    home: PathBuf,
    user: ServerUser,
}

impl Files {
    /// Makes the folder, below `dir` where the server's user can reach that.
    pub(super) async fn prepare(dir: &Path, user: ServerUser) -> Result<Self, ClusterError> {
        let dir = fs::canonicalize(dir).map_err(|error| unusable(dir, error))?;
        let near = home_below(&dir, &user)?;
        if user.can_write(&near).await? {
            return Ok(Self { home: near, user });
        }
        // Empty, unless the folder was open once; then its files are not ours to delete.
        let _ = fs::remove_dir(&near);
        let far = folder_of_root(Path::new(OPEN_TO_ALL), &dir)?;
        let home = home_below(&far, &user)?;
        tracing::info!(
            "the server's user cannot reach {}; the database is in {}",
            dir.display(),
            home.display()
        );
        Ok(Self { home, user })
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    pub(super) fn user(&self) -> &ServerUser {
        &self.user
    }

    pub(super) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.home.join("server.log")
    }

    fn password(&self) -> PathBuf {
        self.home.join("password")
    }

    fn pid_file(&self) -> PathBuf {
        self.data().join("postmaster.pid")
    }

    /// Creates the cluster unless there is one; its password either way.
    pub(super) async fn initialized(&self, programs: &Programs) -> Result<String, ClusterError> {
        if !self.data().exists() {
            self.write_password(&Uuid::new_v4().simple().to_string())?;
            self.initdb(programs).await?;
        }
        fs::read_to_string(self.password()).map_err(|error| unusable(&self.home, error))
    }

    /// Under another name first: a cluster half made by a run that was killed is none.
    async fn initdb(&self, programs: &Programs) -> Result<(), ClusterError> {
        let half = self.home.join("data.new");
        let mut complaint = String::new();
        for locale in LOCALES {
            if half.exists() {
                fs::remove_dir_all(&half).map_err(|error| unusable(&half, error))?;
            }
            let program = programs.initdb();
            let output = Command::from(self.user.command(&program))
                .args([
                    "--username=postgres",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                ])
                .arg(format!("--locale={locale}"))
                .arg("--pgdata")
                .arg(&half)
                .arg("--pwfile")
                .arg(self.password())
                .output()
                .await
                .map_err(|error| ClusterError::Program(program, error))?;
            if output.status.success() {
                return fs::rename(&half, self.data()).map_err(|error| unusable(&half, error));
            }
            complaint = last_words(&String::from_utf8_lossy(&output.stderr));
        }
        Err(ClusterError::Init(complaint))
    }

    fn write_password(&self, password: &str) -> Result<(), ClusterError> {
        let path = self.password();
        let write = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&path)?.write_all(password.as_bytes())?;
            self.user.own(&path)
        };
        write().map_err(|error| unusable(&path, error))
    }

    /// The server's process as its file names it, alive or not.
    pub(super) fn postmaster(&self) -> Option<u32> {
        let text = fs::read_to_string(self.pid_file()).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    pub(super) fn forget_postmaster(&self) -> Result<(), ClusterError> {
        fs::remove_file(self.pid_file()).map_err(|error| unusable(&self.home, error))
    }

    /// Why the last start failed, in the server's words, and where the rest of them is.
    pub(super) fn last_words(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let words = last_words(&String::from_utf8_lossy(&log));
        format!("{words} (more in {})", self.log().display())
    }
}

/// A log ends in advice; what went wrong is in the last line that says so.
fn last_words(log: &str) -> String {
    let mut lines = log.lines().rev().filter(|line| !line.trim().is_empty());
    let wrong = |line: &&str| line.contains("FATAL:") || line.contains("error:");
    let line = lines.clone().find(wrong).or_else(|| lines.next());
    line.unwrap_or("it said nothing").trim().to_owned()
}

fn home_below(parent: &Path, user: &ServerUser) -> Result<PathBuf, ClusterError> {
    let home = parent.join("postgres");
    let made = private_folder(&home, 0o700).and_then(|()| user.own(&home));
    made.map_err(|error| unusable(&home, error))?;
    Ok(home)
}

/// A folder of root's for what belongs to `dir`. Everybody may write where it stands, so it may
/// be a trap that somebody else put there.
fn folder_of_root(parent: &Path, dir: &Path) -> Result<PathBuf, ClusterError> {
    let folder = parent.join(format!("safelight-demo-{}", key(dir)));
    private_folder(&folder, 0o711).map_err(|error| unusable(&folder, error))?;
    let found = fs::symlink_metadata(&folder).map_err(|error| unusable(&folder, error))?;
    if found.is_dir() && found.uid() == 0 {
        Ok(folder)
    } else {
        Err(ClusterError::NotOurs(folder))
    }
}

/// The same for the same path, on every run.
fn key(dir: &Path) -> String {
    let digest = Sha256::digest(dir.as_os_str().as_encoded_bytes());
    let (start, _) = digest.split_at(8);
    start
        .iter()
        .fold(String::new(), |key, byte| key + &format!("{byte:02x}"))
}

fn private_folder(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn unusable(path: &Path, error: io::Error) -> ClusterError {
    ClusterError::Folder(path.to_owned(), error)
}

#[cfg(test)]
mod tests;
