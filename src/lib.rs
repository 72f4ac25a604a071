//! safelight
pub mod domain;
pub mod images;
pub mod storage;
