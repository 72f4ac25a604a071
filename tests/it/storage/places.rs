//! Every storage there is, each empty and with what keeps it running.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use safelight::app;
use safelight::config::StorageArgs;
use safelight::storage::{Budget, Storage, StorageError};
use tempfile::TempDir;

use super::proxy::{Fault, Proxy};
use crate::harness::{Bucket, Supabase};

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
    Server { _server: Server },
}

impl Place {
    /// All there are.
    pub(super) async fn all() -> Vec<Self> {
        let mut places = vec![Self::local()];
        places.extend(Server::all().await.map(|server| Self {
            name: server.name(),
            storage: server.open(PATIENT),
            _kept: Kept::Server { _server: server },
        }));
        places
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
}

/// A storage elsewhere.
pub(super) enum Server {
    S3(Bucket),
    Supabase(Supabase),
}

impl Server {
    /// All kinds there are.
    pub(super) async fn all() -> [Self; 2] {
        [
            Self::S3(Bucket::start().await),
            Self::Supabase(Supabase::start().await),
        ]
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::S3(_) => "s3",
            Self::Supabase(_) => "supabase",
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::S3(bucket) => bucket.address,
            Self::Supabase(supabase) => supabase.address,
        }
    }

    pub(super) fn open(&self, budget: Budget) -> Storage {
        self.open_at(self.address(), budget)
    }

    /// By way of something that stands in front.
    fn open_at(&self, address: SocketAddr, budget: Budget) -> Storage {
        let arguments = match self {
            Self::S3(_) => Bucket::arguments_at(address),
            Self::Supabase(_) => Supabase::arguments_at(address, Supabase::SECRETS[0]),
        };
        open(&arguments, budget)
    }

    /// By a line of which the first `times` connections have a fault.
    pub(super) async fn open_behind(&self, fault: Fault, times: usize) -> (Proxy, Storage) {
        let proxy = Proxy::start(self.address(), fault, times).await;
        let storage = self.open_at(proxy.address, QUICK);
        (proxy, storage)
    }

    pub(super) fn remove_bucket(&self) {
        match self {
            Self::S3(bucket) => std::fs::remove_dir_all(bucket.folder()).unwrap(),
            Self::Supabase(supabase) => supabase.remove_bucket(),
        }
    }
}

/// What is said of an error, which never tells a secret.
#[track_caller]
pub(super) fn said(error: &StorageError) -> String {
    let said = format!("{error} {error:?}");
    let secrets = Supabase::SECRETS.into_iter().chain([Bucket::SECRET]);
    for secret in secrets.chain(["Signature", "Authorization", "Bearer", "token="]) {
        assert!(!said.contains(secret), "{said}");
    }
    error.to_string()
}
