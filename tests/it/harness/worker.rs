//! Workers: in this process, where a test can be precise, and as real processes, which can be
//! killed.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use clap::Parser;
use safelight::app::WorkerConfig;
use safelight::config::{FleetArgs, ProviderArgs, StorageArgs, WebhookArgs, WorkerArgs};
use safelight::domain::Provider;
use safelight::providers::simulator::DEFAULT_KEY;
use safelight::worker::{self, Rhythm, Settings, Shutdown, Until};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{PATIENCE, Stage};

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
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    webhook: WebhookArgs,
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

    /// The same, and waits until nothing of it is left.
    pub(crate) async fn killed(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// A worker as a process of its own; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    log: watch::Receiver<Vec<String>>,
}

impl Process {
    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (said, log) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("{line}");
                said.send_modify(|log| log.push(line));
            }
        });
        Self { child, log }
    }

    /// Waits until it has logged a line that contains `text`.
    pub(crate) async fn said(&self, text: &str) {
        let mut log = self.log.clone();
        let waiting = log.wait_for(|lines| lines.iter().any(|line| line.contains(text)));
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Ok(_)) => {}
            ended => panic!("a worker never said {text:?}: {:?}", ended.map(drop)),
        }
    }

    /// Where it listens, as it logs it.
    pub(crate) async fn url(&self) -> String {
        self.said("listening").await;
        let log = self.log.borrow();
        let line = log.iter().find(|line| line.contains("listening")).unwrap();
        let (_, address) = line.split_once("address=").unwrap();
        let address = address.split_whitespace().next().unwrap();
        format!("http://{}", address.trim_matches('"'))
    }

    /// All that it has logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    /// So far it has not logged a line that contains `text`.
    pub(crate) fn said_nothing_of(&self, text: &str) {
        for line in self.log.borrow().iter() {
            assert!(!line.contains(text), "{line}");
        }
    }

    /// What it has logged so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

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

    /// Sends a signal and waits for the end.
    pub(crate) async fn exit_code_after(self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.exit_code().await
    }

    /// Waits for its end; its exit code, `None` when a signal ended it.
    pub(crate) async fn exit_code(mut self) -> Option<i32> {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait());
        ended.await.expect("a worker did not end").unwrap().code()
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

    /// The same with a key of this provider and of no other.
    pub(crate) async fn worker_of(
        &self,
        provider: Provider,
        change: impl FnOnce(&mut Settings),
    ) -> InProcess {
        self.worker_from(self.config_of(provider), change).await
    }

    /// Works in this process until nothing is due.
    pub(crate) async fn drain(&self) {
        self.drain_of(Provider::Gemini).await;
    }

    /// The same with a key of this provider and of no other.
    pub(crate) async fn drain_of(&self, provider: Provider) {
        let worker = self.worker_of(provider, |settings| settings.until = Until::Drained);
        worker.await.ended().await;
    }

    pub(crate) fn config(&self) -> WorkerConfig {
        self.config_of(Provider::Gemini)
    }

    /// With a key of this provider and of no other.
    pub(crate) fn config_of(&self, provider: Provider) -> WorkerConfig {
        let mut arguments = vec!["worker".to_owned()];
        arguments.extend(self.key_of(provider));
        arguments.extend(self.storage());
        let mut arguments = WorkerArguments::parse_from(arguments);
        arguments.worker.spool_dir = self.spool("usual");
        WorkerConfig {
            provider: arguments.provider,
            storage: arguments.storage,
            worker: arguments.worker,
            fleet: arguments.fleet,
            webhook: arguments.webhook,
        }
    }

    /// Starts a real worker process, with the production rhythm.
    pub(crate) fn process(&self, more: &[&str]) -> Process {
        self.process_at(&self.url, more)
    }

    /// The same, by another address of the database.
    pub(crate) fn process_at(&self, url: &str, more: &[&str]) -> Process {
        self.process_that_logs("text", url, more)
    }

    /// The same, with a log for programs.
    pub(crate) fn process_with_json_log(&self, more: &[&str]) -> Process {
        self.process_that_logs("json", &self.url, more)
    }

    /// Worker and HTTP in one process, at a free address.
    pub(crate) fn run(&self, more: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
        command
            .args(self.arguments(&["run", "--bind=127.0.0.1:0", "--database-url", &self.url]))
            .args(more)
            .env("SPOOL_DIR", self.spool("usual"))
            .env("RUST_LOG", "safelight=info,warn")
            .env("LOG_FORMAT", "text");
        Process::spawn(command)
    }

    /// HTTP alone, as a process.
    pub(crate) fn http(&self, more: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
        command
            .args(["serve", "--database-url", &self.url])
            .args(self.storage())
            .args(more)
            .env("RUST_LOG", "safelight=info,warn")
            .env("LOG_FORMAT", "text");
        Process::spawn(command)
    }

    fn process_that_logs(&self, format: &str, url: &str, more: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
        command
            .args(self.arguments(&["worker", "--database-url", url]))
            .args(more)
            .env("SPOOL_DIR", self.spool("usual"))
            .env("RUST_LOG", "safelight=info,warn")
            .env("LOG_FORMAT", format);
        Process::spawn(command)
    }

    /// The spool of a machine of this name.
    pub(crate) fn spool(&self, machine: &str) -> PathBuf {
        self.spools.path().join(machine)
    }

    fn arguments(&self, first: &[&str]) -> Vec<String> {
        let mut arguments: Vec<String> =
            first.iter().map(|&argument| argument.to_owned()).collect();
        arguments.extend(self.key_of(Provider::Gemini));
        arguments.extend(self.storage());
        arguments
    }

    /// What makes a worker of the simulator's account at a provider.
    fn key_of(&self, provider: Provider) -> [String; 2] {
        let name = provider.as_str();
        [
            format!("--{name}-api-key={DEFAULT_KEY}"),
            format!("--{name}-base-url={}", self.simulator.base_url()),
        ]
    }
}
