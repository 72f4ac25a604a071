//! An archive of stored pictures: how long it will be, and its bytes.
//!
//! Entries are stored, not deflated, because pictures do not shrink; that also makes the length known before
//! the first byte is read, so a client sees how far it is and whether it has all. The same entries are the
//! same bytes at any time.

use std::cell::Cell;
use std::io::{self, Read, Write};

use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::Entry;
use crate::storage::ObjectKey;

/// Bytes that are read at a time.
const PIECE: usize = 64 * 1024;
/// From here on a length or an offset needs 64 bits.
const LARGE: u64 = u32::MAX as u64;
/// Most entries that the short form of the archive's end can count.
const MANY: u64 = u16::MAX as u64;

/// The exact length of the archive.
pub(in crate::api) fn size(entries: &[Entry]) -> u64 {
    let (mut pictures, mut directory) = (0, 0);
    for entry in entries {
        let Head {
            around_picture,
            in_directory,
        } = Head::of(entry, pictures);
        pictures += around_picture + entry.bytes;
        directory += in_directory;
    }
    let is_long = entries.len() as u64 > MANY || pictures.max(directory) > LARGE;
    let end = if is_long { 22 + 56 + 20 } else { 22 };
    pictures + directory + end
}

/// What an entry takes beside its bytes.
struct Head {
    around_picture: u64,
    in_directory: u64,
}

impl Head {
    fn of(entry: &Entry, offset: u64) -> Self {
        let name = entry.name.len() as u64;
        let is_large = entry.bytes >= LARGE;
        let lengths = if is_large { 16 } else { 0 };
        let place = if offset >= LARGE { 8 } else { 0 };
        let long_field = |values: u64| if values > 0 { 4 + values } else { 0 };
        // The lengths and the checksum follow the picture, as they are not known to who streams it.
        let behind = if is_large { 24 } else { 16 };
        Self {
            around_picture: 30 + name + long_field(lengths) + behind,
            in_directory: 46 + name + long_field(lengths + place),
        }
    }
}

/// Writes the archive; what of it was written when something fails is no archive.
pub(super) fn write<W: Write, R: Read>(
    sink: W,
    entries: &[Entry],
    open: impl Fn(&ObjectKey) -> io::Result<R>,
) -> io::Result<W> {
    let failed = Cell::new(false);
    let mut archive = ZipWriter::new_stream(Guarded {
        sink,
        failed: &failed,
    });
    for entry in entries {
        if let Err(error) = add(&mut archive, entry, &open) {
            failed.set(true);
            return Err(error);
        }
    }
    Ok(archive.finish()?.into_inner().sink)
}

/// A writer that is dropped writes the archive's end, as if all were well. Once something has failed, that
/// goes nowhere: a part must not look like a whole.
struct Guarded<'a, W> {
    sink: W,
    failed: &'a Cell<bool>,
}

impl<W: Write> Write for Guarded<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed.get() {
            return Ok(bytes.len());
        }
        let written = self.sink.write(bytes);
        self.failed.set(written.is_err());
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.failed.get() {
            return Ok(());
        }
        self.sink.flush()
    }
}

fn add<W: Write, R: Read>(
    archive: &mut ZipWriter<StreamWriter<W>>,
    entry: &Entry,
    open: impl Fn(&ObjectKey) -> io::Result<R>,
) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::DEFAULT)
        .large_file(entry.bytes >= LARGE)
        .unix_permissions(0o644);
    archive.start_file(&entry.name, options)?;
    // One byte more would show that it has grown.
    let mut picture = open(&entry.key)?.take(entry.bytes + 1);
    let mut piece = vec![0; PIECE];
    let mut copied = 0;
    loop {
        let read = picture.read(&mut piece)?;
        if read == 0 {
            break;
        }
        archive.write_all(&piece[..read])?;
        copied += read as u64;
    }
    if copied == entry.bytes {
        Ok(())
    } else {
        Err(io::Error::other(
            "an object has another length than was recorded",
        ))
    }
}

#[cfg(test)]
mod tests;
