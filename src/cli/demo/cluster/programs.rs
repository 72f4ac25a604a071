//! Finds the system's Postgres: the programs of one version, 15 or newer.

use std::path::{Path, PathBuf};

use tokio::process::Command;

/// The oldest version that the schema is tested on.
const OLDEST: u32 = 15;
/// Debian keeps one folder per version here, and none of them on the path.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The folder of the server's programs.
pub(super) struct Programs(PathBuf);

impl Programs {
    /// What `pg_config` names, else Debian's newest version, else what is on the path.
    pub(super) async fn find() -> Option<Self> {
        let mut folders = Vec::new();
        folders.extend(said_by("pg_config", &["--bindir"]).await.map(PathBuf::from));
        folders.extend(newest_first(folders_in(Path::new(DEBIAN))));
        let on_path = said_by("sh", &["-c", "command -v initdb"]).await;
        folders.extend(on_path.and_then(|path| Some(Path::new(&path).parent()?.to_owned())));
        for folder in folders {
            let programs = Self(folder);
            if programs.are_new_enough().await {
                return Some(programs);
            }
        }
        None
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.0.join("initdb")
    }

    pub(super) fn pg_ctl(&self) -> PathBuf {
        self.0.join("pg_ctl")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.0.join("postgres")
    }

    /// Clients alone come without `initdb`.
    async fn are_new_enough(&self) -> bool {
        if !self.initdb().exists() || !self.pg_ctl().exists() {
            return false;
        }
        let version = said_by(self.postgres(), &["--version"]).await;
        version.and_then(|text| major(&text)) >= Some(OLDEST)
    }
}

async fn said_by(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().await.ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}

fn folders_in(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// By number, because 9.6 is older than 10.
fn newest_first(versions: Vec<PathBuf>) -> Vec<PathBuf> {
    let number = |path: &PathBuf| path.file_name().and_then(|name| major(name.to_str()?));
    let mut versions = versions;
    versions.sort_by_key(|path| std::cmp::Reverse(number(path)));
    versions.iter().map(|version| version.join("bin")).collect()
}

/// The first number in a text: 15 in `postgres (PostgreSQL) 15.4 (Debian 15.4-1)`.
fn major(text: &str) -> Option<u32> {
    let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit());
    digits[..end.unwrap_or(digits.len())].parse().ok()
}

#[cfg(test)]
mod tests;
