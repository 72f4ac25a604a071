//! One run of the demo: rows go in, photos come out, and a person can follow it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use super::screen::Screen;
use super::sheet::{Moment, Sheet};
use super::studio::{Source, Studio};
use super::{Folder, jobs, report, zip};
use crate::cli::time::span;
use crate::cli::words::size;
use crate::cli::{CommandError, output};
use crate::db::demo::{self, Job, Obstacle};
use crate::domain::{JobId, Status};

/// Soon enough to feel live.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Who runs a demo waits this long, and not for a quota of tomorrow.
const PATIENCE: Duration = Duration::from_mins(1);

/// A run and what it has seen.
pub(super) struct Run<'a> {
    studio: Studio,
    folder: &'a Folder,
    sheet: Sheet,
    /// All jobs at the last look, newest first.
    jobs: Vec<Job>,
    /// Seen `rate_limited` on the way.
    rate_limited: BTreeSet<JobId>,
}

impl<'a> Run<'a> {
    pub(super) fn new(studio: Studio, folder: &'a Folder) -> Self {
        Self {
            studio,
            folder,
            sheet: Sheet::new(&folder.sheet()),
            jobs: Vec::new(),
            rate_limited: BTreeSet::new(),
        }
    }

    /// Inserts a batch and follows it to its end. An error if not one photo came.
    pub(super) async fn tell(&mut self, prompt: Option<&str>) -> Result<(), CommandError> {
        let began = Instant::now();
        let runs = demo::batches(&self.studio.db).await?;
        let wanted = prompt.map_or_else(|| jobs::of_run(runs), jobs::of_prompt);
        let batch = demo::insert(&self.studio.db, jobs::USER, &wanted).await?;
        output::line(insertion(batch, &wanted, prompt))?;
        self.look(Moment::Live).await?;
        output::line(format!(
            "The contact sheet fills while photos arrive; open it now:\n  {}\n",
            self.folder.sheet_url()
        ))?;
        self.follow(batch).await?;
        let took = began.elapsed();
        let packed = self.keep(Moment::Live).await?;
        self.report(batch, took, packed).await
    }

    /// Keeps showing what comes, until somebody has seen enough.
    pub(super) async fn serve(
        &mut self,
        database: &str,
        source: &Source,
    ) -> Result<(), CommandError> {
        output::line(invitation(database, source))?;
        let mut screen = Screen::lines_after(&self.jobs);
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look(Moment::Live).await?;
            let jobs = self.jobs.iter().rev().map(|job| job.id);
            screen.show(&self.studio.db, jobs).await?;
            self.must_work()?;
        }
    }

    /// Stops the worker and writes down what there is.
    pub(super) async fn end(mut self, source: &Source) -> Result<(), CommandError> {
        self.studio.stop_working().await;
        let kept = self.put_away(source).await;
        self.studio.close().await;
        kept
    }

    async fn put_away(&mut self, source: &Source) -> Result<(), CommandError> {
        if source.is_paid() {
            // Nobody waits for them now, and a later run must not buy them unasked.
            demo::cancel_unfinished(&self.studio.db).await?;
        }
        self.keep(Moment::Done).await?;
        Ok(())
    }

    async fn follow(&mut self, batch: i64) -> Result<(), CommandError> {
        let mut screen = Screen::new();
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look(Moment::Live).await?;
            let jobs = self.batch(batch).map(|job| job.id);
            screen.show(&self.studio.db, jobs).await?;
            if self.batch(batch).all(|job| job.status.is_final()) {
                return screen.close();
            }
            self.must_work()?;
            if let Some(obstacle) = self.studio.obstacle().await?
                && obstacle.lasts > PATIENCE
            {
                return Err(blocked(&obstacle));
            }
        }
    }

    /// Reads the tables and brings the sheet up to date.
    async fn look(&mut self, moment: Moment) -> Result<(), CommandError> {
        self.jobs = demo::look(&self.studio.db).await?;
        let limited = self.jobs.iter().filter(|job| match job.status {
            Status::RateLimited => true,
            Status::Pending
            | Status::Processing
            | Status::Completed
            | Status::Failed
            | Status::Canceled => false,
        });
        self.rate_limited.extend(limited.map(|job| job.id));
        self.sheet.write(&self.jobs, moment).map_err(|error| {
            let path = self.folder.sheet();
            CommandError::Failed(format!("{} could not be written: {error}", path.display()))
        })
    }

    /// Packs the zip, then writes the sheet that may name it.
    async fn keep(&mut self, moment: Moment) -> Result<zip::Packed, CommandError> {
        self.jobs = demo::look(&self.studio.db).await?;
        let entries = zip::entries(&self.jobs, self.folder.photos().as_ref());
        let path = self.folder.zip();
        let packing = tokio::task::spawn_blocking(move || zip::write(&path, &entries));
        let packed = packing
            .await
            .map_err(|error| CommandError::Failed(error.to_string()))?
            .map_err(|error| CommandError::Failed(error.to_string()))?;
        self.look(moment).await?;
        Ok(packed)
    }

    /// Jobs of a batch, oldest first.
    fn batch(&self, batch: i64) -> impl Iterator<Item = &Job> {
        let ours = self.jobs.iter().rev();
        ours.filter(move |job| job.batch_id == Some(batch))
    }

    /// A worker ends when it is told to, or when it could not even begin.
    fn must_work(&self) -> Result<(), CommandError> {
        if self.studio.worker.is_finished() {
            return Err(CommandError::Failed("the worker has ended".to_owned()));
        }
        Ok(())
    }

    async fn report(
        &self,
        batch: i64,
        took: Duration,
        packed: zip::Packed,
    ) -> Result<(), CommandError> {
        let jobs: Vec<Job> = self.batch(batch).cloned().collect();
        let images = || jobs.iter().flat_map(|job| &job.images);
        let photos = images().filter(|image| image.photo.is_some()).count();
        let rows = demo::queue(&self.studio.db, batch).await?;
        let happened = report::what_happened(&jobs, &self.rate_limited);
        output::line(format!(
            "
{photos} of {wanted} photos in {took}. The table, as its operator sees it:

{table}

What happened:
{happened}

Where it is:
  {sheet}
  {zip}  {total} photos, {bytes}
  {folder}/photos
  {again}  starts the database again and prints its address, for psql",
            wanted = images().count(),
            took = span(took),
            table = indented(&report::queue_table(&rows).join("\n")),
            happened = indented(&happened.join("\n")),
            sheet = self.folder.sheet().display(),
            zip = self.folder.zip().display(),
            total = packed.photos,
            bytes = size(packed.bytes),
            folder = self.folder.path().display(),
            again = self.folder.command("--serve"),
        ))?;
        if photos == 0 {
            let error = jobs.iter().find_map(|job| job.error.as_deref());
            let error = error.unwrap_or("the jobs were canceled");
            return Err(CommandError::Failed(format!("not one photo came: {error}")));
        }
        Ok(())
    }
}

fn insertion(batch: i64, wanted: &[demo::NewJob], prompt: Option<&str>) -> String {
    let sql = indented(&jobs::as_sql(batch, wanted));
    let more = match wanted.len() {
        0 | 1 => String::new(),
        all => format!("\nand {} rows more like it.", all - 1),
    };
    let trouble = match prompt {
        Some(_) => String::new(),
        None => format!(" {}\n", jobs::TROUBLE_IN_WORDS),
    };
    format!("An app inserts, in plain SQL:\n\n{sql}\n{more}{trouble}")
}

fn invitation(database: &str, source: &Source) -> String {
    let price = match source {
        Source::Simulator => "",
        Source::Paid { .. } => " Each is billed to your key.",
    };
    format!(
        "
Worker and database go on until Ctrl-C. The database:
  DATABASE_URL={database}

Insert a row and watch the sheet:{price}
  psql '{database}'
  INSERT INTO photo_generation_queue (\"basePrompt\", \"aspectRatio\") VALUES ('A winter lake', '16:9');
"
    )
}

fn blocked(obstacle: &Obstacle) -> CommandError {
    let minutes = obstacle.lasts.as_secs().div_ceil(60);
    let reason = obstacle.reason.as_deref().unwrap_or("it gave no reason");
    CommandError::Failed(format!(
        "the provider takes no calls for the next {minutes} min: {reason}"
    ))
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}
