//! `safelight demo`: the main job with nothing configured.

pub mod cluster;
