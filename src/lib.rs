//! safelight
pub mod domain;
