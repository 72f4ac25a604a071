//! Stores what waits in the spool of this machine, and says what waits there.
//!
//! A picture in the spool belongs to no lease: its call's row, `calling` and with the spool's name, is the
//! right to settle it, once. So several workers may look after one directory, and the job may be with
//! anybody, or gone. The order is that of [`super::call`]: the object, then the ledger, then the file goes.
//! Files that a dead worker left before it could say so are said here. A file whose call the ledger does
//! not know belongs to a worker of another database, and is left alone.

mod store;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::Context;
use super::settle::SettleError;
use crate::db::ledger::{self, InSpool, OrphanedCall};
use crate::db::spools::{self, Contents};
use crate::db::{DbError, persist};
use crate::domain::ImageState;
use crate::domain::failure::Usage;
use crate::pipeline::publish::Place;
use crate::pipeline::spool::{Counted, File, Stopped};
use crate::storage::StorageError;
pub(super) use store::bring_forward;
use store::{Ended, store};

/// While pictures wait, the storage is tried this often.
const EVERY: Duration = Duration::from_secs(2);
/// While none waits: what another worker of this machine left is found this soon.
const IDLE: Duration = Duration::from_secs(10);
/// Pictures that are kept one after the other are looked at together.
const BREATH: Duration = Duration::from_millis(200);
/// Pictures that are stored at a time.
const AT_ONCE: usize = 4;
/// Then it is said anew what waits.
const ROUND: Duration = Duration::from_secs(5);
/// A round that takes longer is on a dead connection, or waits for a storage that does not answer.
const ROUND_TIMEOUT: Duration = Duration::from_mins(2);
/// A picture that the storage did not take although it works is tried again after this long.
const REFUSED_AGAIN: Duration = Duration::from_mins(1);

/// Looks after the spool until it is aborted.
pub(super) async fn look_after(context: Arc<Context>) {
    let spool = &context.tools.spool;
    let mut clerk = Clerk::default();
    loop {
        let pause = match timeout(ROUND_TIMEOUT, clerk.round(&context)).await {
            Ok(Ok(())) if spool.contents().is_at_rest() => IDLE,
            // Cut off, each picture is stored by itself: it goes on from there.
            Ok(Ok(())) | Err(_) => EVERY,
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not look after the spool, trying again");
                EVERY
            }
        };
        clerk.tell(&context);
        tokio::select! {
            () = sleep(pause) => {}
            () = spool.told() => sleep(BREATH).await,
        }
    }
}

/// A worker ends: what waits is stored by the next one.
pub(super) async fn leave(context: &Context) -> Result<(), DbError> {
    let contents = context.tools.spool.contents();
    if contents.photos > 0 {
        tracing::warn!(
            photos = contents.photos,
            "photos stay in the spool; the next worker with this SPOOL_DIR stores them"
        );
    } else if contents.is_empty()
        && let Ok(Some(id)) = context.tools.spool.known_id().await
    {
        spools::emptied(context.db(), id).await?;
    }
    Ok(())
}

/// Whether the picture of a call of a dead worker lies in the spool of this machine; then the ledger says so.
pub(super) async fn has(context: &Context, place: Place<'_>) -> Result<bool, SettleError> {
    let spool = &context.tools.spool;
    let found = async {
        match spool.find(&place.prefix()).await? {
            Some(_) => spool.id().await.map(Some),
            None => Ok(None),
        }
    };
    let found = found
        .await
        .map_err(|error| SettleError::Storage(error.into()))?;
    match found {
        Some(id) => {
            spool.tell();
            Ok(say(context, place.call, id).await?)
        }
        None => Ok(false),
    }
}

/// Says for a call of somebody else that its picture lies here.
async fn say(context: &Context, call: Uuid, spool: Uuid) -> Result<bool, DbError> {
    let (db, name) = (context.db(), context.name());
    persist(|| ledger::spooled(db, call, spool, &name, Usage::default(), None)).await
}

/// What is remembered from round to round.
#[derive(Default)]
struct Clerk {
    /// Nothing waits, and the table says so.
    is_told_empty: bool,
    strangers: usize,
    /// Pictures that a storage which works did not take.
    refused: HashMap<Uuid, Instant>,
    stopped: Option<Stopped>,
}

impl Clerk {
    async fn round(&mut self, context: &Context) -> Result<(), SpoolError> {
        let spool = &context.tools.spool;
        let (files, look) = match spool.files().await {
            Ok(found) => found,
            Err(error) => {
                // What cannot be read is none of ours to wait for.
                spool.counted(None, Counted::default());
                return Err(error.into());
            }
        };
        let mut waiting = self.sort(context, files).await?;
        let sizes = waiting.iter().map(|(file, _)| file.bytes);
        spool.counted(
            Some(look),
            Counted {
                photos: waiting.len() as u64,
                bytes: sizes.clone().sum(),
                largest: sizes.max().unwrap_or(0),
            },
        );
        if waiting.is_empty() {
            return self.at_rest(context).await;
        }
        self.is_told_empty = false;
        let id = spool.id().await?;
        for (_, call) in &mut waiting {
            if call.spool != Some(id) && say(context, call.id, id).await? {
                call.spool = Some(id);
            }
        }
        tell_table(context, id).await?;
        self.store_all(context, waiting).await;
        if spool.contents().is_empty() {
            return self.at_rest(context).await;
        }
        Ok(())
    }

    /// The pictures that are to be stored, with their calls. Those that are not wanted any more go.
    async fn sort(
        &mut self,
        context: &Context,
        files: Vec<File>,
    ) -> Result<Vec<(File, OrphanedCall)>, SpoolError> {
        if files.is_empty() {
            self.strangers = 0;
            return Ok(Vec::new());
        }
        let calls: Vec<Uuid> = files.iter().map(|file| file.call).collect();
        let mut known = ledger::in_spool(context.db(), &calls).await?;
        let (mut waiting, mut strangers) = (Vec::new(), 0);
        for file in files {
            match known.remove(&file.call) {
                Some(InSpool::Waiting(call)) => waiting.push((file, call)),
                Some(InSpool::Settled(state)) => {
                    if state != ImageState::Stored.as_str() {
                        tracing::warn!(call = %file.call, state,
                            "a photo in the spool came too late: its call was given up");
                    }
                    context.tools.spool.remove(&file).await?;
                }
                None => strangers += 1,
            }
        }
        if strangers > self.strangers {
            tracing::warn!(
                photos = strangers,
                "the spool holds photos of another database, which are left alone; \
                 give each database's workers a SPOOL_DIR of their own"
            );
        }
        self.strangers = strangers;
        Ok(waiting)
    }

    /// Nothing waits; perhaps nothing could be kept.
    async fn at_rest(&mut self, context: &Context) -> Result<(), SpoolError> {
        let spool = &context.tools.spool;
        if !self.is_told_empty {
            if let Some(id) = spool.known_id().await? {
                spools::emptied(context.db(), id).await?;
            }
            self.is_told_empty = true;
            self.refused.clear();
        }
        if spool.storage_is_away() && context.tools.storage.probe().await.is_ok() {
            spool.storage_works();
        }
        if spool.contents().broken.is_some() {
            spool.try_out().await;
        }
        Ok(())
    }

    /// The oldest first, until the storage does not work or it is time to say what waits. One goes ahead
    /// of the others while the storage is known to be away.
    async fn store_all(&mut self, context: &Context, waiting: Vec<(File, OrphanedCall)>) {
        let spool = &context.tools.spool;
        let began = Instant::now();
        self.refused
            .retain(|_, since| since.elapsed() < REFUSED_AGAIN);
        let mut rest = waiting
            .iter()
            .filter(|(file, _)| !self.refused.contains_key(&file.call))
            .collect::<Vec<_>>()
            .into_iter()
            .peekable();
        while rest.peek().is_some() && began.elapsed() < ROUND {
            let at_once = if spool.storage_is_away() { 1 } else { AT_ONCE };
            let some: Vec<_> = rest.by_ref().take(at_once).collect();
            let ended = join_all(some.iter().map(|(file, call)| store(context, file, call))).await;
            let (mut away, mut took) = (None, false);
            for ((file, _), ended) in some.into_iter().zip(ended) {
                match ended {
                    Ended::Stored => took = true,
                    Ended::Left => {}
                    Ended::NotTaken(error) => {
                        self.refused.insert(file.call, Instant::now());
                        away = Some(error);
                    }
                }
            }
            if let Some(error) = away {
                if context.tools.storage.probe().await.is_err() {
                    spool.storage_failed(&error);
                    self.refused.clear();
                    return;
                }
                tracing::warn!(%error, "the storage works, and does not take a photo of the spool");
                spool.storage_works();
            } else if took {
                spool.storage_works();
            }
        }
    }

    /// When claiming stops and when it goes on, once each.
    fn tell(&mut self, context: &Context) {
        let contents = context.tools.spool.contents();
        let stopped = context.tools.spool.stops();
        if self.stopped == stopped {
            return;
        }
        let (photos, bytes) = (contents.photos, contents.bytes);
        if let Some(why) = &stopped {
            let storage = contents.storage.as_deref();
            tracing::warn!(%why, photos, bytes, storage, "claiming stopped");
        } else {
            tracing::info!(photos, bytes, "claiming goes on");
            context.tools.presence.bell.ring();
        }
        self.stopped = stopped;
    }
}

/// Why a round broke off.
#[derive(Debug, thiserror::Error)]
enum SpoolError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error("SPOOL_DIR: {0}")]
    Directory(#[from] StorageError),
}

/// For everybody else, what waits here.
async fn tell_table(context: &Context, id: Uuid) -> Result<(), DbError> {
    let contents = context.tools.spool.contents();
    let now = Contents {
        photos: i32::try_from(contents.photos).unwrap_or(i32::MAX),
        bytes: i64::try_from(contents.bytes).unwrap_or(i64::MAX),
        full: context.tools.spool.stops().is_some(),
        error: contents.storage,
    };
    spools::renew(context.db(), id, &context.name(), &now).await
}
