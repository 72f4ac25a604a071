//! An archive on its way to a client, in constant memory.
//!
//! A thread reads objects and writes chunks into a short queue; the answer's body takes them out. A client
//! that reads slowly stops the thread, one that takes nothing for a minute or is slower than any line is
//! given up, one that hangs up ends it at once. If a read fails in the middle, the body breaks off: the client has been told the whole
//! length, and sees that it did not get it.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::{self, JoinHandle};

use super::Entry;
use super::archive::{size, write};
use crate::api::Api;
use crate::api::error::ApiError;
use crate::storage::{ObjectKey, Storage, StorageError};

/// Archives on their way at a time in this process: each holds a thread.
const AT_ONCE: usize = 32;
/// Objects of an archive that are looked at together; each may be a request of its own.
const LOOKS: usize = 8;
/// Bytes in one chunk: few enough system calls, and nothing to wait for.
const CHUNK: usize = 64 * 1024;
/// Chunks that wait for the client.
const QUEUE: usize = 4;
/// How long a client may take nothing before it is given up.
const STALL: Duration = Duration::from_mins(1);
/// What it may take for the whole, in bytes a second, beside one such minute; as bodies may that come.
const SLOWEST: u64 = 32 * 1024;

/// How long a client is waited for. What the storage takes for itself breaks nothing off.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// For each chunk.
    stall: Duration,
    /// For all of them: who takes one a minute must not hold a thread for days.
    whole: Duration,
}

impl Patience {
    fn with(bytes: u64) -> Self {
        Self {
            stall: STALL,
            whole: STALL + Duration::from_secs(bytes / SLOWEST),
        }
    }
}

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Answers with the archive.
///
/// # Errors
/// 502 if an object is gone or has another length than was recorded: then nothing is begun.
pub(in crate::api) async fn stream(
    api: &Api,
    entries: Vec<Entry>,
    file_name: &str,
) -> Result<Response, ApiError> {
    let turn = TURNS.try_acquire().map_err(|_| ApiError::Busy)?;
    check(api.storage(), &entries).await?;
    let length = size(&entries);
    let storage = api.storage().clone();
    let open = move |key: &ObjectKey| storage.open(key).map_err(io::Error::other);
    let (chunks, thread) = produce(entries, open, Patience::with(length));
    tokio::spawn(async move {
        let _turn = turn;
        match thread.await {
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                tracing::debug!("a client hung up in the middle of a zip");
            }
            Ok(Err(error)) => tracing::warn!(%error, "a zip broke off"),
            Err(error) => tracing::error!(%error, "a zip broke off"),
            Ok(Ok(())) => {}
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{file_name}\""),
        ),
        (
            header::CACHE_CONTROL,
            "private, max-age=0, no-store".to_owned(),
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, Body::from_stream(whole(chunks, length))).into_response())
}

/// Whether all pictures are there as they were recorded.
async fn check(storage: &Storage, entries: &[Entry]) -> Result<(), StorageError> {
    // Collected first: a stream that borrows in its closure cannot be sent to another thread.
    let looks: Vec<_> = entries
        .iter()
        .map(|entry| storage.len(&entry.key))
        .collect();
    let lengths: Vec<u64> = stream::iter(looks).buffered(LOOKS).try_collect().await?;
    if entries.iter().map(|entry| entry.bytes).eq(lengths) {
        Ok(())
    } else {
        let source = io::Error::other("an object has another length than was recorded");
        Err(StorageError::Unavailable { source })
    }
}

/// Begins to write the archive; whoever drops the receiver ends it.
fn produce<R: Read>(
    entries: Vec<Entry>,
    open: impl Fn(&ObjectKey) -> io::Result<R> + Send + 'static,
    patience: Patience,
) -> (Receiver<Bytes>, JoinHandle<io::Result<()>>) {
    let (queue, chunks) = mpsc::channel(QUEUE);
    let sink = Chunks {
        begun: Vec::with_capacity(CHUNK),
        queue,
        stall: patience.stall,
        until: Instant::now() + patience.whole,
        runtime: Handle::current(),
    };
    let thread = task::spawn_blocking(move || write(sink, &entries, open)?.flush());
    (chunks, thread)
}

/// The chunks, and an error in the place of those that never came.
fn whole(chunks: Receiver<Bytes>, length: u64) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold((chunks, length), async |(mut chunks, left)| {
        match chunks.recv().await {
            Some(chunk) => {
                let left = left.saturating_sub(chunk.len() as u64);
                Some((Ok(chunk), (chunks, left)))
            }
            None if left == 0 => None,
            None => Some((Err(io::ErrorKind::UnexpectedEof.into()), (chunks, 0))),
        }
    })
}

/// Where the thread writes to.
struct Chunks {
    begun: Vec<u8>,
    queue: Sender<Bytes>,
    stall: Duration,
    until: Instant,
    runtime: Handle,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fitting = bytes.len().min(CHUNK - self.begun.len());
        self.begun.extend_from_slice(&bytes[..fitting]);
        if self.begun.len() == CHUNK {
            self.flush()?;
        }
        Ok(fitting)
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.begun, Vec::with_capacity(CHUNK));
        let left = self.until.saturating_duration_since(Instant::now());
        let sending = self.queue.send_timeout(chunk.into(), self.stall.min(left));
        self.runtime.block_on(sending).map_err(|error| match error {
            SendTimeoutError::Timeout(_) => io::ErrorKind::TimedOut.into(),
            SendTimeoutError::Closed(_) => io::ErrorKind::BrokenPipe.into(),
        })
    }
}

#[cfg(test)]
mod tests;
