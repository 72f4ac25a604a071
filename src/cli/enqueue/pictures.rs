//! Input pictures as a person names them: a file of this machine, a URL, an upload.

use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt as _;

use crate::cli::CommandError;
use crate::domain::{Tenant, hex};
use crate::images::fetch::MAX_BYTES;
use crate::images::{Decoder, PictureFormat};
use crate::storage::{ObjectKey, Storage};

/// An input picture of a job to be enqueued.
#[derive(Debug)]
pub(super) enum Input {
    /// A URL or an upload, as it goes into the row. Whether it may be opened is the worker's to say.
    Named(String),
    File(File),
}

/// A picture that was read from this machine.
#[derive(Debug)]
pub(super) struct File {
    bytes: Vec<u8>,
    format: PictureFormat,
    /// Lower-case hex.
    sha256: String,
}

impl Input {
    /// Reads the file, unless it is not one.
    pub(super) async fn open(named: &str) -> Result<Self, CommandError> {
        let is_named = ["https://", "http://", "upload:"]
            .iter()
            .any(|start| named.starts_with(start));
        if is_named {
            return Ok(Self::Named(named.to_owned()));
        }
        let refused = |why: String| CommandError::Usage(format!("--image {named}: {why}"));
        let bytes = read(named)
            .await
            .map_err(|error| refused(error.to_string()))?;
        if bytes.len() > MAX_BYTES {
            return Err(refused("The file is larger than 10 MB.".to_owned()));
        }
        let format = PictureFormat::of(&bytes).map_err(|error| refused(error.to_string()))?;
        let sha256 = hex(&Sha256::digest(&bytes));
        // Opened as a worker will: a damaged picture is told to whoever has the file.
        Decoder::new(1)
            .inspect(bytes.clone())
            .await
            .map_err(|error| refused(error.to_string()))?;
        Ok(Self::File(File {
            bytes,
            format,
            sha256,
        }))
    }

    /// What the row says.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Named(name) => name.clone(),
            Self::File(file) => format!("upload:{}.{}", file.sha256, file.format.extension()),
        }
    }

    pub(super) fn is_file(&self) -> bool {
        match self {
            Self::Named(_) => false,
            Self::File(_) => true,
        }
    }

    /// Puts a file where a worker looks for it.
    pub(super) async fn store(
        self,
        storage: &Storage,
        tenant: &Tenant,
    ) -> Result<(), CommandError> {
        let Self::File(file) = self else {
            return Ok(());
        };
        let key = ObjectKey::upload(tenant, &file.sha256, file.format)
            .map_err(|error| CommandError::Failed(error.to_string()))?;
        storage
            .put(&key, file.bytes)
            .await
            .map_err(|error| CommandError::Failed(error.to_string()))
    }
}

/// The file, or a little more of it than is allowed.
async fn read(path: &str) -> std::io::Result<Vec<u8>> {
    let file = tokio::fs::File::open(path).await?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .await?;
    Ok(bytes)
}
