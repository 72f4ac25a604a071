//! What the product is: jobs, their states, and what an answer of a provider means.
//!
//! No IO, no async, no clock, no environment; nothing here knows Postgres or HTTP. Whoever wants
//! to know *what safelight decides* reads this folder, whoever wants to know *how it is done*
//! reads the others.

pub mod api_key;
pub mod backoff;
pub mod failure;
mod hex;
pub mod job;
mod job_type;
pub mod model;
pub mod occupation;
pub mod outcome;
mod priority;
pub mod request;
pub mod status;
pub mod step;
pub mod tenant;
pub mod tryon;
pub mod webhook;

pub use api_key::{ApiKey, KeyDigest, KeyOwner};
pub use failure::{CallResult, Failure};
pub use hex::hex;
pub use job::{ClaimedJob, ImageState, JobId};
pub use job_type::JobType;
pub use model::{Model, Provider};
pub use occupation::Occupation;
pub use outcome::Outcome;
pub use priority::Priority;
pub use request::{AspectRatio, Picture, Request, RequestError};
pub use status::Status;
pub use step::{Step, Target};
pub use tenant::Tenant;
