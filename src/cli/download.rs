//! `safelight download`: the pictures of a job or of a batch, as files in a directory.
//!
//! Each is read from the storage piece by piece, compared with the checksum of its row, and only then gets
//! its name; so what is there is whole, and who was interrupted calls again and gets the rest.

mod file;

use std::path::PathBuf;

use clap::Args;
use futures_util::{StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::words::{count, size};
use super::{CommandError, output};
use crate::app;
use crate::config::{DatabaseArgs, StorageArgs};
use crate::db::jobs::{self, JobRef};
use crate::db::{Db, batches};
use crate::domain::ImageState;
use crate::images::PictureFormat;
use crate::storage::ObjectKey;
use file::{Got, fetch};

/// Pictures that are read together: a storage elsewhere answers each after a while.
const AT_ONCE: usize = 4;

/// Save the pictures of a job or a batch as files
#[derive(Debug, Args)]
#[command(
    allow_missing_positional = true,
    after_help = "Examples:\n  \
    safelight download 12 ./photos             image-1.png, image-2.png, ...\n  \
    safelight download --batch 7 ./photos      job-1/image-1.png, ...\n  \
    safelight download 12 . --json | jq -r .file\n\n\
    It needs the storage of the workers. What is there already is left; what is there under such a name\n\
    and is something else is not overwritten."
)]
pub(super) struct DownloadCommand {
    #[command(flatten)]
    choice: Choice,
    /// Where to put them; made if it is not there
    #[arg(value_name = "DIR", required = true)]
    directory: PathBuf,
    /// One JSON object per picture
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    storage: StorageArgs,
}

/// Whose pictures.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Choice {
    /// The job, by uuid or number
    #[arg(value_name = "JOB")]
    job: Option<JobRef>,
    /// All jobs of this batch
    #[arg(long, value_name = "ID")]
    batch: Option<i64>,
}

/// A picture that is to be saved.
#[derive(Clone, Debug)]
struct Wanted {
    /// Below the directory.
    name: String,
    key: ObjectKey,
    bytes: u64,
    /// Lower-case hex.
    sha256: String,
}

/// For programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Saved<'a> {
    file: String,
    bytes: u64,
    sha256: &'a str,
    was_there: bool,
}

impl DownloadCommand {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let db = app::connect_checked(&self.database).await?;
        // Not tried out: to read, one need not be allowed to write.
        let storage = app::untried_storage(&self.storage)?;
        let (wanted, remark) = self.choice.find(&db).await?;
        db.close().await;
        let bar = self.bar(&wanted);
        let reads = wanted.iter().map(|one| {
            let (storage, bar) = (storage.clone(), bar.clone());
            let path = self.directory.join(&one.name);
            async move { (one, fetch(storage, one.clone(), path, bar).await) }
        });
        let reads: Vec<_> = reads.collect();
        let mut reads = stream::iter(reads).buffered(AT_ONCE);
        let (mut saved, mut failed) = (0, 0);
        while let Some((one, got)) = reads.next().await {
            match got {
                Ok(got) => {
                    saved += 1;
                    self.tell(one, got)?;
                }
                Err(error) => {
                    failed += 1;
                    let path = self.directory.join(&one.name);
                    bar.suspend(|| eprintln!("{}: {error}", path.display()));
                }
            }
        }
        bar.finish_and_clear();
        self.sum_up(&wanted, saved, remark)?;
        if failed == 0 {
            return Ok(());
        }
        Err(CommandError::Failed(format!(
            "{} not saved; call again to get the rest",
            count(failed, "picture")
        )))
    }

    fn bar(&self, wanted: &[Wanted]) -> ProgressBar {
        if self.json || !output::is_watched_by_a_person() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(
            "{bar:24.cyan}  {bytes}/{total_bytes}  {bytes_per_sec}  {eta}",
        );
        ProgressBar::new(wanted.iter().map(|one| one.bytes).sum()).with_style(
            style
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("━╸─"),
        )
    }

    fn tell(&self, one: &Wanted, got: Got) -> Result<(), CommandError> {
        if !self.json {
            return Ok(());
        }
        output::json(&Saved {
            file: self.directory.join(&one.name).display().to_string(),
            bytes: one.bytes,
            sha256: &one.sha256,
            was_there: matches!(got, Got::WasThere),
        })
    }

    fn sum_up(
        &self,
        wanted: &[Wanted],
        saved: usize,
        remark: Option<String>,
    ) -> Result<(), CommandError> {
        if self.json || saved == 0 {
            return Ok(());
        }
        let bytes: u64 = wanted.iter().map(|one| one.bytes).sum();
        let size = size(i64::try_from(bytes).unwrap_or(i64::MAX));
        let all = count(saved, "picture");
        output::line(format!("{all} ({size}) in {}", self.directory.display()))?;
        remark.map_or(Ok(()), output::line)
    }
}

impl Choice {
    /// The stored pictures, and what is to be said of those that are not.
    async fn find(&self, db: &Db) -> Result<(Vec<Wanted>, Option<String>), CommandError> {
        let found = match (self.job, self.batch) {
            (Some(job), _) => of_job(db, job).await?,
            (None, Some(batch)) => of_batch(db, batch).await?,
            (None, None) => return Err(CommandError::Failed("name a job or a batch".to_owned())),
        };
        if found.0.is_empty() {
            let remark = found.1.unwrap_or_default();
            return Err(CommandError::Failed(format!(
                "no picture is stored: {remark}"
            )));
        }
        Ok(found)
    }
}

async fn of_job(db: &Db, named: JobRef) -> Result<(Vec<Wanted>, Option<String>), CommandError> {
    let job = jobs::find(db, named).await?;
    let job = job.ok_or_else(|| CommandError::Failed(format!("there is no job {named}")))?;
    let images = jobs::images(db, job.id).await?;
    let stored = images
        .iter()
        .filter(|image| image.state == ImageState::Stored);
    let wanted: Vec<Wanted> = stored
        .filter_map(|image| {
            Wanted::of(
                &format!("image-{}", image.index),
                image.storage_key.as_deref()?,
                image.mime_type.as_deref()?,
                image.bytes?,
                image.sha256.as_deref()?,
            )
        })
        .collect();
    let is_all = usize::try_from(job.images_total).is_ok_and(|total| total <= wanted.len());
    let remark = format!(
        "job {} is {}, {} of {} stored",
        job.id, job.status, job.images_completed, job.images_total
    );
    Ok((wanted, (!is_all).then_some(remark)))
}

async fn of_batch(db: &Db, id: i64) -> Result<(Vec<Wanted>, Option<String>), CommandError> {
    let batch = batches::find(db, id).await?;
    let batch = batch.ok_or_else(|| CommandError::Failed(format!("there is no batch {id}")))?;
    let stored = batches::stored(db, id).await?;
    let wanted = stored.iter().filter_map(|image| {
        let name = format!("job-{}/image-{}", image.job, image.index);
        Wanted::of(
            &name,
            &image.storage_key,
            &image.mime_type,
            image.bytes,
            &image.sha256,
        )
    });
    let is_all = batch.images_completed >= batch.images_total;
    let remark = format!(
        "of batch {id} {} of {} jobs have ended, {} of {} pictures are stored",
        batch.jobs_ended, batch.jobs, batch.images_completed, batch.images_total
    );
    Ok((wanted.collect(), (!is_all).then_some(remark)))
}

impl Wanted {
    /// `None` for a row that names no object or no picture of ours, which only hands can write.
    fn of(name: &str, key: &str, mime: &str, bytes: i64, sha256: &str) -> Option<Self> {
        let extension = PictureFormat::with_mime(mime)?.extension();
        Some(Self {
            name: format!("{name}.{extension}"),
            key: ObjectKey::parse(key).ok()?,
            bytes: u64::try_from(bytes).ok()?,
            sha256: sha256.to_owned(),
        })
    }
}
