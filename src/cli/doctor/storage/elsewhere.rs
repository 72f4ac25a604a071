//! A bucket: is it there, does it take the key, and do pictures come back from it.

use std::time::Duration;

use super::super::report::{Line, Mend};
use crate::app;
use crate::storage::{Budget, StorageError, StorageSettings};

/// Somebody waits at the screen: what is only slow fails here and is told as that.
const CONNECT: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(4);
const WHOLE: Duration = Duration::from_secs(6);
const TRIES: u32 = 2;

/// Writes something, reads it back and removes it.
pub(super) async fn check(settings: StorageSettings) -> Line {
    app::install_tls();
    let (place, address) = named(&settings);
    let budget = Budget {
        connect: CONNECT,
        attempt: ATTEMPT,
        whole: WHOLE,
        tries: TRIES,
        ..Budget::default()
    };
    let examined = match settings.open_within(budget) {
        Ok(storage) => storage.examine().await,
        Err(error) => Err(error),
    };
    match examined {
        Ok(()) => Line::ok("storage", format!("written, read and removed in {place}")),
        Err(error) => failed(&place, &address, &error),
    }
}

/// How the place is called, and where it answers.
fn named(settings: &StorageSettings) -> (String, String) {
    match settings {
        StorageSettings::Local(directory) => {
            let place = directory.display().to_string();
            (place.clone(), place)
        }
        StorageSettings::S3(s3) => {
            let address = match &s3.endpoint {
                Some(url) => url.to_string(),
                None => format!("https://s3.{}.amazonaws.com/", s3.region),
            };
            let (bucket, prefix) = (&s3.bucket, &s3.prefix);
            let place = format!("s3://{bucket}/{prefix} at {address}, region {}", s3.region);
            (place, address)
        }
        StorageSettings::Supabase(supabase) => {
            let address = supabase.access.url.to_string();
            (
                format!("the bucket {} of {address}", supabase.bucket),
                address,
            )
        }
    }
}

fn failed(place: &str, address: &str, error: &StorageError) -> Line {
    let (seen, mend) = match error {
        StorageError::Refused(text) => {
            // What was wrong stands before what mends it.
            let (wrong, mend) = text.split_once("; ").unwrap_or((text, text));
            (wrong.to_owned(), Mend::say(sentence(mend)))
        }
        StorageError::Unavailable { source } | StorageError::Unusable { source, .. } => (
            format!("it cannot be used: {source}"),
            Mend::shell(format!("curl -sSI '{address}'")),
        ),
        StorageError::NotFound => (
            "what was written is not there".to_owned(),
            Mend::say("Look whether something removes objects from the bucket at once."),
        ),
    };
    Line::fail("storage", format!("{place}: {seen}"), [mend])
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}
