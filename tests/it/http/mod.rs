//! The HTTP surface as its callers see it.

mod errors;
mod health;
mod metrics;
mod server;
mod tick;
