use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::super::tests::{Seen, answered, check, finished, thought};
use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1A\n the final picture";
const DRAFT: &[u8] = b"\xFF\xD8\xFF a draft";

fn picture(bytes: &[u8]) -> Value {
    json!({"inlineData": {"mimeType": "image/png", "data": BASE64_STANDARD.encode(bytes)}})
}

#[test]
fn the_final_picture_is_the_last_that_is_not_a_thought() {
    let png = || Seen::Picture(PNG.to_vec());
    let text = json!({"text": "Here is your kite."});

    check(200, &finished("STOP", &[text.clone(), picture(PNG)]), png());
    check(
        200,
        &finished("STOP", &[picture(DRAFT), picture(PNG), text]),
        png(),
    );
    check(
        200,
        &finished("STOP", &[picture(PNG), thought(picture(DRAFT))]),
        png(),
    );
    check(
        200,
        &finished("STOP", &[thought(picture(DRAFT)), thought(picture(PNG))]),
        png(),
    );
    let mut drafts = vec![thought(picture(DRAFT)); 10];
    drafts.push(picture(PNG));
    check(200, &finished("STOP", &drafts), png());
    check(200, &finished("MAX_TOKENS", &[picture(PNG)]), png());
    check(
        200,
        &json!({"candidates": [{"content": {"parts": [picture(PNG)]}}]}),
        png(),
    );
}

#[test]
fn a_draft_of_an_unfinished_or_refused_picture_is_not_delivered() {
    let draft = [thought(picture(DRAFT))];

    check(200, &finished("NO_IMAGE", &draft), Seen::Empty("no_image"));
    check(
        200,
        &finished("MAX_TOKENS", &draft),
        Seen::Empty("no_image"),
    );
    check(
        200,
        &finished("IMAGE_SAFETY", &draft),
        Seen::Refused("moderation_output"),
    );
    check(
        200,
        &finished("IMAGE_SAFETY", &[picture(PNG)]),
        Seen::Refused("moderation_output"),
    );
}

#[test]
fn a_picture_is_read_however_it_is_wrapped() {
    let data = BASE64_STANDARD.encode(PNG);
    let bytes = || Seen::Picture(PNG.to_vec());
    let part = |blob: Value| finished("STOP", &[blob]);

    check(200, &part(json!({"inline_data": {"data": data}})), bytes());
    check(
        200,
        &part(json!({"inlineData": {"data": data.trim_end_matches('=')}})),
        bytes(),
    );
    // Declared PNG, is JPEG.
    check(
        200,
        &finished("STOP", &[picture(DRAFT)]),
        Seen::Picture(DRAFT.to_vec()),
    );
    let escaped = part(json!({"inlineData": {"data": data}}))
        .to_string()
        .replace('=', r"\u003d");
    assert_eq!(Seen::of(answered(200, escaped.as_bytes())), bytes());
}

#[test]
fn what_is_not_a_picture_is_empty() {
    let part = |data: &str| finished("STOP", &[json!({"inlineData": {"data": data}})]);
    let empty = || Seen::Empty("unreadable_picture");
    let webp = b"RIFF\x10\0\0\0WEBPVP8 ";

    check(200, &part("not base64!"), empty());
    check(200, &part(""), empty());
    let cut = BASE64_STANDARD.encode(PNG);
    check(200, &part(&cut[..=cut.len() / 8 * 4]), empty());
    check(
        200,
        &finished("STOP", &[json!({"inlineData": {}})]),
        empty(),
    );
    check(200, &finished("STOP", &[picture(b"GIF89a")]), empty());
    check(
        200,
        &finished("STOP", &[picture(b"RIFF\x10\0\0\0WAVE")]),
        empty(),
    );
    check(
        200,
        &finished("STOP", &[picture(webp)]),
        Seen::Picture(webp.to_vec()),
    );
}

#[test]
fn tokens_and_id_come_with_the_picture_and_thinking_counts_as_output() {
    let mut body = finished("STOP", &[picture(PNG)]);
    body["usageMetadata"]["thoughtsTokenCount"] = json!(210);

    let CallResult::Picture(answer) = answered(200, body.to_string().as_bytes()) else {
        panic!("no picture");
    };

    assert_eq!(answer.request_id.as_deref(), Some("abc123"));
    assert_eq!(
        answer.usage,
        Usage {
            input_tokens: Some(263),
            output_tokens: Some(1_500),
            input_image_tokens: Some(258),
            output_image_tokens: Some(1_290),
        }
    );
}

#[test]
fn an_id_that_no_table_takes_is_cleaned() {
    let mut body = finished("STOP", &[picture(PNG)]);
    body["responseId"] = json!("ab\0c\n1");

    let CallResult::Picture(answer) = answered(200, body.to_string().as_bytes()) else {
        panic!("no picture");
    };

    assert_eq!(answer.request_id.as_deref(), Some("abc1"));
}

#[test]
fn usage_that_is_not_stated_is_unknown_and_not_zero() {
    let body = json!({"candidates": [{"content": {"parts": [picture(PNG)]}}]});

    let CallResult::Picture(answer) = answered(200, body.to_string().as_bytes()) else {
        panic!("no picture");
    };

    assert_eq!(answer.usage, Usage::default());
    assert_eq!(answer.request_id, None);
}

#[test]
fn moderation_refuses_for_good() {
    for reason in [
        "SAFETY",
        "PROHIBITED_CONTENT",
        "BLOCKLIST",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "RECITATION",
        "IMAGE_RECITATION",
    ] {
        let without_content = json!({"candidates": [{"finishReason": reason, "index": 0}]});
        check(200, &without_content, Seen::Refused("moderation_output"));
    }
    for reason in [
        "SAFETY",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "IMAGE_SAFETY",
        "MODEL_ARMOR",
        "JAILBREAK",
        "SOMETHING_NEW",
    ] {
        let body = json!({"promptFeedback": {"blockReason": reason}});
        check(200, &body, Seen::Refused("moderation_input"));
    }
}

#[test]
fn no_picture_is_tried_again_a_few_times_or_once() {
    for reason in ["STOP", "NO_IMAGE", "IMAGE_OTHER", "OTHER", "MAX_TOKENS"] {
        check(200, &finished(reason, &[]), Seen::Empty("no_image"));
    }
    for reason in [
        "LANGUAGE",
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "SOMETHING_NEW",
    ] {
        let once = || Seen::EmptyOnce("unexpected_finish");
        check(200, &finished(reason, &[]), once());
    }
    for body in [
        json!({}),
        json!({"candidates": []}),
        json!({"candidates": null}),
        json!({"candidates": [{}]}),
        json!({"candidates": [{"finishReason": "STOP", "index": 0}]}),
        json!({"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}]}),
        json!({"promptFeedback": {"blockReason": "OTHER"}}),
    ] {
        check(200, &body, Seen::Empty("no_image"));
    }
}

#[test]
fn a_success_that_cannot_be_read_is_ambiguous() {
    let whole = finished("STOP", &[picture(PNG)]).to_string();
    let cut = &whole.as_bytes()[..whole.len() - 1];

    for body in [cut, b"", b"<html>ok</html>", b"\xFF\xFE", b"[]x"] {
        assert_eq!(
            Seen::of(answered(200, body)),
            Seen::Ambiguous("unreadable_answer")
        );
    }
}

#[test]
fn an_answer_without_a_picture_has_used_its_tokens_all_the_same() {
    for (reason, parts) in [("NO_IMAGE", vec![]), ("IMAGE_SAFETY", vec![picture(PNG)])] {
        let result = answered(200, finished(reason, &parts).to_string().as_bytes());

        let (CallResult::Empty(failure) | CallResult::Refused(failure)) = result else {
            panic!("{result:?}");
        };
        let usage = failure.usage.expect("is said");
        assert_eq!(
            (usage.input_tokens, usage.output_tokens),
            (Some(263), Some(1_290))
        );
    }
}

#[test]
fn a_picture_is_not_lost_because_its_tokens_are_told_oddly() {
    for details in [
        json!("many"),
        json!([7, {"modality": "IMAGE", "tokenCount": "x"}]),
    ] {
        let mut body = finished("STOP", &[picture(PNG)]);
        body["usageMetadata"]["candidatesTokensDetails"] = details;

        check(200, &body, Seen::Picture(PNG.to_vec()));
    }
    for usage in [
        json!([]),
        json!({"promptTokenCount": "12", "candidatesTokenCount": 1290.5}),
    ] {
        let mut body = finished("STOP", &[picture(PNG)]);
        body["usageMetadata"] = usage;

        check(200, &body, Seen::Picture(PNG.to_vec()));
    }
}

/// What a question is answered with: the words, or the code of what went wrong.
fn words(answer: &Value) -> Result<String, &'static str> {
    match read_words(answer.to_string().as_bytes()) {
        CallResult::Words(words) => Ok(words.text),
        CallResult::Refused(failure) | CallResult::Empty(failure) => Err(failure.code),
        result @ (CallResult::Picture(_)
        | CallResult::Limited(_)
        | CallResult::Failed { .. }
        | CallResult::Ambiguous(_)) => panic!("{result:?}"),
    }
}

#[test]
fn the_answer_to_a_question_is_what_was_said_and_not_what_was_thought() {
    let text = |text: &str| json!({"text": text});

    let said = [
        thought(text("Let me see.")),
        text("{\"box_2d\":"),
        text("[1]}"),
    ];
    assert_eq!(
        words(&finished("STOP", &said)),
        Ok("{\"box_2d\": [1]}".to_owned())
    );
    // Cut short, it may say enough.
    assert_eq!(
        words(&finished("MAX_TOKENS", &[text("{")])),
        Ok("{".to_owned())
    );
    assert_eq!(words(&finished("STOP", &[])), Err("no_answer"));
    assert_eq!(words(&finished("STOP", &[picture(PNG)])), Err("no_answer"));
    assert_eq!(
        words(&finished("SAFETY", &[text("{}")])),
        Err("moderation_output")
    );
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}});
    assert_eq!(words(&blocked), Err("moderation_input"));
    assert!(matches!(
        read_words(b"{\"candidates\":"),
        CallResult::Ambiguous(_)
    ));
}
