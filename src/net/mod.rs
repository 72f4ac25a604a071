//! The way to machines that strangers named: which of them may be reached, and the clients that reach
//! no others.
//!
//! A user may name any machine, ours and its neighbours among them, for a picture or for a webhook. So
//! the text of the URL is checked first (`target`), then every address that its host resolves to
//! (`address`), and the addresses that were checked are the ones connected (`client`): a name that
//! changes its mind in between gains nothing. What is sent there, and what is done with the answer, is
//! for others to say: `images::fetch` and `webhooks`.

pub mod address;
pub mod client;
pub mod target;

pub use client::{Clients, NoClient, to_one_service};
pub use target::{HostPort, InvalidHostPort, Target, UnusableUrl, readable};
