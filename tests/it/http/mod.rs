//! The HTTP surface as its callers see it.

mod batches;
mod errors;
mod events;
mod files;
mod jobs;
mod uploads;
mod zip;
