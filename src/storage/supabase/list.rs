//! What is in a bucket, folder by folder: a listing shows only what is right below one.

use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Supabase, error};
use crate::storage::{Listed, StorageError};

/// Entries of a folder in one answer.
const PAGE: usize = 1000;

/// An object or a folder, as a listing shows it.
#[derive(Deserialize)]
struct Entry {
    name: String,
    /// Folders have none.
    id: Option<String>,
    updated_at: Option<DateTime<Utc>>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    size: u64,
}

impl Supabase {
    /// Where something is removed meanwhile, a page may miss others; they are there the next time.
    pub(in crate::storage) fn list(&self) -> BoxStream<'static, Result<Listed, StorageError>> {
        let begin = (self.clone(), vec![(String::new(), 0)]);
        let pages = stream::try_unfold(begin, async |(supabase, mut places)| {
            let Some((folder, offset)) = places.pop() else {
                return Ok(None);
            };
            let entries = supabase.page(&folder, offset).await?;
            if entries.len() == PAGE {
                places.push((folder.clone(), offset + PAGE));
            }
            let mut listed = Vec::new();
            for entry in entries {
                let name = match folder.as_str() {
                    "" => entry.name,
                    folder => format!("{folder}/{}", entry.name),
                };
                match (entry.id, entry.metadata, entry.updated_at) {
                    (None, _, _) => places.push((name, 0)),
                    (Some(_), Some(metadata), Some(at)) => listed.push(Ok(Listed {
                        name,
                        bytes: metadata.size,
                        modified: at.into(),
                    })),
                    // An upload that was begun.
                    (Some(_), _, _) => {}
                }
            }
            Ok(Some((stream::iter(listed), (supabase, places))))
        });
        pages.try_flatten().boxed()
    }

    async fn page(&self, folder: &str, offset: usize) -> Result<Vec<Entry>, StorageError> {
        let request = self
            .request(Method::POST, &["object", "list"], None)
            .json(&json!({
                "prefix": folder,
                "limit": PAGE,
                "offset": offset,
                "sortBy": { "column": "name", "order": "asc" },
            }));
        let answer = self.read(&request).await;
        answer
            .and_then(|body| error::json(&body))
            .map_err(|complaint| self.unwritten(complaint))
    }
}
