//! The keys of each account, used in turn: several keys of one account draw on one budget.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::keys::{Account, Secret};

/// The accounts of one provider, in the order they were configured.
#[derive(Debug)]
pub(super) struct Keyrings(Vec<Keyring>);

/// The keys of one account.
#[derive(Debug)]
struct Keyring {
    account: String,
    /// Never empty.
    keys: Vec<Secret>,
    turn: AtomicUsize,
}

impl Keyrings {
    pub(super) fn new(accounts: Vec<Account>) -> Self {
        let mut keyrings: Vec<Keyring> = Vec::new();
        for Account { name, key } in accounts {
            match keyrings.iter_mut().find(|ring| ring.account == name) {
                Some(ring) => ring.keys.push(key),
                None => keyrings.push(Keyring {
                    account: name,
                    keys: vec![key],
                    turn: AtomicUsize::new(0),
                }),
            }
        }
        Self(keyrings)
    }

    /// Each account once.
    pub(super) fn accounts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|ring| ring.account.as_str())
    }

    /// The key whose turn it is.
    pub(super) fn key_of(&self, account: &str) -> Option<&Secret> {
        let ring = self.0.iter().find(|ring| ring.account == account)?;
        let turn = ring.turn.fetch_add(1, Ordering::Relaxed);
        ring.keys.get(turn % ring.keys.len())
    }

    /// All keys of an account, in their order.
    pub(super) fn keys_of(&self, account: &str) -> impl Iterator<Item = &Secret> {
        let rings = self.0.iter().filter(move |ring| ring.account == account);
        rings.flat_map(|ring| &ring.keys)
    }
}
