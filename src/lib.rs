//! safelight
pub mod db;
pub mod domain;
