//! What is in a bucket below its prefix, page by page.

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::S3;
use crate::storage::{Listed, StorageError};

/// The next page of a listing.
enum Next {
    First,
    After(String),
    None,
}

impl S3 {
    pub(in crate::storage) fn list(&self) -> BoxStream<'static, Result<Listed, StorageError>> {
        let pages = stream::try_unfold((self.clone(), Next::First), async |(s3, next)| {
            let token = match next {
                Next::First => None,
                Next::After(token) => Some(token),
                Next::None => return Ok(None),
            };
            let (page, next) = s3.page(token).await?;
            Ok(Some((stream::iter(page).map(Ok), (s3, next))))
        });
        pages.try_flatten().boxed()
    }

    async fn page(&self, token: Option<String>) -> Result<(Vec<Listed>, Next), StorageError> {
        let request = self.client().list_objects_v2().bucket(self.bucket());
        let request = request.prefix(&self.0.prefix).set_continuation_token(token);
        let page = request.send().await;
        let page = page.map_err(|error| self.unwritten(&error))?;
        let next = match page.next_continuation_token {
            Some(token) if page.is_truncated == Some(true) => Next::After(token),
            Some(_) | None => Next::None,
        };
        let objects = page.contents.unwrap_or_default().into_iter();
        let listed = objects.filter_map(|object| {
            let name = object.key?.strip_prefix(&self.0.prefix)?.to_owned();
            Some(Listed {
                name,
                bytes: object.size?.try_into().ok()?,
                modified: object.last_modified?.try_into().ok()?,
            })
        });
        Ok((listed.collect(), next))
    }
}
