//! Storage as the rest of the program sees it: one contract, kept by every storage there is.

mod contract;
mod places;
