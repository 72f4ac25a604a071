//! What the tables of both halves share, and the words that people read.

use serde_json::{Value, json};

use super::*;
pub(super) use crate::providers::seen::{Seen, message};

pub(super) fn answered(status: u16, body: &[u8]) -> CallResult {
    classify(
        StatusCode::from_u16(status).unwrap(),
        &HeaderMap::new(),
        body,
    )
}

#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "the rows of a table read better without borrowing"
)]
pub(super) fn check(status: u16, body: &Value, expected: Seen) {
    let result = answered(status, body.to_string().as_bytes());

    assert_eq!(Seen::of(result), expected, "{status} {body}");
}

pub(super) fn thought(mut part: Value) -> Value {
    part["thought"] = json!(true);
    part
}

pub(super) fn finished(reason: &str, parts: &[Value]) -> Value {
    json!({
        "candidates": [{
            "content": {"role": "model", "parts": parts},
            "finishReason": reason,
            "index": 0,
        }],
        "usageMetadata": {
            "promptTokenCount": 263,
            "candidatesTokenCount": 1290,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 5},
                {"modality": "IMAGE", "tokenCount": 258},
            ],
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
        },
        "modelVersion": "gemini-2.5-flash-image",
        "responseId": "abc123",
    })
}

#[track_caller]
fn check_message(status: u16, body: &Value, expected: &str) {
    let result = answered(status, body.to_string().as_bytes());

    assert_eq!(message(result), expected);
}

#[test]
fn messages_are_sentences_with_the_providers_words_but_no_links() {
    check_message(
        200,
        &finished(
            "STOP",
            &[
                thought(json!({"text": "The user wants a kite."})),
                json!({"text": "I cannot draw\nthat,"}),
                json!({"text": "see https://example.com/why instead."}),
            ],
        ),
        "The provider answered without an image: I cannot draw that, see instead.",
    );
    check_message(
        200,
        &finished("BRAND_NEW", &[]),
        "The provider answered without an image (BRAND_NEW).",
    );
    check_message(
        200,
        &finished(
            "STOP",
            &[
                json!({"text": "Here it is: ![kite](data:image/png;base64,iVBORw0KGgo=) and https://cdn.example/kite.png"}),
            ],
        ),
        "The provider answered without an image: Here it is: and",
    );
    check_message(
        200,
        &finished("BRAND\0_\n\u{1b}[31mNEW", &[]),
        "The provider answered without an image (BRAND_[31mNEW).",
    );
    check_message(
        200,
        &json!({"candidates": [{"finishReason": "NO_IMAGE", "finishMessage": "Unable to show the image."}]}),
        "The provider answered without an image (NO_IMAGE): Unable to show the image.",
    );
    check_message(
        200,
        &json!({"promptFeedback": {"blockReason": "BRAND_NEW"}}),
        "The provider refused the prompt or an input image because of its rules (BRAND_NEW). Change them and try again.",
    );
    check_message(
        400,
        &json!({"error": {"message": "Image too small, see https://ai.google.dev/limits"}}),
        "The provider rejected the request (HTTP 400): Image too small, see",
    );
    check_message(
        503,
        &json!({"error": {"message": ""}}),
        "The provider had a problem of its own (HTTP 503).",
    );
    check_message(401, &json!({}), "HTTP 401");
}

#[test]
fn a_chatty_model_is_cut_short() {
    let said = "kite ".repeat(1_000);

    let text = message(answered(
        200,
        finished("STOP", &[json!({"text": said})])
            .to_string()
            .as_bytes(),
    ));

    assert!(text.chars().count() < 400, "{}", text.len());
}
