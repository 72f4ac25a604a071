//! The HTTP surface as its callers see it.

mod errors;
