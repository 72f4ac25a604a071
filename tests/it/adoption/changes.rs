//! What an adoption changes: shown before, printed as SQL, the same after any accident.
