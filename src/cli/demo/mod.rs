//! `safelight demo`: the main job with nothing configured.
//!
//! Reads as the story it tells: a private Postgres, a provider, a worker; rows inserted as an app
//! inserts them; photos, a contact sheet and a zip; then everything is stopped. What runs is in
//! [`studio`], what is asked for in [`jobs`], the rest is what a person gets to see. Nothing in
//! the product knows that there is a demo.

mod cluster;
mod jobs;
mod report;
mod run;
mod screen;
mod sheet;
mod studio;
mod zip;

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::{CommandError, output};
use crate::app::{self, StartError};
use crate::config::{self, FleetArgs, ProviderArgs};
use crate::domain::Provider;
use crate::worker::Shutdown;
use cluster::{Cluster, ClusterError};
use run::Run;
use studio::{Source, Studio};

/// Where a demo is kept that was not told.
const USUAL_FOLDER: &str = "./safelight-demo";

/// See it work, with nothing configured: rows become photos in a folder of its own
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    safelight demo                                       simulated, costs nothing\n  \
    safelight demo \"a lake at dawn [sim:500@1]\"          your prompt, and a fault on request\n  \
    safelight demo --serve                               keep worker and database running\n  \
    GEMINI_API_KEY=... safelight demo \"a red bicycle\"    real, 4 photos, billed to your key\n\n\
    Uses no database and no storage of yours, whatever is set in the environment. Run again, it goes\n\
    on in the same folder; delete the folder to forget everything.")]
pub(super) struct DemoCommand {
    /// What the photos show; with a key in the environment they come from the real provider
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    prompt: Option<String>,
    /// Keep worker and database running until Ctrl-C
    #[arg(long)]
    serve: bool,
    /// Where everything is kept
    #[arg(long, value_name = "DIR", default_value = USUAL_FOLDER)]
    dir: String,
    #[command(flatten)]
    provider: ProviderArgs,
    #[command(flatten)]
    fleet: FleetArgs,
}

impl DemoCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let interrupt = Shutdown::default();
        app::obey_signals(interrupt.clone()).map_err(StartError::Signals)?;
        let source = self.source()?;
        let folder = Folder(PathBuf::from(&self.dir));
        output::line(opening(&source, &folder))?;
        let opened = tokio::select! {
            opened = Cluster::open(folder.path()) => opened,
            // The first Ctrl-C waits: a start that is abandoned leaves its programs running.
            () = interrupt.abort.cancelled() => return Err(interrupted(&folder)),
        };
        if opened.is_err() && interrupt.stop.is_cancelled() {
            // Ctrl-C in a terminal reaches the programs of the start, too.
            return Err(interrupted(&folder));
        }
        let cluster = opened?;
        let files = cluster.files().display().to_string();
        let told = self.tell(&cluster, &folder, &source, &interrupt).await;
        let stopped = cluster.stop().await;
        told?;
        stopped?;
        output::line(farewell(&source, &files))
    }

    /// With a prompt and a key, somebody wants the real thing.
    fn source(&self) -> Result<Source, CommandError> {
        if self.prompt.is_none() || !self.provider.has_key() {
            return Ok(Source::Simulator);
        }
        // What is wrong with them is said before anything is started.
        for provider in Provider::ALL {
            self.provider.accounts(provider).map_err(StartError::from)?;
            self.provider.base_url(provider).map_err(StartError::from)?;
            self.provider.model(provider).map_err(StartError::from)?;
        }
        Ok(Source::Paid {
            provider: Box::new(self.provider.clone()),
            fleet: self.fleet.clone(),
        })
    }

    /// The story, on a database that is there. However it ends, the worker is stopped, and what
    /// came of it is on the sheet.
    async fn tell(
        &self,
        cluster: &Cluster,
        folder: &Folder,
        source: &Source,
        interrupt: &Shutdown,
    ) -> Result<(), CommandError> {
        let (database, photos) = (cluster.url(), folder.photos());
        let studio = Studio::open(&database, &photos, source, interrupt).await?;
        let mut run = Run::new(studio, folder);
        // Biased: a worker that ends because of Ctrl-C must not be taken for one that failed.
        let told = tokio::select! {
            biased;
            () = interrupt.stop.cancelled() => Err(interrupted(folder)),
            told = run.tell(self.prompt.as_deref()) => told,
        };
        let told = match told {
            Ok(()) if self.serve => tokio::select! {
                biased;
                () = interrupt.stop.cancelled() => Ok(()),
                served = run.serve(&database, source) => served,
            },
            told => told,
        };
        let ended = run.end(source).await;
        told.and(ended)
    }
}

/// The folder of the demo, as it was named.
struct Folder(PathBuf);

impl Folder {
    fn path(&self) -> &Path {
        &self.0
    }

    fn photos(&self) -> String {
        format!("{}/photos", self.0.display())
    }

    fn sheet(&self) -> PathBuf {
        self.0.join("index.html")
    }

    fn zip(&self) -> PathBuf {
        self.0.join("photos.zip")
    }

    /// What to type for another run here.
    fn command(&self, flag: &str) -> String {
        let folder = self.0.display();
        if self.0 == Path::new(USUAL_FOLDER) {
            format!("safelight demo {flag}")
        } else {
            format!("safelight demo {flag} --dir {folder}")
        }
    }

    /// The sheet's address for a browser.
    fn sheet_url(&self) -> String {
        let absolute = std::path::absolute(self.sheet()).ok();
        let url = absolute.and_then(|path| url::Url::from_file_path(path).ok());
        url.map_or_else(|| self.sheet().display().to_string(), String::from)
    }
}

impl From<ClusterError> for CommandError {
    fn from(error: ClusterError) -> Self {
        Self::Failed(error.to_string())
    }
}

fn interrupted(folder: &Folder) -> CommandError {
    CommandError::Failed(format!(
        "interrupted; worker and database are stopped, what there is stays in {}",
        folder.path().display()
    ))
}

fn opening(source: &Source, folder: &Folder) -> String {
    let provider = match source {
        Source::Simulator => "the built-in provider simulator: it draws, and costs nothing",
        Source::Paid { .. } => "the real provider: 4 photos, billed to your API key",
    };
    format!(
        "Starting a private Postgres, a worker, and {provider}.
Everything stays in {}; nothing else of yours is touched.
",
        folder.path().display()
    )
}

/// Last of all what to type next.
fn farewell(source: &Source, files: &str) -> String {
    let program = config::program();
    let here = if program == "safelight" {
        String::new()
    } else {
        format!(" (safelight is {program} here)")
    };
    match source {
        Source::Simulator => format!(
            "
The worker and the database are stopped; the database stays in {files}.
Next, the real thing, 4 photos billed to your key{here}:
GEMINI_API_KEY=... safelight demo \"a red bicycle\""
        ),
        Source::Paid { .. } => format!(
            "
The worker and the database are stopped; the database stays in {files}.
Next, the same on a database of your own{here}:
DATABASE_URL=postgres://... safelight migrate && DATABASE_URL=postgres://... GEMINI_API_KEY=... safelight worker"
        ),
    }
}
