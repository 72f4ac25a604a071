//! A Postgres of a test's own, for tests about its going away.

use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Stopped and deleted when it is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    folder: TempDir,
    options: &'static str,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// With options of the server, such as `-c autovacuum=off`.
    pub(crate) async fn start_with(options: &'static str) -> Self {
        // Not below $TMPDIR: the server's own user must get in, and a socket's path is short.
        let folder = TempDir::with_prefix_in("safelight-", "/tmp").unwrap();
        let url = script(&["start", path(&folder)], options).await;
        Self {
            url,
            folder,
            options,
        }
    }

    /// Ends every connection without a word, as a crash does.
    pub(crate) async fn stop(&self) {
        script(&["stop", path(&self.folder)], self.options).await;
    }

    /// With the same data at the same address; stops it first where it runs.
    pub(crate) async fn start_again(&self) {
        let url = url::Url::parse(&self.url).unwrap();
        let port = url.port().unwrap().to_string();
        script(&["start", path(&self.folder), &port], self.options).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = command(&["stop", path(&self.folder)], self.options).status();
    }
}

fn path(folder: &TempDir) -> &str {
    folder.path().to_str().unwrap()
}

/// Runs `scripts/postgres`; what it printed.
async fn script(arguments: &[&str], options: &str) -> String {
    let output = tokio::process::Command::from(command(arguments, options)).output();
    let output = output.await.unwrap();
    assert!(output.status.success(), "scripts/postgres {arguments:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn command(arguments: &[&str], options: &str) -> Command {
    let mut command = Command::new("scripts/postgres");
    command
        .args(arguments)
        .env("SAFELIGHT_POSTGRES_OPTIONS", options)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit());
    command
}
