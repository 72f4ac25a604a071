//! What the storage has signed, for as long as it is of use.
//!
//! Each signature holds the second of its making, so the storage gives another URL for each poll, and
//! browsers would load every picture again. What was signed for the same end is handed out again here, by
//! this process; another one may have another URL. Bounded: of two halves, the older is forgotten when
//! the younger is full.

use std::collections::HashMap;
use std::time::SystemTime;

use crate::storage::ObjectKey;

/// URLs in one half, of some 600 bytes each: what a few hundred people look at.
const HALF: usize = 5_000;

/// By key and end.
type Urls = HashMap<(ObjectKey, SystemTime), String>;

/// URLs that were signed.
#[derive(Default)]
pub(super) struct Known {
    young: Urls,
    old: Urls,
}

impl Known {
    /// What is known of these objects. It stays known for now.
    pub(super) fn of(&mut self, keys: &[ObjectKey], end: SystemTime) -> HashMap<ObjectKey, String> {
        let mut urls = HashMap::new();
        for key in keys {
            let name = (key.clone(), end);
            if let Some(url) = self.old.remove(&name) {
                self.young.insert(name.clone(), url);
            }
            if let Some(url) = self.young.get(&name) {
                urls.insert(name.0, url.clone());
            }
        }
        urls
    }

    /// What is to be handed out of what was just signed: what somebody else learnt meanwhile has been.
    pub(super) fn learn(
        &mut self,
        end: SystemTime,
        signed: Vec<(ObjectKey, String)>,
    ) -> HashMap<ObjectKey, String> {
        if self.young.len() + signed.len() > HALF {
            self.old = std::mem::take(&mut self.young);
        }
        let keys: Vec<_> = signed.iter().map(|(key, _)| key.clone()).collect();
        let earlier = self.of(&keys, end);
        for (key, url) in signed {
            if !earlier.contains_key(&key) {
                self.young.insert((key, end), url);
            }
        }
        self.of(&keys, end)
    }
}

#[cfg(test)]
mod tests;
