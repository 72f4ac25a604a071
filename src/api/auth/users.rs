//! From the subject of a token to the app's own user, by the app's own query (`TENANT_SQL`).
//!
//! Without a query the subject is the user. A user who is known stays so for a minute, since every poll
//! asks; one who is not is looked for again soon, since apps write their users down at the first sign-in.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::api::error::ApiError;
use crate::db::{Db, DbError, users};

const KNOWN_FOR: Duration = Duration::from_mins(1);
const UNKNOWN_FOR: Duration = Duration::from_secs(2);
/// Subjects in memory; some megabytes.
const MOST: usize = 10_000;
/// A subject that no user has, and that has the form of Supabase's.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

#[derive(Debug)]
pub(super) struct Users {
    query: Option<String>,
    seen: Mutex<HashMap<String, Seen>>,
}

#[derive(Clone, Debug)]
struct Seen {
    id: Option<String>,
    until: Instant,
}

impl Users {
    pub(super) fn new(query: Option<String>) -> Self {
        Self {
            query,
            seen: Mutex::default(),
        }
    }

    /// Whether the query runs.
    pub(super) async fn try_out(&self, db: &Db) -> Result<(), DbError> {
        match &self.query {
            Some(query) => users::ids(db, query, NOBODY).await.map(drop),
            None => Ok(()),
        }
    }

    /// The app's user of this subject; `None`: it knows none.
    pub(super) async fn id(&self, db: &Db, subject: &str) -> Result<Option<String>, ApiError> {
        let Some(query) = &self.query else {
            return Ok(Some(subject.to_owned()));
        };
        if let Some(seen) = self.remembered(subject) {
            return Ok(seen.id);
        }
        let mut ids = users::ids(db, query, subject).await?;
        if ids.len() > 1 {
            let why = "TENANT_SQL gives more than one user id for one subject";
            return Err(ApiError::Internal(why.to_owned()));
        }
        let id = ids.pop().flatten();
        self.remember(subject, id.clone());
        Ok(id)
    }

    fn remembered(&self, subject: &str) -> Option<Seen> {
        let seen = self.seen().get(subject)?.clone();
        (Instant::now() < seen.until).then_some(seen)
    }

    fn remember(&self, subject: &str, id: Option<String>) {
        let now = Instant::now();
        let mut seen = self.seen();
        if seen.len() >= MOST {
            seen.retain(|_, seen| now < seen.until);
        }
        if seen.len() >= MOST {
            seen.clear();
        }
        let long = if id.is_some() { KNOWN_FOR } else { UNKNOWN_FOR };
        let until = now + long;
        seen.insert(subject.to_owned(), Seen { id, until });
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
