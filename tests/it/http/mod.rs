//! The HTTP surface as its callers see it.

mod auth;
mod errors;
mod jwt;
mod project;
