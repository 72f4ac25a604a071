//! Pictures from outside: where they may come from, what they are, and what we make of them.
//!
//! Everything here is handed bytes or URLs that a stranger chose. `fetch` is the only code that
//! opens a user's URL, `address` says which machines it may reach, `format` tells what a file is
//! by its bytes, and `decode` opens it within limits. `cache` keeps what was prepared.
//!
//! Nothing here knows jobs, tenants or storage.

pub mod address;
pub mod cache;
pub mod decode;
pub mod fetch;
pub mod format;

pub use cache::Cache;
pub use decode::{Cut, DecodeError, Decoder, Inspected};
pub use fetch::{
    FetchError, FetchPolicy, Fetcher, HostPort, ServiceKey, SupabaseAccess, UnusableUrl,
};
pub use format::{NotAPicture, PictureFormat};

/// `"errorCode"` of an input that no later try will mend.
pub(crate) const INVALID_INPUT: &str = "invalid_input_image";
