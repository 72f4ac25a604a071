//! The HTTP surface as its callers see it.

mod abuse;
mod auth;
mod batches;
mod elsewhere;
mod errors;
mod events;
mod files;
mod health;
mod jobs;
mod jwt;
mod metrics;
mod nextjs;
mod project;
mod schema;
mod seeds;
mod server;
mod tenants;
mod tick;
mod uploads;
mod zip;
