//! Where photos go: can they be written there and read back, and is there room on a disk.

use std::path::{Path, absolute};
use std::process::Stdio;

use tokio::process::Command;
use tokio::time::timeout;

use super::DEADLINE;
use super::report::{Line, Mend};
use crate::cli::words::size;
use crate::config::{ConfigError, StorageArgs};
use crate::storage::{Local, Storage, StorageError, StorageSettings};

mod elsewhere;

/// Some five hundred photos.
const LITTLE_ROOM: i64 = 1_000_000_000;

pub(super) async fn check(args: &StorageArgs) -> Vec<Line> {
    let mut lines = match args.settings() {
        Ok(StorageSettings::Local(directory)) => vec![local(&directory).await],
        Ok(settings @ (StorageSettings::S3(_) | StorageSettings::Supabase(_))) => {
            vec![elsewhere::check(settings).await]
        }
        Err(error) => vec![Line::fail("storage", &error, [of_setting(&error)])],
    };
    // A worker does not start with it, and says so no clearer.
    if let Err(error) = args.fetch_policy() {
        lines.push(Line::fail("inputs", &error, [of_setting(&error)]));
    }
    lines
}

/// The setting that is wrong or missing.
fn of_setting(error: &ConfigError) -> Mend {
    Mend::shell(match error {
        ConfigError::SupabaseUrl(_) | ConfigError::NoProject => {
            "export SUPABASE_URL=https://PROJECT.supabase.co".to_owned()
        }
        ConfigError::FetchAllow(_) => "export IMAGE_FETCH_ALLOW=storage.example.com:443".to_owned(),
        ConfigError::NoServiceKey => "export SUPABASE_SERVICE_ROLE_KEY=KEY".to_owned(),
        ConfigError::NoBucketKey(prefix, name) => format!("export {prefix}_{name}=KEY"),
        ConfigError::NoR2Endpoint => {
            "export R2_ENDPOINT=https://ACCOUNT.r2.cloudflarestorage.com".to_owned()
        }
        ConfigError::BucketUrl(variable, _) => {
            format!("export {variable}=https://storage.example.com")
        }
        ConfigError::Storage(_)
        | ConfigError::NoDatabase
        | ConfigError::Keys(_)
        | ConfigError::KeysOf { .. }
        | ConfigError::BaseUrl { .. }
        | ConfigError::BaseUrlUnfit(_)
        | ConfigError::UnknownModel { .. }
        | ConfigError::PublicUrl(_)
        | ConfigError::ApiKeys(_)
        | ConfigError::SecretWithoutProject
        | ConfigError::WebhookSecret(_)
        | ConfigError::Origin(_) => "export STORAGE=local:./photos".to_owned(),
    })
}

async fn local(directory: &Path) -> Line {
    let place = absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let storage = Storage::Local(Local::new(directory));
    match timeout(DEADLINE, storage.examine()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return unusable(&place, &error),
        Err(_) => {
            let seen = format!("{} does not answer within {DEADLINE:?}", place.display());
            let mend = [Mend::shell(format!("df -h '{}'", place.display()))];
            return Line::fail("storage", seen, mend);
        }
    }
    let seen = format!("written, read and removed in {}", place.display());
    match room(&place).await {
        Some(free) if free < LITTLE_ROOM => Line::warn(
            "storage",
            format!("{seen}, but only {} are free", size(free)),
            [
                Mend::say("Make room, or set STORAGE=local:DIR to a larger disk:"),
                Mend::shell(format!("df -h '{}'", place.display())),
            ],
        ),
        Some(free) => Line::ok("storage", format!("{seen}, {} free", gigabytes(free))),
        None => Line::ok("storage", seen),
    }
}

fn gigabytes(bytes: i64) -> String {
    format!("{} GB", bytes / 1_000_000_000)
}

fn unusable(place: &Path, error: &StorageError) -> Line {
    let source = match error {
        StorageError::Unavailable { source } | StorageError::Unusable { source, .. } => {
            source.to_string()
        }
        StorageError::NotFound | StorageError::Refused(_) => error.to_string(),
    };
    let place = place.display();
    let mend = [
        Mend::say("Make it the worker's, or name another directory in STORAGE=local:DIR:"),
        Mend::shell(format!(
            "sudo mkdir -p '{place}' && sudo chown \"$(id -u)\" '{place}'"
        )),
    ];
    Line::fail("storage", format!("{place} cannot be used: {source}"), mend)
}

/// Bytes that are free where the directory is, or would be; `None` where nobody tells.
async fn room(directory: &Path) -> Option<i64> {
    let there = directory.ancestors().find(|folder| folder.exists())?;
    let asked = Command::new("df")
        .arg("-Pk")
        .arg(there)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(DEADLINE, asked).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    free_kilobytes(&text)?.checked_mul(1024)
}

/// The fourth number of `df -Pk`.
fn free_kilobytes(table: &str) -> Option<i64> {
    let row = table.lines().nth(1)?;
    row.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests;
