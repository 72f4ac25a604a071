//! Inputs that were prepared before, by content. The jobs of one batch share their training
//! images: the first one to need a picture prepares it, the others wait for it and take the same
//! text. What was used longest ago goes first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

/// Most text kept between jobs. Small, because an idle process is to stay below 40 MB.
pub const DEFAULT_BYTES: usize = 16 * 1024 * 1024;

/// The SHA-256 of a file as it was fetched.
pub type Digest = [u8; 32];

/// What is kept of a picture; clones share the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub text: Arc<str>,
    /// In pixels, of the picture that the text holds.
    pub width: u32,
    pub height: u32,
}

/// Prepared texts by the content that they were made from.
#[derive(Debug)]
pub struct Cache {
    shelf: Mutex<Shelf>,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Shelf {
    entries: HashMap<Digest, Entry>,
    /// Counts uses; an entry's own number says how long ago it was used.
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    kept: Arc<OnceCell<Kept>>,
    used: u64,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.kept.get().map_or(0, |kept| kept.text.len())
    }

    /// Nothing came of it, and nobody is at it.
    fn is_abandoned(&self) -> bool {
        self.kept.get().is_none() && Arc::strong_count(&self.kept) == 1
    }
}

impl Cache {
    pub fn new(max_bytes: usize) -> Self {
        Self {
            shelf: Mutex::default(),
            max_bytes,
        }
    }

    /// What is made of this content; `make` runs only if nobody has made it or is making it.
    /// When it fails or is dropped, the next one who waits makes its own.
    pub async fn get_or_make<E>(
        &self,
        content: Digest,
        make: impl Future<Output = Result<Kept, E>>,
    ) -> Result<Kept, E> {
        let cell = self.shelf().take(content);
        let kept = cell.get_or_try_init(|| make).await.cloned();
        drop(cell);
        self.shelf().trim(self.max_bytes);
        kept
    }

    /// A panic elsewhere leaves the shelf as good as before: no step of ours can half-change it.
    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self::new(DEFAULT_BYTES)
    }
}

impl Shelf {
    fn take(&mut self, content: Digest) -> Arc<OnceCell<Kept>> {
        self.uses += 1;
        let entry = self.entries.entry(content).or_insert_with(|| Entry {
            kept: Arc::default(),
            used: 0,
        });
        entry.used = self.uses;
        Arc::clone(&entry.kept)
    }

    /// Linear in the entries, of which 16 MB holds some hundreds.
    fn trim(&mut self, max_bytes: usize) {
        self.entries.retain(|_, entry| !entry.is_abandoned());
        while self.entries.values().map(Entry::bytes).sum::<usize>() > max_bytes {
            let oldest = self
                .entries
                .iter()
                .filter(|(_, entry)| entry.bytes() > 0)
                .min_by_key(|(_, entry)| entry.used)
                .map(|(content, _)| *content);
            let Some(oldest) = oldest else { return };
            self.entries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests;
