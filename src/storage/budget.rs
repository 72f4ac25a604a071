//! How long a storage elsewhere may take, and how often it is asked: one budget for S3 and Supabase.
//!
//! A picture has been paid for when it is stored, and somebody waits when it is read: so a hiccup is
//! waited out here, and an outage is told soon, to those who know what to do about it. Nothing here
//! retries for ever.

use std::time::Duration;

/// A connection that is not there by then never comes.
const CONNECT: Duration = Duration::from_secs(5);
/// One request with its answer's head: 16 MB at 5 Mbit/s, or a server that thinks for long.
const ATTEMPT: Duration = Duration::from_secs(30);
/// One operation with all its tries and pauses; an upload in parts is one. Two tries that time out,
/// and one that does not.
const WHOLE: Duration = Duration::from_secs(75);
/// A download of which nothing comes for this long has broken.
const STALL: Duration = Duration::from_secs(10);
/// A reset, a restart of the server or its request to slow down are over by the third.
const TRIES: u32 = 3;
/// Before the second try; twice that before the third.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a storage elsewhere may take. The default is for the real world; tests have less time.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub connect: Duration,
    /// One request, up to the head of its answer.
    pub attempt: Duration,
    /// An operation with all its tries, but for reading piece by piece, whose reader sets the pace.
    pub whole: Duration,
    /// Silence in the middle of a download.
    pub stall: Duration,
    /// How often something is tried, the first time included.
    pub tries: u32,
    pub first_pause: Duration,
    pub longest_pause: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            connect: CONNECT,
            attempt: ATTEMPT,
            whole: WHOLE,
            stall: STALL,
            tries: TRIES,
            first_pause: FIRST_PAUSE,
            longest_pause: LONGEST_PAUSE,
        }
    }
}

impl Budget {
    /// Whether something that was tried this often may be tried again, and after which pause. The
    /// pause is jittered: many come back at once after an outage.
    pub(super) fn again_after(&self, tried: u32) -> Option<Duration> {
        let doublings = 1 << tried.saturating_sub(1).min(16);
        let pause = (self.first_pause * doublings).min(self.longest_pause);
        (tried < self.tries).then(|| pause.mul_f64(0.5 + fastrand::f64() / 2.0))
    }
}

#[cfg(test)]
mod tests;
