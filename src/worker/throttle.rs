//! Smooths calls inside this process: how many to a model at once, and how far apart.
//!
//! Seed 000's numbers, see [`Model::pace`]. This is a courtesy, not a limit: what the fleet may do
//! together is decided by the grant, in Postgres.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::Model;

/// One gate per model that this process has called.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    gates: Mutex<HashMap<Model, Arc<Gate>>>,
}

#[derive(Debug)]
struct Gate {
    slots: Arc<Semaphore>,
    /// `None` where calls may follow each other at once.
    spacing: Option<DefaultDirectRateLimiter>,
}

impl Throttle {
    /// Waits for a slot and for the gap to the call before; the slot is held until the permit is
    /// dropped.
    pub(super) async fn acquire(&self, model: &Model) -> Option<OwnedSemaphorePermit> {
        let gate = self.gate(model);
        // Never closed, so there is always a permit.
        let permit = gate.slots.clone().acquire_owned().await.ok();
        if let Some(spacing) = &gate.spacing {
            spacing.until_ready().await;
        }
        permit
    }

    fn gate(&self, model: &Model) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates
            .entry(model.clone())
            .or_insert_with(|| {
                let pace = model.pace();
                Arc::new(Gate {
                    slots: Arc::new(Semaphore::new(pace.concurrent)),
                    spacing: Quota::with_period(pace.apart).map(RateLimiter::direct),
                })
            })
            .clone()
    }
}
