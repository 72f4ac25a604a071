//! A directory of this machine as storage.
//!
//! A file is written under a hidden temporary name beside its place, flushed to the disk, renamed
//! over, and the folder flushed too: after a crash it is there whole or not at all. A temporary
//! file that a crash leaves behind can never be taken for an object, because no key has a part
//! that begins with a dot.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use uuid::Uuid;

use super::{Listed, ObjectKey, StorageError};

/// What a probe writes.
const PROBE: &[u8] = b"safelight";

/// Objects below one directory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Local {
    root: Arc<Path>,
}

impl Local {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into().into(),
        }
    }

    pub(super) async fn probe(&self) -> Result<(), StorageError> {
        let root = Arc::clone(&self.root);
        blocking(move || {
            create_folder(&root)?;
            let probe = temporary_in(&root);
            write_whole(&probe, PROBE)?;
            fs::remove_file(&probe)
        })
        .await
        .map_err(|source| StorageError::Unusable {
            directory: self.root.to_path_buf(),
            source,
        })
    }

    pub(super) async fn examine(&self) -> Result<(), StorageError> {
        let root = Arc::clone(&self.root);
        blocking(move || examine(&root))
            .await
            .map_err(|source| StorageError::Unusable {
                directory: self.root.to_path_buf(),
                source,
            })
    }

    pub(super) async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StorageError> {
        let path = self.path(key);
        blocking(move || put(&path, &bytes))
            .await
            .map_err(|source| StorageError::Unavailable { source })
    }

    pub(super) async fn get(&self, key: &ObjectKey) -> Result<Vec<u8>, StorageError> {
        tokio::fs::read(self.path(key)).await.map_err(unreadable)
    }

    pub(super) async fn len(&self, key: &ObjectKey) -> Result<u64, StorageError> {
        let metadata = tokio::fs::metadata(self.path(key))
            .await
            .map_err(unreadable)?;
        if metadata.is_file() {
            Ok(metadata.len())
        } else {
            Err(StorageError::NotFound)
        }
    }

    pub(super) fn open(&self, key: &ObjectKey) -> Result<File, StorageError> {
        File::open(self.path(key)).map_err(unreadable)
    }

    pub(super) async fn delete_older(
        &self,
        key: &ObjectKey,
        age: Duration,
    ) -> Result<(), StorageError> {
        let path = self.path(key);
        match blocking(move || delete_older(&path, age)).await {
            Ok(()) => Ok(()),
            Err(error) => match unreadable(error) {
                StorageError::NotFound => Ok(()),
                error @ (StorageError::Unavailable { .. }
                | StorageError::Refused(_)
                | StorageError::Unusable { .. }) => Err(error),
            },
        }
    }

    pub(super) async fn delete(&self, keys: &[ObjectKey]) -> Result<(), StorageError> {
        for key in keys {
            self.delete_older(key, Duration::ZERO).await?;
        }
        Ok(())
    }

    /// One folder after the other.
    pub(super) fn list(&self) -> BoxStream<'static, Result<Listed, StorageError>> {
        let pages = stream::try_unfold(vec![String::new()], {
            let root = Arc::clone(&self.root);
            move |mut folders| {
                let root = Arc::clone(&root);
                async move {
                    let Some(folder) = folders.pop() else {
                        return Ok(None);
                    };
                    let listed = blocking(move || list_folder(&root, &folder)).await;
                    let (objects, below) =
                        listed.map_err(|source| StorageError::Unavailable { source })?;
                    folders.extend(below);
                    Ok(Some((stream::iter(objects).map(Ok), folders)))
                }
            }
        });
        pages.try_flatten().boxed()
    }

    pub(super) fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.as_str())
    }
}

/// What an error of reading means.
fn unreadable(source: io::Error) -> StorageError {
    match source.kind() {
        // The second: a file stands where the key has a folder.
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StorageError::NotFound,
        _ => StorageError::Unavailable { source },
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    create_folder(folder)?;
    let temporary = temporary_in(folder);
    let written = write_whole(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // On a full disk what is half-written should not stay; if it must, it is hidden.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    flush_folder(folder)
}

fn delete_older(path: &Path, age: Duration) -> io::Result<()> {
    let put_at = fs::metadata(path)?.modified()?;
    // One of the future counts as young: a clock was set back.
    if put_at.elapsed().is_ok_and(|since| since >= age) {
        fs::remove_file(path)?;
        flush_folder(path.parent().unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// The objects of one folder, and the folders below it, by their names from the root on. What is hidden
/// is ours and unfinished; what vanishes meanwhile is removed.
fn list_folder(root: &Path, folder: &str) -> io::Result<(Vec<Listed>, Vec<String>)> {
    let entries = match fs::read_dir(root.join(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        entries => entries?,
    };
    let (mut objects, mut folders) = (Vec::new(), Vec::new());
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let name = match folder {
            "" => name,
            folder => format!("{folder}/{name}"),
        };
        if entry.file_type()?.is_dir() {
            folders.push(name);
        } else if let Ok(metadata) = fs::metadata(entry.path())
            && metadata.is_file()
        {
            objects.push(Listed {
                name,
                bytes: metadata.len(),
                modified: metadata.modified()?,
            });
        }
    }
    Ok((objects, folders))
}

/// As `put` and `get` do it, and then back to what was there before.
fn examine(root: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = root
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    let tried = create_folder(root).and_then(|()| {
        let probe = temporary_in(root);
        let read = write_whole(&probe, PROBE).and_then(|()| fs::read(&probe));
        let removed = fs::remove_file(&probe);
        if read? != PROBE {
            return Err(io::Error::other(
                "what was written reads back as something else",
            ));
        }
        removed
    });
    for folder in missing {
        // A worker that starts meanwhile may have put something there.
        let _ = fs::remove_dir(folder);
    }
    tried
}

fn temporary_in(folder: &Path) -> PathBuf {
    folder.join(format!(".{}.tmp", Uuid::new_v4()))
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Creates what is missing of a path, each part flushed into the folder that holds it: a file is
/// no safer than the way to it.
fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_folder(parent)?;
    match fs::create_dir(folder) {
        // Another job of the same tenant was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        other => other?,
    }
    flush_folder(parent)
}

fn flush_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
