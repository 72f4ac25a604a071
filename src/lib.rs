//! safelight
pub mod app;
pub mod cli;
pub mod config;
pub mod db;
pub mod domain;
pub mod images;
pub mod pipeline;
pub mod providers;
pub mod storage;
pub mod telemetry;
pub mod worker;
