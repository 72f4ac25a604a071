//! The program. All it can do is in the library beside it.

fn main() {}
