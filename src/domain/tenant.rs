//! Whose job it is.
//!
//! Team 7 and user 7 are different tenants, which is why the kind is part of the text wherever a
//! tenant is stored or compared.

use std::fmt;

/// `team:{teamId}`, else `user:{userId}`, else `none`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tenant(String);

impl Tenant {
    /// The tenant of a row. An empty id counts as absent, as apps insert both.
    pub fn of(team: Option<&str>, user: Option<&str>) -> Self {
        let named = |id: Option<&str>, kind| {
            id.filter(|id| !id.is_empty())
                .map(|id| format!("{kind}:{id}"))
        };
        Self(
            named(team, "team")
                .or_else(|| named(user, "user"))
                .unwrap_or_else(|| "none".to_owned()),
        )
    }

    /// A tenant as it was once written to a table.
    pub fn from_stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tenant as one folder of an object key: every byte outside `[A-Za-z0-9_-]` becomes
    /// `=XX`. `%` would be shorter to explain, but Supabase Storage refuses it and all non-ASCII.
    pub fn as_key_segment(&self) -> String {
        use fmt::Write as _;

        let mut segment = String::with_capacity(self.0.len() + 2);
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
                segment.push(char::from(byte));
            } else {
                let _ = write!(segment, "={byte:02X}");
            }
        }
        segment
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests;
