//! The input pictures of a job, brought into the form in which a provider takes them.
//!
//! Done before any quota is taken, because it is slow and free. A failure names the picture it is
//! about by its place in the job, never by its URL: URLs hold tokens.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::{StreamExt, TryFutureExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use crate::domain::{Failure, Picture, Tenant};
use crate::images::cache::Kept;
use crate::images::{Cache, Decoder, Fetcher, INVALID_INPUT, PictureFormat};
use crate::providers::PreparedPicture;
use crate::storage::{ObjectKey, Storage, StorageError};

/// Pictures of one job that are fetched at the same time; each may hold 10 MB in memory.
const AT_ONCE: usize = 4;
/// Most base64 text of one job. Gemini takes 20 MB a request; the rest is for the prompt and for
/// what the request itself needs.
const MAX_TOTAL_BYTES: usize = 18 * 1024 * 1024;

/// Where inputs come from, and what was prepared before.
#[derive(Debug)]
pub struct Inputs {
    fetcher: Fetcher,
    decoder: Decoder,
    storage: Storage,
    prepared: Cache,
}

impl Inputs {
    pub fn new(fetcher: Fetcher, decoder: Decoder, storage: Storage) -> Self {
        Self {
            fetcher,
            decoder,
            storage,
            prepared: Cache::default(),
        }
    }

    /// All pictures of a job, in the order of the job. Uploads are looked for among the tenant's
    /// own and nowhere else.
    pub async fn prepare(
        &self,
        tenant: &Tenant,
        pictures: &[Picture],
    ) -> Result<Arc<[PreparedPicture]>, Failure> {
        // Collected first: a stream that borrows in its closure cannot be sent to another thread.
        let each: Vec<_> = pictures
            .iter()
            .enumerate()
            .map(|(index, picture)| {
                self.prepare_one(tenant, picture)
                    .map_err(move |failure| about(index, failure))
            })
            .collect();
        let prepared: Vec<_> = stream::iter(each).buffered(AT_ONCE).try_collect().await?;
        check_total(&prepared)?;
        Ok(prepared.into())
    }

    async fn prepare_one(
        &self,
        tenant: &Tenant,
        picture: &Picture,
    ) -> Result<PreparedPicture, Failure> {
        let bytes = match picture {
            Picture::Url(url) => self.fetcher.fetch(url).await?,
            Picture::Upload(name) => self.uploaded(tenant, name).await?,
        };
        let content = Sha256::digest(&bytes).into();
        let kept = self
            .prepared
            .get_or_make(content, async {
                let upright = self.decoder.prepare_input(bytes).await?;
                Ok::<_, Failure>(Kept {
                    text: BASE64.encode(upright.jpeg).into(),
                    width: upright.width,
                    height: upright.height,
                })
            })
            .await?;
        Ok(PreparedPicture {
            mime: PictureFormat::Jpeg.mime(),
            base64: kept.text,
            width: kept.width,
            height: kept.height,
        })
    }

    async fn uploaded(&self, tenant: &Tenant, name: &str) -> Result<Vec<u8>, Failure> {
        let gone = || Failure::never(INVALID_INPUT, "The upload does not exist or has expired.");
        let key = ObjectKey::upload_named(tenant, name).map_err(|_| gone())?;
        match self.storage.get(&key).await {
            Ok(bytes) => Ok(bytes),
            Err(StorageError::NotFound) => Err(gone()),
            Err(error) => Err(error.into()),
        }
    }
}

fn about(index: usize, mut failure: Failure) -> Failure {
    failure
        .message
        .insert_str(0, &format!("Input image {}: ", index + 1));
    failure
}

fn check_total(prepared: &[PreparedPicture]) -> Result<(), Failure> {
    let total: usize = prepared.iter().map(|picture| picture.base64.len()).sum();
    if total <= MAX_TOTAL_BYTES {
        return Ok(());
    }
    Err(Failure::never(
        INVALID_INPUT,
        format!(
            "The {} input images together are too large for one request; use fewer.",
            prepared.len()
        ),
    ))
}

#[cfg(test)]
mod tests;
