//! Whether there is room for what is about to be bought.
//!
//! Calls that are open may each bring a picture, and nobody knows of what size: the largest that waits
//! stands for all. While nothing waits, nothing is held back.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::storage::StorageError;

/// Once full it is so until this share is free: else it would be full and not full with every picture.
const FREE_AGAIN: u64 = 10;

/// How full a spool is, as far as this process knows. Others that share it are seen at each count.
#[derive(Debug)]
pub(super) struct Room {
    limit: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_counted: bool,
    /// Pictures that were kept here by this process since its start.
    kept: u64,
    photos: u64,
    bytes: u64,
    /// The largest picture that waits.
    largest: u64,
    /// Calls that may bring a picture each.
    open: u64,
    full: bool,
    /// Why the storage took nothing when it was last asked.
    storage: Option<String>,
    /// Why the spool itself took nothing.
    broken: Option<String>,
}

/// What was found of pictures that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub photos: u64,
    pub bytes: u64,
    /// In bytes, of the largest.
    pub largest: u64,
}

/// What waits here, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The directory has been looked at since the start.
    pub is_counted: bool,
    pub photos: u64,
    pub bytes: u64,
    pub full: bool,
    /// Why the storage took nothing when it was last asked; `None`: it works, as far as is known.
    pub storage: Option<String>,
    /// Why the spool itself took nothing.
    pub broken: Option<String>,
}

impl Contents {
    /// Nothing waits, as far as it was ever looked at.
    pub fn is_empty(&self) -> bool {
        self.is_counted && self.photos == 0
    }

    /// Nothing waits, and nothing is wrong.
    pub fn is_at_rest(&self) -> bool {
        self.is_counted && self.photos == 0 && self.storage.is_none() && self.broken.is_none()
    }
}

/// Why no call may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    Full,
    /// Neither the storage nor the spool takes a picture, and this is what the latter says.
    Broken(String),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the spool is full (SPOOL_MAX_MB)"),
            Self::Broken(error) => write!(f, "the spool cannot be written (SPOOL_DIR): {error}"),
        }
    }
}

/// A call that may bring a picture.
#[derive(Debug)]
pub struct Ahead(Arc<Room>);

impl Drop for Ahead {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.open = state.open.saturating_sub(1);
        state.judge(self.0.limit);
    }
}

impl Room {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Numbers: what a panic leaves of them is counted anew.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn kept(&self, bytes: u64) {
        let mut state = self.state();
        state.kept += 1;
        state.photos += 1;
        state.bytes += bytes;
        state.largest = state.largest.max(bytes);
        state.broken = None;
        state.judge(self.limit);
    }

    /// For [`Room::counted`], before the directory is looked at.
    pub(super) fn kept_so_far(&self) -> u64 {
        self.state().kept
    }

    /// Of what came while it was counted nobody knows whether it was seen: the next count tells.
    pub(super) fn counted(&self, since: u64, now: Counted) {
        let mut state = self.state();
        let seen_all = state.kept == since;
        let at_least = |before: u64| if seen_all { 0 } else { before };
        state.is_counted = true;
        state.photos = now.photos.max(at_least(state.photos));
        state.bytes = now.bytes.max(at_least(state.bytes));
        state.largest = now.largest.max(at_least(state.largest));
        state.judge(self.limit);
    }

    pub(super) fn removed(&self, bytes: u64) {
        let mut state = self.state();
        state.photos = state.photos.saturating_sub(1);
        state.bytes = state.bytes.saturating_sub(bytes);
        state.judge(self.limit);
    }

    pub(super) fn storage_is_away(&self) -> bool {
        self.state().storage.is_some()
    }

    pub(super) fn refuses(&self, error: &StorageError) {
        self.state().broken = Some(error.to_string());
    }

    pub(super) fn takes_again(&self) {
        self.state().broken = None;
    }

    /// Whether that is news.
    pub(super) fn storage_failed(&self, error: &StorageError) -> bool {
        let before = self.state().storage.replace(error.to_string());
        before.is_none()
    }

    /// Whether that is news.
    pub(super) fn storage_works(&self) -> bool {
        self.state().storage.take().is_some()
    }

    pub(super) fn contents(&self) -> Contents {
        let state = self.state();
        Contents {
            is_counted: state.is_counted,
            photos: state.photos,
            bytes: state.bytes,
            full: state.full,
            storage: state.storage.clone(),
            broken: state.broken.clone(),
        }
    }

    pub(super) fn stops(&self) -> Option<Stopped> {
        self.state().stops()
    }

    pub(super) fn ahead(self: &Arc<Self>) -> Option<Ahead> {
        let mut state = self.state();
        state.judge(self.limit);
        if state.stops().is_some() {
            return None;
        }
        state.open += 1;
        Some(Ahead(self.clone()))
    }
}

impl State {
    fn stops(&self) -> Option<Stopped> {
        match (&self.storage, &self.broken) {
            _ if self.full => Some(Stopped::Full),
            (Some(_), Some(broken)) => Some(Stopped::Broken(broken.clone())),
            (Some(_), None) | (None, _) => None,
        }
    }

    fn judge(&mut self, limit: u64) {
        let with_one_more = self.bytes + (self.open + 1) * self.largest;
        self.full = if self.photos == 0 {
            false
        } else if self.full {
            with_one_more > limit - limit / FREE_AGAIN
        } else {
            with_one_more > limit
        };
    }
}
