//! Trying a storage out, so that its operator hears of what is wrong before a paid picture does.

use std::io;

use bytes::Bytes;

use super::Elsewhere;
use crate::storage::{ObjectKey, StorageError};

/// What is written.
const PROBE: &[u8] = b"safelight";

impl Elsewhere {
    /// Writes and removes something.
    pub(in crate::storage) async fn probe(&self) -> Result<(), StorageError> {
        let key = ObjectKey::probe();
        self.put(&key, Bytes::from_static(PROBE)).await?;
        self.delete_and_look(&key).await
    }

    /// The same, and it reads what it wrote.
    pub(in crate::storage) async fn examine(&self) -> Result<(), StorageError> {
        let key = ObjectKey::probe();
        self.put(&key, Bytes::from_static(PROBE)).await?;
        let read = self.get(&key).await;
        self.delete_and_look(&key).await?;
        if read? == PROBE {
            return Ok(());
        }
        Err(StorageError::Unavailable {
            source: io::Error::other("what was written reads back as something else"),
        })
    }

    /// A key of AWS without the right to list is told "denied" of an object that is not there. Found out
    /// only after a crash, nobody could say whether its picture was stored.
    async fn delete_and_look(&self, key: &ObjectKey) -> Result<(), StorageError> {
        self.delete(key).await?;
        match self.len(key).await {
            // Somewhere on the way it may still be in a cache.
            Ok(_) | Err(StorageError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
