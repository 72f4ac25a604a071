//! Every storage there is, each empty and with what keeps it running.

use std::time::Duration;

use clap::Parser;
use safelight::app;
use safelight::config::StorageArgs;
use safelight::storage::{Budget, Storage};
use tempfile::TempDir;

use crate::harness::Bucket;

/// A try of a test has a second at most, and pauses are short.
pub(super) const QUICK: Budget = Budget {
    connect: Duration::from_secs(1),
    attempt: Duration::from_secs(1),
    whole: Duration::from_secs(10),
    stall: Duration::from_secs(1),
    tries: 3,
    first_pause: Duration::from_millis(10),
    longest_pause: Duration::from_millis(50),
};

/// For servers that are well: a busy machine must break nothing.
const PATIENT: Budget = Budget {
    attempt: Duration::from_secs(20),
    whole: Duration::from_mins(1),
    stall: Duration::from_secs(20),
    connect: Duration::from_secs(20),
    ..QUICK
};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    storage: StorageArgs,
}

/// Opens what a command line names.
pub(super) fn open(arguments: &[String], budget: Budget) -> Storage {
    app::install_tls();
    let all = std::iter::once("worker".to_owned()).chain(arguments.iter().cloned());
    let settings = Arguments::parse_from(all).storage.settings().unwrap();
    settings.open_within(budget).unwrap()
}

/// A storage that is well.
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) storage: Storage,
    _kept: Kept,
}

/// What a storage needs to go on.
enum Kept {
    Folder { _folder: TempDir },
    Bucket { _bucket: Bucket },
}

impl Place {
    /// All there are.
    pub(super) async fn all() -> Vec<Self> {
        vec![Self::local(), Self::s3().await]
    }

    fn local() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = format!("--storage=local:{}", folder.path().display());
        Self {
            name: "local",
            storage: open(&[storage], PATIENT),
            _kept: Kept::Folder { _folder: folder },
        }
    }

    async fn s3() -> Self {
        let bucket = Bucket::start().await;
        Self {
            name: "s3",
            storage: open(&bucket.arguments(), PATIENT),
            _kept: Kept::Bucket { _bucket: bucket },
        }
    }
}
