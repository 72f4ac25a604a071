//! safelight
pub mod domain;
pub mod images;
pub mod pipeline;
pub mod storage;
