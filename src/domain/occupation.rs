//! What a worker process is occupied with, as it says itself to others in the same process.

/// As of the last look at the queue that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupation {
    /// Looks that have ended since the start.
    pub looks: u64,
    /// Jobs that run here.
    pub running: usize,
    /// There is something to claim, or there may be.
    pub due: bool,
}

impl Occupation {
    /// Nothing runs here, and the last look found nothing to claim.
    pub fn is_idle(self) -> bool {
        self.running == 0 && !self.due
    }
}
