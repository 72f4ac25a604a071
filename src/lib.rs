//! safelight
pub mod domain;
pub mod images;
