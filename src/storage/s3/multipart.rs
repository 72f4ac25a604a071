//! A large object in parts: a break costs one of them. The parts are slices of what is in memory already.
//!
//! The object appears whole when the last request has been answered. An upload that fails is ended, or
//! its parts would be paid for; what a killed process leaves, the bucket's lifecycle removes (R2 does
//! after a week by itself).

use std::io;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::timeout;

use super::S3;
use super::error::{Complaint, complaint, unreadable};
use crate::storage::remote::IMMUTABLE;
use crate::storage::{ObjectKey, StorageError};

/// All but the last must have 5 MiB at least and, for R2, the same length.
const PART: usize = 8 * 1024 * 1024;
/// Parts on their way at a time.
const PARTS_AT_ONCE: usize = 3;

/// An upload that was begun.
struct Upload<'a> {
    s3: &'a S3,
    key: &'a ObjectKey,
    name: String,
    id: String,
}

/// Stores an object in parts, all within the budget of one operation.
pub(super) async fn put(s3: &S3, key: &ObjectKey, bytes: &Bytes) -> Result<(), StorageError> {
    let upload = Upload::begin(s3, key).await?;
    let sent = timeout(s3.budget().whole, upload.send(bytes)).await;
    let sent = sent.unwrap_or_else(|_| {
        Err(StorageError::Unavailable {
            source: io::ErrorKind::TimedOut.into(),
        })
    });
    if sent.is_err() {
        upload.abort().await;
    }
    sent
}

impl<'a> Upload<'a> {
    async fn begin(s3: &'a S3, key: &'a ObjectKey) -> Result<Self, StorageError> {
        let name = s3.name(key);
        let begun = s3
            .client()
            .create_multipart_upload()
            .bucket(s3.bucket())
            .key(&name)
            .content_type(key.media_type())
            .cache_control(IMMUTABLE)
            .send()
            .await
            .map_err(|error| s3.unwritten(&error))?;
        let id = begun.upload_id;
        let id = id.ok_or_else(|| unreadable("an upload without an id"))?;
        Ok(Self { s3, key, name, id })
    }

    async fn send(&self, bytes: &Bytes) -> Result<(), StorageError> {
        let parts = (1..).zip((0..bytes.len()).step_by(PART));
        let parts: Vec<CompletedPart> = stream::iter(parts)
            .map(|(number, from)| {
                let until = bytes.len().min(from + PART);
                self.part(number, bytes.slice(from..until))
            })
            .buffered(PARTS_AT_ONCE)
            .try_collect()
            .await?;
        self.complete(parts, bytes.len() as u64).await
    }

    async fn part(&self, number: i32, bytes: Bytes) -> Result<CompletedPart, StorageError> {
        let sent = self
            .s3
            .client()
            .upload_part()
            .bucket(self.s3.bucket())
            .key(&self.name)
            .upload_id(&self.id)
            .part_number(number)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(|error| self.s3.unwritten(&error))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .build())
    }

    async fn complete(&self, parts: Vec<CompletedPart>, bytes: u64) -> Result<(), StorageError> {
        let all = CompletedMultipartUpload::builder()
            .set_parts(Some(parts))
            .build();
        let completed = self
            .s3
            .client()
            .complete_multipart_upload()
            .bucket(self.s3.bucket())
            .key(&self.name)
            .upload_id(&self.id)
            .multipart_upload(all)
            .send()
            .await;
        let Err(error) = completed else { return Ok(()) };
        match complaint(&error) {
            // An earlier try may have been answered into a connection that broke.
            Complaint::NoUpload if matches!(self.s3.len(self.key).await, Ok(len) if len == bytes) => {
                Ok(())
            }
            complaint => Err(complaint.told(self.s3.bucket())),
        }
    }

    async fn abort(&self) {
        let aborted = self
            .s3
            .client()
            .abort_multipart_upload()
            .bucket(self.s3.bucket())
            .key(&self.name)
            .upload_id(&self.id)
            .send()
            .await;
        if let Err(error) = aborted {
            let error = complaint(&error).told(self.s3.bucket());
            tracing::debug!(%error, key = %self.key, "the parts of an upload stay behind");
        }
    }
}
