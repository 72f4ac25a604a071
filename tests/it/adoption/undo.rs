//! An adoption taken back.
