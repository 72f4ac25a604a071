//! One attempt at a job, from its inputs to its stored pictures.
//!
//! Knows the domain, providers, images and storage. No SQL, so that it runs without Postgres.

pub mod inputs;
pub mod publish;
pub mod spool;
pub mod tryon;

pub use inputs::Inputs;
pub use spool::Spool;
