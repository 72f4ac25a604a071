//! What one attempt at a job ends in: a closed set, turned into SQL in one place.
//!
//! Outcomes carry a length, never a moment: the statement adds it to the database's clock.

use std::time::Duration;

use super::Failure;

/// How long a job waits of which a picture lies in a spool. Whoever stores the last one brings the job
/// forward, so this is only how often it is looked at in vain while the storage is away.
const KEPT_WAIT: Duration = Duration::from_secs(30);

/// How an attempt ended. At most one attempt is counted, however many images erred.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing is left to do: every image is stored, refused, failed or ambiguous for good.
    /// The job is `completed` if any image is stored, else `failed`.
    Finished,
    /// The row itself cannot be worked, now or ever.
    Rejected(Failure),
    /// A retryable error: the attempt counts; at `"maxAttempts"` the job ends.
    Retry { failure: Failure, wait: Duration },
    /// Our own side broke in the middle, calls may be open: the attempt counts, but only the next
    /// claim, which settles them, may end the job. So does an error beside a picture that waits in a spool.
    Broken { failure: Failure, wait: Duration },
    /// This job's own call was refused by the provider; not counted.
    RateLimited { until: Resume, failure: Failure },
    /// Waits for quota or for the storage, or is handed back at shutdown; not counted.
    Released { resume: Resume },
    /// A picture of it is bought and waits in a spool; not counted.
    Kept { resume: Resume },
    /// The lease is gone: somebody canceled, deleted or took over. Nothing may be written.
    Lost,
}

impl Outcome {
    /// What it comes to when the job has expired meanwhile: what would be tried again ends. But not
    /// while calls may be open, and a job that is done stays done.
    #[must_use]
    pub fn past_expiry(self) -> Self {
        match self {
            Self::Retry { .. }
            | Self::RateLimited { .. }
            | Self::Released { .. }
            | Self::Kept { .. } => Self::Rejected(Failure::expired()),
            Self::Finished | Self::Rejected(_) | Self::Broken { .. } | Self::Lost => self,
        }
    }

    /// What it comes to while a picture of the job waits in a spool: it is paid for, so nothing that
    /// went wrong beside it ends the job before it is stored.
    #[must_use]
    pub fn while_kept(self) -> Self {
        match self {
            Self::Finished | Self::Rejected(_) => Self::Kept {
                resume: Resume::After(KEPT_WAIT),
            },
            Self::Retry { failure, wait } => Self::Broken { failure, wait },
            Self::Released { resume } | Self::Kept { resume } => Self::Kept {
                resume: resume.max(Resume::After(KEPT_WAIT)),
            },
            Self::Broken { .. } | Self::RateLimited { .. } | Self::Lost => self,
        }
    }
}

/// When a job that was not at fault may be claimed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resume {
    Now,
    After(Duration),
    /// The next midnight Pacific time, when Gemini's daily quota returns.
    NextQuotaDay,
}

/// How one image of the attempt ended; an attempt's outcome is the first of these, in the order
/// of the contract: lost, (canceled), retryable error, rate limited, waiting.
#[derive(Debug)]
pub enum ImageOutcome {
    /// Stored, refused, failed or ambiguous for good: written already.
    Settled,
    /// A retryable error, written already as `planned` with its error.
    Retryable(Failure),
    /// The provider refused this image's own call.
    RateLimited { until: Resume, failure: Failure },
    /// Never called: quota, cooldown, or shutdown.
    Waiting { resume: Resume },
    /// Bought, and kept in a spool until the storage takes it: written already.
    Kept,
    /// The lease is gone.
    Lost,
}

/// Sums up the images of one attempt. `wait_after_error` is the backoff of this attempt.
pub fn of_images(images: Vec<ImageOutcome>, wait_after_error: Duration) -> Outcome {
    let mut retry = None;
    let mut limited: Option<(Resume, Failure)> = None;
    let mut waiting: Option<Resume> = None;
    let mut kept = false;
    for image in images {
        match image {
            ImageOutcome::Settled => {}
            ImageOutcome::Lost => return Outcome::Lost,
            ImageOutcome::Retryable(failure) => retry = retry.or(Some(failure)),
            ImageOutcome::RateLimited { until, failure } => match &limited {
                Some((latest, _)) if *latest >= until => {}
                _ => limited = Some((until, failure)),
            },
            ImageOutcome::Waiting { resume } => waiting = waiting.max(Some(resume)),
            ImageOutcome::Kept => kept = true,
        }
    }
    let outcome = if let Some(failure) = retry {
        Outcome::Retry {
            failure,
            wait: wait_after_error,
        }
    } else if let Some((until, failure)) = limited {
        Outcome::RateLimited { until, failure }
    } else if let Some(resume) = waiting {
        Outcome::Released { resume }
    } else {
        Outcome::Finished
    };
    if kept { outcome.while_kept() } else { outcome }
}

#[cfg(test)]
mod tests;
