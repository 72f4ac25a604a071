//! One picture on its way into a file.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use sha2::{Digest as _, Sha256};

use super::Wanted;
use crate::domain::hex;
use crate::storage::{Storage, StorageError};

/// Bytes that are read at a time.
const PIECE: usize = 64 * 1024;

/// How a picture came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Got {
    Saved,
    WasThere,
}

/// Why it is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum SaveError {
    #[error("{0}")]
    Storage(#[from] StorageError),
    #[error("cannot be written: {0}")]
    File(#[from] io::Error),
    #[error("what the storage has is not what was stored there")]
    Altered,
    #[error("another file of that name is there; move it away")]
    AnotherIsThere,
    #[error("was given up")]
    GivenUp,
}

/// Saves a picture under its name, whole.
pub(super) async fn fetch(
    storage: Storage,
    wanted: Wanted,
    path: PathBuf,
    bar: ProgressBar,
) -> Result<Got, SaveError> {
    let work = move || save(&storage, &wanted, &path, &bar);
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or(Err(SaveError::GivenUp))
}

fn save(
    storage: &Storage,
    wanted: &Wanted,
    path: &Path,
    bar: &ProgressBar,
) -> Result<Got, SaveError> {
    match File::open(path) {
        Ok(there) => {
            let same = copy(there, io::sink(), &ProgressBar::hidden())? == wanted.sha256;
            bar.inc(wanted.bytes);
            return if same {
                Ok(Got::WasThere)
            } else {
                Err(SaveError::AnotherIsThere)
            };
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = folder.join(format!(".{name}.{}.part", std::process::id()));
    let written = write(storage, wanted, &unfinished, bar);
    let named = written.and_then(|()| Ok(fs::rename(&unfinished, path)?));
    if named.is_err() {
        // What cannot be removed is hidden.
        let _ = fs::remove_file(&unfinished);
    }
    named.map(|()| Got::Saved)
}

fn write(
    storage: &Storage,
    wanted: &Wanted,
    path: &Path,
    bar: &ProgressBar,
) -> Result<(), SaveError> {
    let object = storage.open(&wanted.key)?;
    let mut file = File::create(path)?;
    if copy(object, &mut file, bar)? != wanted.sha256 {
        return Err(SaveError::Altered);
    }
    Ok(file.sync_all()?)
}

/// Copies all there is; returns its SHA-256 in hex.
fn copy(mut from: impl Read, mut to: impl Write, bar: &ProgressBar) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece)?;
        if read == 0 {
            return Ok(hex(&digest.finalize()));
        }
        digest.update(&piece[..read]);
        to.write_all(&piece[..read])?;
        bar.inc(read as u64);
    }
}
