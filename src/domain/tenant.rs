//! Whose job it is.
//!
//! Team 7 and user 7 are different tenants, which is why the kind is part of the text wherever a
//! tenant is stored or compared.

use std::fmt;
use std::str::FromStr;

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

    /// The tenant whose folder this is, if it is one's.
    pub fn from_key_segment(segment: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(segment.len());
        let mut rest = segment.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            if first == b'=' {
                let hex = std::str::from_utf8(rest.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(hex, 16).ok()?);
                rest = &rest[2..];
            } else {
                bytes.push(first);
            }
        }
        let tenant = String::from_utf8(bytes).ok()?.parse::<Self>().ok()?;
        (tenant.as_key_segment() == segment).then_some(tenant)
    }
}

/// A text that names no tenant.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is no tenant: team:ID, user:ID, or none for jobs that name neither")]
pub struct InvalidTenant(String);

impl FromStr for Tenant {
    type Err = InvalidTenant;

    /// As a person writes it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let tenant = match text.split_once(':') {
            Some(("team", id)) if !id.is_empty() => Some(Self::of(Some(id), None)),
            Some(("user", id)) if !id.is_empty() => Some(Self::of(None, Some(id))),
            None if text == "none" => Some(Self::of(None, None)),
            Some(_) | None => None,
        };
        tenant.ok_or_else(|| InvalidTenant(text.to_owned()))
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests;
