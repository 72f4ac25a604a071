//! A message to an app: how it is signed and sent, and what its receiver's answer means.
//!
//! As Standard Webhooks has it, so that apps verify it with the library of their language. Which messages
//! there are, when they are due and what became of them stands in the database (`photo_generation_webhooks`)
//! and is for `worker::webhooks`; nothing here knows jobs, or tries anything twice.

mod secrets;
mod sender;

pub use secrets::{InvalidSecret, Secrets};
pub use sender::{Message, SendError, Sender};
