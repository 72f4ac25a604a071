//! Workers: in this process, where a test can be precise, and as real processes, which can be
//! killed.

use std::process::Stdio;
use std::time::Duration;

use clap::Parser;
use safelight::app::WorkerConfig;
use safelight::config::{ProviderArgs, StorageArgs, WorkerArgs};
use safelight::providers::simulator::DEFAULT_KEY;
use safelight::worker::{self, Rhythm, Settings, Shutdown, Until};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::Stage;

/// Ten times as fast as production, in the same proportions.
pub(crate) const QUICK: Rhythm = Rhythm {
    renew_every: Duration::from_millis(500),
    stale_after: Duration::from_secs(3),
    watch_every: Duration::from_millis(100),
    touch_every: Duration::from_secs(3),
    sweep_every: Duration::from_millis(500),
};

#[derive(Debug, Parser)]
struct WorkerArguments {
    #[command(flatten)]
    provider: ProviderArgs,
    #[command(flatten)]
    storage: StorageArgs,
    #[command(flatten)]
    worker: WorkerArgs,
}

/// A worker in this process.
pub(crate) struct InProcess {
    pub(crate) shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl InProcess {
    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(self) {
        self.shutdown.stop.cancel();
        self.task.await.unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) {
        self.task.await.unwrap();
    }

    /// Ends it as kill -9 would: no statement more, no goodbye.
    pub(crate) fn kill(self) {
        self.task.abort();
    }
}

/// A worker as a process of its own.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) async fn kill_9(mut self) {
        self.child.kill().await.unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let status = std::process::Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits for its end; whether it exited with 0.
    pub(crate) async fn succeeded(mut self) -> bool {
        self.child.wait().await.unwrap().success()
    }
}

impl Stage {
    /// Starts a worker in this process that works to the quick rhythm.
    pub(crate) async fn worker(&self) -> InProcess {
        self.worker_with(|_| {}).await
    }

    pub(crate) async fn worker_with(&self, change: impl FnOnce(&mut Settings)) -> InProcess {
        self.worker_from(self.config(), change).await
    }

    pub(crate) async fn worker_from(
        &self,
        config: WorkerConfig,
        change: impl FnOnce(&mut Settings),
    ) -> InProcess {
        let mut settings = config.settings(Until::Stopped);
        settings.rhythm = QUICK;
        change(&mut settings);
        let tools = config.tools(self.db().await).await.unwrap();
        let shutdown = Shutdown::default();
        let task = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { worker::run(tools, settings, shutdown).await.unwrap() }
        });
        InProcess { shutdown, task }
    }

    /// Works in this process until nothing is due.
    pub(crate) async fn drain(&self) {
        self.worker_with(|settings| settings.until = Until::Drained)
            .await
            .ended()
            .await;
    }

    pub(crate) fn config(&self) -> WorkerConfig {
        let arguments = WorkerArguments::parse_from(self.arguments(&["worker"]));
        WorkerConfig {
            provider: arguments.provider,
            storage: arguments.storage,
            worker: arguments.worker,
        }
    }

    /// Starts a real worker process, with the production rhythm.
    pub(crate) fn process(&self, more: &[&str]) -> Process {
        let mut arguments = self.arguments(&["worker", "--database-url", &self.url]);
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        let child = Command::new(env!("CARGO_BIN_EXE_safelight"))
            .args(arguments)
            .env("RUST_LOG", "safelight=info,warn")
            .env("LOG_FORMAT", "text")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Process { child }
    }

    fn arguments(&self, first: &[&str]) -> Vec<String> {
        let mut arguments: Vec<String> =
            first.iter().map(|&argument| argument.to_owned()).collect();
        arguments.extend([
            format!("--gemini-api-key={DEFAULT_KEY}"),
            format!("--gemini-base-url={}", self.simulator.base_url()),
            format!("--storage=local:{}", self.photos().display()),
        ]);
        arguments
    }
}
