//! What storages that are reached over HTTP have in common: reading on where a connection broke, being
//! tried out, and how errors of connections are told.
//!
//! An object is read in constant memory, as pieces of one answer. A connection that breaks in the middle,
//! or ends before the announced length, is made anew from there; a picture that lacks its end is never
//! handed out as a whole one.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::budget::Budget;
use super::{ObjectKey, S3, StorageError, Supabase};

/// Sent with every object. Its key is never another object's, so whoever has it needs not ask again.
pub(super) const IMMUTABLE: &str = "max-age=31536000, immutable";
/// What a storage is tried out with.
const PROBE: &[u8] = b"safelight";
/// Room that is made at once for an object, whatever length its storage claims.
const ROOM: u64 = 64 * 1024 * 1024;

/// The bytes of an object as they come.
pub(super) type Chunks = BoxStream<'static, io::Result<Bytes>>;

/// An object of which the first piece is about to come.
pub(super) struct Opened {
    /// Length of the whole object, not only of what comes now.
    whole: u64,
    chunks: Chunks,
}

impl Opened {
    /// Of an answer to a request for the bytes from `from` on.
    pub(super) fn new(
        from: u64,
        content_range: Option<&str>,
        content_length: Option<u64>,
        chunks: Chunks,
    ) -> Result<Self, StorageError> {
        let whole = match from {
            0 => content_length,
            from => content_range.and_then(|range| whole_of(range, from)),
        };
        // An answer with the whole object where a part was asked for would double its beginning.
        let whole = whole.ok_or_else(|| StorageError::Unavailable {
            source: io::Error::new(io::ErrorKind::InvalidData, "it does not say what it sends"),
        })?;
        Ok(Self { whole, chunks })
    }
}

/// The length of an object, of `bytes FROM-LAST/LENGTH`.
fn whole_of(range: &str, from: u64) -> Option<u64> {
    let (part, whole) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = part.split_once('-')?;
    let whole = whole.parse().ok()?;
    (first.parse() == Ok(from)).then_some(whole)
}

/// A storage that is reached over HTTP.
#[derive(Clone, Debug)]
pub(super) enum Elsewhere {
    S3(S3),
    Supabase(Supabase),
}

impl From<&S3> for Elsewhere {
    fn from(s3: &S3) -> Self {
        Self::S3(s3.clone())
    }
}

impl From<&Supabase> for Elsewhere {
    fn from(supabase: &Supabase) -> Self {
        Self::Supabase(supabase.clone())
    }
}

impl Elsewhere {
    fn budget(&self) -> &Budget {
        match self {
            Self::S3(s3) => s3.budget(),
            Self::Supabase(supabase) => supabase.budget(),
        }
    }

    async fn stream(&self, key: &ObjectKey, from: u64) -> Result<Opened, StorageError> {
        match self {
            Self::S3(s3) => s3.stream(key, from).await,
            Self::Supabase(supabase) => supabase.stream(key, from).await,
        }
    }

    async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StorageError> {
        match self {
            Self::S3(s3) => s3.put(key, bytes).await,
            Self::Supabase(supabase) => supabase.put(key, bytes).await,
        }
    }

    async fn delete(&self, key: ObjectKey) -> Result<(), StorageError> {
        match self {
            Self::S3(s3) => s3.delete(&[key]).await,
            Self::Supabase(supabase) => supabase.delete(&[key]).await,
        }
    }

    /// Writes and removes something.
    pub(super) async fn probe(&self) -> Result<(), StorageError> {
        let key = ObjectKey::probe();
        self.put(&key, Bytes::from_static(PROBE)).await?;
        self.delete(key).await
    }

    /// The same, and it reads what it wrote.
    pub(super) async fn examine(&self) -> Result<(), StorageError> {
        let key = ObjectKey::probe();
        self.put(&key, Bytes::from_static(PROBE)).await?;
        let read = self.get(&key).await;
        self.delete(key).await?;
        if read? == PROBE {
            return Ok(());
        }
        Err(StorageError::Unavailable {
            source: io::Error::other("what was written reads back as something else"),
        })
    }

    /// The whole object, within the budget of one operation.
    pub(super) async fn get(&self, key: &ObjectKey) -> Result<Vec<u8>, StorageError> {
        let read = async {
            let mut reading = Reading::open(self.clone(), key.clone()).await?;
            let room = reading.whole.min(ROOM);
            let mut bytes = Vec::with_capacity(usize::try_from(room).unwrap_or_default());
            while let Some(piece) = reading.next().await? {
                bytes.extend_from_slice(&piece);
            }
            Ok(bytes)
        };
        let late = |_| StorageError::Unavailable {
            source: io::ErrorKind::TimedOut.into(),
        };
        timeout(self.budget().whole, read).await.map_err(late)?
    }

    /// Opens an object for reading in this thread, which may block.
    pub(super) fn open(&self, key: &ObjectKey) -> Result<Remote, StorageError> {
        let runtime = Handle::current();
        let reading = runtime.block_on(Reading::open(self.clone(), key.clone()))?;
        Ok(Remote {
            reading,
            piece: Bytes::new(),
            runtime,
        })
    }
}

/// An object while it is read.
struct Reading {
    source: Elsewhere,
    key: ObjectKey,
    /// Bytes that were read.
    at: u64,
    whole: u64,
    chunks: Chunks,
    /// How often the connection broke.
    breaks: u32,
}

impl Reading {
    async fn open(source: Elsewhere, key: ObjectKey) -> Result<Self, StorageError> {
        let Opened { whole, chunks } = source.stream(&key, 0).await?;
        Ok(Self {
            source,
            key,
            at: 0,
            whole,
            chunks,
            breaks: 0,
        })
    }

    /// The next piece; `None` when all have been read.
    async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        while self.at < self.whole {
            match self.piece().await {
                Ok(piece) => {
                    self.at += piece.len() as u64;
                    return Ok(Some(piece));
                }
                Err(source) => self.reopen(source).await?,
            }
        }
        Ok(None)
    }

    async fn piece(&mut self) -> io::Result<Bytes> {
        let next = timeout(self.source.budget().stall, self.chunks.next());
        match next.await {
            Ok(Some(Ok(piece))) if piece.len() as u64 <= self.whole - self.at => Ok(piece),
            Ok(Some(Ok(_))) => Err(io::ErrorKind::InvalidData.into()),
            Ok(Some(Err(error))) => Err(error),
            Ok(None) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Goes on from where it broke, if that may be tried again.
    async fn reopen(&mut self, source: io::Error) -> Result<(), StorageError> {
        self.breaks += 1;
        let Some(pause) = self.source.budget().again_after(self.breaks) else {
            return Err(StorageError::Unavailable { source });
        };
        tracing::debug!(key = %self.key, at = self.at, error = %source, "a download broke");
        sleep(pause).await;
        let Opened { whole, chunks } = self.source.stream(&self.key, self.at).await?;
        if whole != self.whole {
            return Err(StorageError::Unavailable {
                source: io::Error::other("the object changed while it was read"),
            });
        }
        self.chunks = chunks;
        Ok(())
    }
}

/// Reads an object piece by piece.
pub(super) enum Reader {
    File(File),
    Remote(Box<Remote>),
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Remote(remote) => remote.read(buffer),
        }
    }
}

/// An object elsewhere, in a thread that may block.
pub(super) struct Remote {
    reading: Reading,
    /// What is left of the last one.
    piece: Bytes,
    runtime: Handle,
}

impl Read for Remote {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.runtime.block_on(self.reading.next()) {
                Ok(Some(piece)) => self.piece = piece,
                Ok(None) => return Ok(0),
                Err(StorageError::Unavailable { source }) => return Err(source),
                Err(
                    error @ (StorageError::NotFound
                    | StorageError::Refused(_)
                    | StorageError::Unusable { .. }),
                ) => return Err(io::Error::other(error)),
            }
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// Whether something was written at least this long ago. What nobody knows the age of is young, and so is
/// what comes from the future: a clock is wrong.
pub(super) fn is_older(modified: Option<SystemTime>, age: Duration) -> bool {
    modified.is_some_and(|at| at.elapsed().is_ok_and(|since| since >= age))
}

/// What broke a connection: its innermost reason, which names no URL and no key, with its kind if it
/// has one.
pub(super) fn broken(error: &(dyn Error + 'static)) -> io::Error {
    let mut innermost = error;
    let mut kind = io::ErrorKind::Other;
    loop {
        if let Some(error) = innermost.downcast_ref::<io::Error>() {
            kind = error.kind();
        }
        match innermost.source() {
            Some(source) => innermost = source,
            None => return io::Error::new(kind, innermost.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
