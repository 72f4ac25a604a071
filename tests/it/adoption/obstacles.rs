//! What stops an adoption before any change, with the SQL that clears the way.
