//! The HTTP surface as its callers see it.

mod errors;
mod files;
mod uploads;
mod zip;
