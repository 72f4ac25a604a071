//! The directory itself: its id, and what lies in it. All of this blocks.

use std::fs::{self, DirEntry};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::storage::{ObjectKey, StorageError};

/// Holds the id. No key has a part that begins with a dot.
const ID: &str = ".id";
/// A file that is being written is younger; one that is older is what a crash has left.
const ABANDONED: Duration = Duration::from_hours(1);
/// Tenant, job, picture: nothing of ours lies deeper.
const DEPTH: usize = 3;

/// A picture that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// What its object will be called.
    pub key: ObjectKey,
    pub call: Uuid,
    pub bytes: u64,
    pub kept_at: SystemTime,
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StorageError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|source| StorageError::Unavailable { source })
}

pub(super) fn known_id(directory: &Path) -> io::Result<Option<Uuid>> {
    match fs::read_to_string(directory.join(ID)) {
        Ok(text) => Uuid::parse_str(text.trim()).map(Some).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the file .id of SPOOL_DIR holds no id; remove it",
            )
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Of several that make it at once one wins, and all read what that one wrote.
pub(super) fn id(directory: &Path) -> io::Result<Uuid> {
    if let Some(id) = known_id(directory)? {
        return Ok(id);
    }
    fs::create_dir_all(directory)?;
    let id = Uuid::new_v4();
    let draft = directory.join(format!(".{id}.tmp"));
    let made = write_whole(&draft, id.to_string().as_bytes())
        .and_then(|()| fs::hard_link(&draft, directory.join(ID)));
    let _ = fs::remove_file(&draft);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fs::File::open(directory)?.sync_all()?;
    known_id(directory)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub(super) fn all(directory: &Path) -> io::Result<Vec<File>> {
    let mut found = Vec::new();
    walk(directory, directory, DEPTH, &mut found)?;
    found.sort_by(|one, other| (one.kept_at, &one.key).cmp(&(other.kept_at, &other.key)));
    Ok(found)
}

fn walk(root: &Path, folder: &Path, depth: usize, found: &mut Vec<File>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        // Another worker has emptied it just now, or nothing was ever kept.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            remove_abandoned(&entry);
            continue;
        }
        let is_folder = match entry.file_type() {
            Ok(kind) => kind.is_dir(),
            Err(_) => continue,
        };
        if is_folder && depth > 1 {
            walk(root, &entry.path(), depth - 1, found)?;
        } else if !is_folder {
            found.extend(picture(root, &entry));
        }
    }
    Ok(())
}

/// What a crash has left of a file that was being written.
fn remove_abandoned(entry: &DirEntry) {
    let age = entry.metadata().and_then(|metadata| metadata.modified());
    let is_old = age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED));
    if is_old && entry.path().extension().is_some_and(|end| end == "tmp") {
        // If it must stay, it is hidden.
        let _ = fs::remove_file(entry.path());
    }
}

/// `None`: it is none of ours, or another worker has taken it away just now.
fn picture(root: &Path, entry: &DirEntry) -> Option<File> {
    let path = entry.path();
    let key = ObjectKey::parse(path.strip_prefix(root).ok()?.to_str()?).ok()?;
    let call = call_of(&path)?;
    let metadata = entry.metadata().ok()?;
    Some(File {
        key,
        call,
        bytes: metadata.len(),
        kept_at: metadata.modified().ok()?,
    })
}

/// A picture is called `{index}-{call}.{extension}`.
fn call_of(path: &Path) -> Option<Uuid> {
    let (_, call) = path.file_stem()?.to_str()?.split_once('-')?;
    Uuid::try_parse(call).ok()
}

/// The folders that a picture lay in, if it was their last.
pub(super) fn remove_empty_folders(root: &Path, key: &ObjectKey) {
    let path: PathBuf = root.join(key.as_str());
    for folder in path
        .ancestors()
        .skip(1)
        .take_while(|folder| *folder != root)
    {
        if fs::remove_dir(folder).is_err() {
            return;
        }
    }
}
