//! Storage as the rest of the program sees it: one contract, kept by every storage there is, and what
//! becomes of it when the storage or the way there is not well.

mod contract;
mod denied;
mod faults;
mod places;
mod proxy;
mod signing;
