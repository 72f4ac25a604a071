//! A picture inside an answer, spelled in base64.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::domain::Failure;

/// The standard alphabet. Padding says nothing that the length does not, so it may be missing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The file; `None` where the text is no picture.
pub(super) fn picture(base64: &str) -> Option<Vec<u8>> {
    let bytes = BASE64.decode(base64).ok()?;
    is_picture(&bytes).then_some(bytes)
}

/// By its first bytes: JPEG, PNG or WebP. Whether the rest is whole, the decoder finds out.
fn is_picture(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xFF\xD8\xFF")
        || bytes.starts_with(b"\x89PNG\r\n\x1A\n")
        || (bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"))
}

pub(super) fn not_a_picture() -> Failure {
    Failure::retry(
        "unreadable_picture",
        "The provider sent something that is not an image.",
    )
}
