//! Who draws: the providers that safelight calls, and the simulator that stands in for them.

pub mod simulator;
