//! safelight
pub mod domain;
pub mod providers;
