//! Pictures in answers: each is put into its slot past the JSON writer, as base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Stands where a picture belongs. Quoted, it cannot occur inside another JSON text, because
/// quotes within a text are escaped.
pub(super) const SLOT: &str = "<picture>";

/// A file as it goes into its slot.
pub(super) fn in_base64(file: &[u8]) -> String {
    STANDARD.encode(file)
}

/// The answer as text, with the pictures in their slots, in order. They go past the JSON writer,
/// which would look at each of their two million letters in turn.
pub(super) fn bind(answer: &Value, pictures: &[String]) -> Vec<u8> {
    let text = answer.to_string();
    let slot = format!("\"{SLOT}\"");
    let mut pieces = text.split(slot.as_str());
    let mut body = pieces.next().unwrap_or_default().to_owned();
    for (piece, picture) in pieces.zip(pictures) {
        body.push('"');
        body.push_str(picture);
        body.push('"');
        body.push_str(piece);
    }
    body.into_bytes()
}
