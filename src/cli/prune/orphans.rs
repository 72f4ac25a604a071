//! Objects in the storage that no row knows: what a call has stored whose worker died at the wrong moment,
//! or what was left when rows were deleted by hand.
//!
//! Each is asked for twice: when it is listed, and again before it is removed.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Serialize;

use super::PruneCommand;
use crate::app::{self, StartError};
use crate::cli::progress::Progress;
use crate::cli::words::{count, one_line, size};
use crate::cli::{CommandError, ask, output};
use crate::db::prune::{self, Photo};
use crate::db::uploads::Upload;
use crate::db::{Db, DbError};
use crate::storage::{Listed, ObjectKey, Origin, Storage, StorageError};

/// A younger one may be of a call whose end is not written yet, or of an upload that is under way; and
/// clocks of storages may differ by hours.
const OLD: Duration = Duration::from_hours(24);
/// Objects that the database is asked about, and the storage told to remove, in one go.
const AT_ONCE: usize = 500;
/// Those that are shown by name.
const SHOWN: usize = 10;

pub(super) async fn run(command: &PruneCommand) -> Result<(), CommandError> {
    let db = app::connect_checked(&command.database).await?;
    let storage = app::open_storage(&command.storage).await?;
    let found = find(&db, &storage).await?;
    let mut removed = 0;
    if command.delete && !found.orphans.is_empty() {
        let question = format!(
            "{} to be removed from the storage, {}.",
            count(found.orphans.len(), "orphaned object"),
            size(found.bytes())
        );
        ask::confirm(&question, command.yes.into())?;
        removed = remove(&db, &storage, &found.orphans).await?;
    }
    if command.json {
        return output::json(&Report {
            orphans: &found.orphans,
            bytes: found.bytes(),
            listed: found.listed,
            young: found.young,
            not_ours: found.not_ours,
            removed,
        });
    }
    for line in found.lines() {
        output::line(line)?;
    }
    match (command.delete, found.orphans.is_empty()) {
        (_, true) => Ok(()),
        (true, false) => output::line(format!("{} removed.", count(removed, "object"))),
        (false, false) => output::line("To remove them: safelight prune --orphans --delete"),
    }
}

/// What a listing has brought.
#[derive(Debug, Default)]
struct Found {
    orphans: Vec<Orphan>,
    listed: usize,
    young: usize,
    not_ours: usize,
}

#[derive(Clone, Debug, Serialize)]
struct Orphan {
    key: String,
    bytes: u64,
    #[serde(skip)]
    object: Object,
}

/// A name of ours, and what it says.
#[derive(Clone, Debug)]
struct Object {
    key: ObjectKey,
    origin: Origin,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    orphans: &'a [Orphan],
    bytes: i64,
    listed: usize,
    young: usize,
    not_ours: usize,
    removed: usize,
}

async fn find(db: &Db, storage: &Storage) -> Result<Found, CommandError> {
    let mut found = Found::default();
    let mut progress = Progress::without_end("objects");
    let mut listed = storage.list().chunks(AT_ONCE);
    while let Some(chunk) = listed.next().await {
        progress.add(chunk.len());
        let chunk: Result<Vec<Listed>, StorageError> = chunk.into_iter().collect();
        let asked: Vec<Orphan> = chunk
            .map_err(StartError::from)?
            .into_iter()
            .filter_map(|listed| found.sort(listed))
            .collect();
        found.orphans.extend(unknown(db, asked).await?);
    }
    Ok(found)
}

impl Found {
    /// Counts it; one that the database is to be asked about comes back.
    fn sort(&mut self, listed: Listed) -> Option<Orphan> {
        self.listed += 1;
        let object = ObjectKey::parse(&listed.name)
            .ok()
            .and_then(|key| Some((key.origin()?, key)));
        let Some((origin, key)) = object else {
            self.not_ours += 1;
            return None;
        };
        // One of the future counts as young: clocks differ.
        if listed.modified.elapsed().is_ok_and(|age| age >= OLD) {
            return Some(Orphan {
                key: listed.name,
                bytes: listed.bytes,
                object: Object { key, origin },
            });
        }
        self.young += 1;
        None
    }

    fn bytes(&self) -> i64 {
        let bytes: u64 = self.orphans.iter().map(|orphan| orphan.bytes).sum();
        i64::try_from(bytes).unwrap_or(i64::MAX)
    }

    fn lines(&self) -> Vec<String> {
        let listed = count(self.listed, "object");
        let mut lines = if self.orphans.is_empty() {
            vec![format!("No orphan among {listed}.")]
        } else {
            vec![format!(
                "{} among {listed}, {}: no row knows them.",
                count(self.orphans.len(), "orphan"),
                size(self.bytes())
            )]
        };
        for orphan in self.orphans.iter().take(SHOWN) {
            let bytes = i64::try_from(orphan.bytes).unwrap_or(i64::MAX);
            lines.push(format!("  {}  {}", one_line(&orphan.key), size(bytes)));
        }
        if self.orphans.len() > SHOWN {
            lines.push(format!("  and {} more", self.orphans.len() - SHOWN));
        }
        if self.young + self.not_ours > 0 {
            lines.push(format!(
                "Left out: {} younger than a day, {} not named as safelight names them.",
                self.young, self.not_ours
            ));
        }
        lines
    }
}

/// Those that no row knows.
async fn unknown(db: &Db, asked: Vec<Orphan>) -> Result<Vec<Orphan>, DbError> {
    let mut photos = Vec::new();
    let mut garments = (Vec::new(), Vec::new());
    let mut uploads = Vec::new();
    for orphan in &asked {
        match &orphan.object.origin {
            Origin::Garment { call_id } => {
                garments.0.push(orphan.key.clone());
                garments.1.push(*call_id);
            }
            Origin::Generated { job_id, call_id } => photos.push(Photo {
                key: orphan.key.clone(),
                job_id: *job_id,
                call_id: *call_id,
            }),
            Origin::Upload { tenant, name } => uploads.push(upload(tenant, name)),
        }
    }
    let photos = match photos.as_slice() {
        [] => HashSet::new(),
        photos => prune::unknown_photos(db, photos).await?,
    };
    let garments = match garments.0.as_slice() {
        [] => HashSet::new(),
        keys => prune::unknown_garments(db, keys, &garments.1).await?,
    };
    let uploads = match uploads.as_slice() {
        [] => HashSet::new(),
        uploads => prune::unknown_uploads(db, uploads).await?,
    };
    let is_unknown = |orphan: &Orphan| match &orphan.object.origin {
        Origin::Generated { .. } => photos.contains(&orphan.key),
        Origin::Garment { .. } => garments.contains(&orphan.key),
        Origin::Upload { tenant, name } => uploads.contains(&upload(tenant, name)),
    };
    Ok(asked.into_iter().filter(is_unknown).collect())
}

fn upload(tenant: &crate::domain::Tenant, name: &str) -> Upload {
    Upload {
        tenant: tenant.clone(),
        name: name.to_owned(),
    }
}

async fn remove(db: &Db, storage: &Storage, orphans: &[Orphan]) -> Result<usize, CommandError> {
    let mut removed = 0;
    let mut progress = Progress::of(orphans.len(), "objects");
    for orphans in orphans.chunks(AT_ONCE) {
        let still = unknown(db, orphans.to_vec()).await?;
        let mut photos = Vec::new();
        for orphan in &still {
            match orphan.object.origin {
                Origin::Generated { .. } | Origin::Garment { .. } => {
                    photos.push(orphan.object.key.clone());
                }
                // The same picture has the same name: it may come again at this moment, and stays then.
                Origin::Upload { .. } => storage
                    .delete_older(&orphan.object.key, OLD)
                    .await
                    .map_err(StartError::from)?,
            }
        }
        storage.delete(&photos).await.map_err(StartError::from)?;
        removed += still.len();
        progress.add(orphans.len());
    }
    Ok(removed)
}
