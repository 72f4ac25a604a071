//! The HTTP surface as its callers see it.

mod batches;
mod errors;
mod events;
mod jobs;
mod seeds;
mod tenants;
