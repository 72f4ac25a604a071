//! Where pictures wait that are paid for, while the storage takes none.
//!
//! A directory of this machine, made when it is first needed, which several workers may share. Its files
//! have the names that their objects will have, below tenant and job, and are written as those of local
//! storage are: whole or not at all. In it lies an id, by which the ledger names it. What is kept here is
//! in the ledger as bought; whose it is and what becomes of it is for `worker::spool`.
//!
//! How much it holds bounds what is *begun*: a call of which the picture might find no room is not made,
//! and not claimed for. A picture that is paid for is taken all the same, as long as the disk takes it.

mod files;
mod room;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::storage::{Local, ObjectKey, ObjectPrefix, Storage, StorageError};
pub use files::File;
use room::Room;
pub use room::{Ahead, Contents, Counted, Stopped};

/// A folder may go, being empty, while a file is put into it: then it is made once more.
const PUT_TRIES: usize = 3;

/// A directory for pictures that wait for the storage. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Spool {
    directory: Arc<Path>,
    files: Storage,
    room: Arc<Room>,
    /// Rings when there is something to look after.
    told: Arc<Notify>,
}

/// A look into the directory.
#[derive(Clone, Copy, Debug)]
pub struct Look(u64);

impl Spool {
    /// Touches nothing. From `limit` bytes on, no call is begun.
    pub fn new(directory: impl Into<PathBuf>, limit: u64) -> Self {
        let directory: PathBuf = directory.into();
        Self {
            files: Storage::Local(Local::new(directory.clone())),
            directory: directory.into(),
            room: Arc::new(Room::new(limit)),
            told: Arc::default(),
        }
    }

    /// The name under which the ledger knows it; the first who asks makes it.
    pub async fn id(&self) -> Result<Uuid, StorageError> {
        let directory = self.directory.clone();
        files::blocking(move || files::id(&directory)).await
    }

    /// The same, if it was ever needed.
    pub async fn known_id(&self) -> Result<Option<Uuid>, StorageError> {
        let directory = self.directory.clone();
        files::blocking(move || files::known_id(&directory)).await
    }

    /// Keeps a picture, durably once this returns, which is the name of this spool.
    pub async fn keep(&self, key: &ObjectKey, bytes: Bytes) -> Result<Uuid, StorageError> {
        let size = bytes.len() as u64;
        let kept = self.put(key, bytes).await;
        match &kept {
            Ok(_) => self.room.kept(size),
            Err(error) => self.room.refuses(error),
        }
        self.told.notify_one();
        kept
    }

    async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<Uuid, StorageError> {
        // Before the file: one that the ledger cannot name is lost.
        let id = self.id().await?;
        let mut tries = 1;
        loop {
            match self.files.put(key, bytes.clone()).await {
                Err(_) if tries < PUT_TRIES => tries += 1,
                put => return put.map(|()| id),
            }
        }
    }

    /// What lies in it, the oldest first, and when that was, for [`Spool::counted`].
    pub async fn files(&self) -> Result<(Vec<File>, Look), StorageError> {
        let look = Look(self.room.kept_so_far());
        let directory = self.directory.clone();
        let files = files::blocking(move || files::all(&directory)).await?;
        Ok((files, look))
    }

    /// What was found in it of pictures that wait; `None`: it could not be looked into.
    pub fn counted(&self, look: Option<Look>, now: Counted) {
        let since = look.map_or_else(|| self.room.kept_so_far(), |look| look.0);
        self.room.counted(since, now);
    }

    /// The picture of a call, if it waits here.
    pub async fn find(&self, prefix: &ObjectPrefix) -> Result<Option<ObjectKey>, StorageError> {
        self.files.find(prefix).await
    }

    pub async fn get(&self, key: &ObjectKey) -> Result<Bytes, StorageError> {
        self.files.get(key).await.map(Bytes::from)
    }

    /// A picture is in the storage now, or nobody wants it any more.
    pub async fn remove(&self, file: &File) -> Result<(), StorageError> {
        self.files.delete(std::slice::from_ref(&file.key)).await?;
        self.room.removed(file.bytes);
        let (directory, key) = (self.directory.clone(), file.key.clone());
        files::blocking(move || {
            files::remove_empty_folders(&directory, &key);
            Ok(())
        })
        .await
    }

    /// Whether it takes anything at all at this moment.
    pub async fn try_out(&self) -> bool {
        let works = self.files.probe().await.is_ok();
        if works {
            self.room.takes_again();
        }
        works
    }

    pub fn contents(&self) -> Contents {
        self.room.contents()
    }

    /// The storage did not take a picture: until it is known to work again, none is offered to it but by
    /// whoever empties the spool.
    pub fn storage_failed(&self, error: &StorageError) {
        if self.room.storage_failed(error) {
            tracing::warn!(%error, "the storage takes no photos; what is bought waits in the spool until it does");
        }
        self.told.notify_one();
    }

    pub fn storage_works(&self) {
        if self.room.storage_works() {
            tracing::info!("the storage takes photos again");
        }
    }

    /// Whether a picture is better kept at once.
    pub fn storage_is_away(&self) -> bool {
        self.room.storage_is_away()
    }

    /// Why no call may begin.
    pub fn stops(&self) -> Option<Stopped> {
        self.room.stops()
    }

    /// Leave to begin a call, which may bring a picture: until what this returns is dropped. `None`: there
    /// may be no room for it.
    pub fn ahead(&self) -> Option<Ahead> {
        self.room.ahead()
    }

    /// There is something to look after.
    pub fn tell(&self) {
        self.told.notify_one();
    }

    /// Waits until there is something to look after.
    pub async fn told(&self) {
        self.told.notified().await;
    }
}

#[cfg(test)]
mod tests;
