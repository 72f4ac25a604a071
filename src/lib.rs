//! safelight
pub mod db;
pub mod domain;
pub mod providers;
