//! Who runs the server: we ourselves, or, because Postgres refuses root, an account that may
//! nothing else.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::ClusterError;

/// In the order of preference: Postgres's packages bring the first, every system has the second.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerUser {
    Ourselves,
    Account { uid: u32, gid: u32 },
}

impl ServerUser {
    pub(super) async fn choose() -> Result<Self, ClusterError> {
        let mut id = tokio::process::Command::new("id");
        let output = id.arg("-u").output().await;
        let output = output.map_err(|error| ClusterError::Program("id".into(), error))?;
        if output.stdout.trim_ascii() != b"0" {
            return Ok(Self::Ourselves);
        }
        let passwd = PathBuf::from("/etc/passwd");
        let accounts =
            fs::read_to_string(&passwd).map_err(|error| ClusterError::Folder(passwd, error))?;
        let mut found = ACCOUNTS.iter().filter_map(|name| account(&accounts, name));
        found.next().ok_or(ClusterError::NoUser)
    }

    /// A command that runs as this user, from where every user may stand.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null());
        match *self {
            Self::Ourselves => {}
            Self::Account { uid, gid } => {
                command.uid(uid).gid(gid);
            }
        }
        command
    }

    /// Gives this user a file or folder of ours.
    pub(super) fn own(&self, path: &Path) -> io::Result<()> {
        match *self {
            Self::Ourselves => Ok(()),
            Self::Account { uid, gid } => chown(path, Some(uid), Some(gid)),
        }
    }

    /// Whether every folder on the way lets an account through, asked of the system. What we
    /// ourselves cannot do shows when it is done.
    pub(super) async fn can_write(&self, path: &Path) -> Result<bool, ClusterError> {
        match self {
            Self::Ourselves => Ok(true),
            Self::Account { .. } => {
                let mut test = self.command(Path::new("test"));
                test.arg("-w").arg(path);
                let status = tokio::process::Command::from(test).status().await;
                let status = status.map_err(|error| ClusterError::Program("test".into(), error))?;
                Ok(status.success())
            }
        }
    }
}

/// An account in the text of `/etc/passwd`.
fn account(passwd: &str, name: &str) -> Option<ServerUser> {
    let fields = |line: &str| -> Vec<String> { line.split(':').map(str::to_owned).collect() };
    let found = passwd
        .lines()
        .map(fields)
        .find(|fields| fields[0] == name)?;
    let number = |at: usize| found.get(at)?.parse().ok();
    Some(ServerUser::Account {
        uid: number(2)?,
        gid: number(3)?,
    })
}

#[cfg(test)]
mod tests;
