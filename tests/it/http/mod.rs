//! The HTTP surface as its callers see it.

mod auth;
mod batches;
mod errors;
mod events;
mod files;
mod jobs;
mod jwt;
mod project;
mod seeds;
mod tenants;
mod uploads;
mod zip;
