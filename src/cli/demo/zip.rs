//! `photos.zip`: every photo of the sheet, named by job and image.
//!
//! Stored, not deflated, because pictures do not shrink. Written beside its place and renamed, so
//! that whoever opens it finds the old one or the new one and never half of one.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::db::demo::Job;
use crate::domain::JobId;
use crate::images::PictureFormat;

/// The longest signature of a picture format.
const SIGNATURE: usize = 12;

/// What is to be packed: a photo, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    job: JobId,
    index: i32,
    file: PathBuf,
}

/// What was packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) photos: usize,
    pub(super) bytes: i64,
}

/// Why there is no zip.
#[derive(Debug, thiserror::Error)]
pub(super) enum ZipError {
    #[error("the photo {photo} could not be packed: {1}", photo = .0.display())]
    Photo(PathBuf, #[source] io::Error),
    #[error("{zip} could not be written: {1}", zip = .0.display())]
    Zip(PathBuf, #[source] io::Error),
}

/// The stored photos of all jobs, oldest job first, in the order of their index.
pub(super) fn entries(jobs: &[Job], photos: &Path) -> Vec<Entry> {
    let mut entries: Vec<Entry> = jobs
        .iter()
        .flat_map(|job| {
            job.images.iter().filter_map(|image| {
                Some(Entry {
                    job: job.id,
                    index: image.index,
                    file: photos.join(&image.photo.as_ref()?.key),
                })
            })
        })
        .collect();
    entries.sort_by_key(|entry| (entry.job, entry.index));
    entries
}

/// Packs them into `path`. Blocks.
pub(super) fn write(path: &Path, entries: &[Entry]) -> Result<Packed, ZipError> {
    let temporary = path.with_extension("zip.tmp");
    let unwritable = |error| ZipError::Zip(path.to_owned(), error);
    let packed = File::create(&temporary)
        .map_err(unwritable)
        .and_then(|file| pack(file, path, entries))
        .and_then(|packed| {
            fs::rename(&temporary, path).map_err(unwritable)?;
            Ok(packed)
        });
    if packed.is_err() {
        // On a full disk what is half-written should not stay.
        let _ = fs::remove_file(&temporary);
    }
    packed
}

fn pack(file: File, path: &Path, entries: &[Entry]) -> Result<Packed, ZipError> {
    let unwritable = |error: io::Error| ZipError::Zip(path.to_owned(), error);
    let mut zip = ZipWriter::new(BufWriter::new(file));
    for entry in entries {
        add(&mut zip, entry).map_err(|error| ZipError::Photo(entry.file.clone(), error))?;
    }
    let file = zip.finish().map_err(|error| unwritable(error.into()))?;
    let file = file
        .into_inner()
        .map_err(|error| unwritable(error.into_error()))?;
    let length = file.metadata().map_err(unwritable)?.len();
    Ok(Packed {
        photos: entries.len(),
        // No file is longer.
        bytes: i64::try_from(length).unwrap_or(i64::MAX),
    })
}

fn add(zip: &mut ZipWriter<BufWriter<File>>, entry: &Entry) -> io::Result<()> {
    let mut photo = File::open(&entry.file)?;
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .unix_permissions(0o644);
    let name = format!(
        "job-{}/image-{}.{}",
        entry.job,
        entry.index,
        extension(&mut photo)?
    );
    zip.start_file(name, options)?;
    io::copy(&mut photo, zip)?;
    Ok(())
}

/// By what the file is. Providers declare one type and send another.
fn extension(photo: &mut File) -> io::Result<&'static str> {
    let mut start = Vec::with_capacity(SIGNATURE);
    photo.take(SIGNATURE as u64).read_to_end(&mut start)?;
    photo.rewind()?;
    let format = PictureFormat::of(&start).map_err(io::Error::other)?;
    Ok(format.extension())
}

#[cfg(test)]
mod tests;
