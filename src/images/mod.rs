//! Pictures from outside: where they may come from, what they are, and what we make of them.
//!
//! Everything here is handed bytes or URLs that a stranger chose. `fetch` opens the URL of a user's
//! picture, `format` tells what a file is by its bytes, and `decode` opens it within limits. `cache`
//! keeps what was prepared.
//!
//! Nothing here knows jobs, tenants or storage.

pub mod cache;
pub mod decode;
pub mod fetch;
pub mod format;

pub use cache::Cache;
pub use decode::{Cut, DecodeError, Decoder, Inspected, Upright};
pub use fetch::{FetchError, FetchPolicy, Fetcher, ServiceKey, SupabaseAccess};
pub use format::{NotAPicture, PictureFormat};

/// `"errorCode"` of an input that no later try will mend.
pub(crate) const INVALID_INPUT: &str = "invalid_input_image";
