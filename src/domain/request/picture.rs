//! Where an input picture comes from.

use serde_json::Value;

use super::{RequestError, invalid};

/// An input picture, as a row names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picture {
    /// A URL that a user wrote: only the guarded client may open it.
    Url(String),
    /// A file that this tenant uploaded, by name: `{sha256}.{ext}`.
    Upload(String),
}

impl Picture {
    /// `upload:{sha256}.{ext}` or a URL. Whether the URL may be opened is the fetcher's to say. `place` is
    /// where the row has it, as a sentence calls that.
    pub(super) fn parse(text: &str, place: &str) -> Result<Self, RequestError> {
        let text = text.trim();
        let Some(name) = text.strip_prefix("upload:") else {
            return Ok(Self::Url(text.to_owned()));
        };
        let is_name = name.split_once('.').is_some_and(|(hash, extension)| {
            hash.len() == 64
                && hash
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
                && matches!(extension, "jpg" | "png" | "webp")
        });
        if is_name {
            Ok(Self::Upload(name.to_owned()))
        } else {
            Err(invalid(format!(
                "{place} names an upload that cannot exist: an upload is \"upload:\", 64 hex digits and .jpg, .png or .webp."
            )))
        }
    }

    /// A list of them.
    pub(super) fn parse_all(texts: &[Value], place: &str) -> Result<Vec<Self>, RequestError> {
        let pictures = texts.iter().map(|text| match text.as_str() {
            Some(text) => Self::parse(text, place),
            None => Err(invalid(format!(
                "{place} holds something that is not a text."
            ))),
        });
        pictures.collect()
    }
}
