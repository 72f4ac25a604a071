use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::super::tests::{Seen, answered, check};
use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1A\n a picture";
const ID: [(&str, &str); 1] = [("x-request-id", "req_011")];

fn recorded(data: &Value) -> Value {
    json!({
        "created": 1_760_000_000,
        "background": "opaque",
        "data": data,
        "output_format": "png",
        "quality": "medium",
        "size": "1024x1536",
        "usage": {
            "input_tokens": 332,
            "input_tokens_details": {"image_tokens": 323, "text_tokens": 9},
            "output_tokens": 1584,
            "total_tokens": 1916,
        },
    })
}

#[test]
fn the_picture_comes_with_its_tokens_and_the_id_of_the_call() {
    let body = recorded(&json!([{"b64_json": BASE64_STANDARD.encode(PNG)}]));

    let result = answered(200, &ID, body.to_string().as_bytes());

    let CallResult::Picture(answer) = result else {
        panic!("{result:?}");
    };
    assert_eq!(answer.bytes, PNG);
    assert_eq!(answer.request_id.as_deref(), Some("req_011"));
    assert_eq!(
        answer.usage,
        Usage {
            input_tokens: Some(332),
            output_tokens: Some(1584),
            input_image_tokens: Some(323),
            output_image_tokens: None,
        }
    );
}

#[test]
fn a_success_without_a_picture_was_paid_and_is_tried_again() {
    check(200, &ID, &recorded(&json!([])), Seen::Empty("no_image"));
    check(200, &ID, &json!({}), Seen::Empty("no_image"));
    check(200, &ID, &recorded(&Value::Null), Seen::Empty("no_image"));
    check(
        200,
        &ID,
        &recorded(&json!([{"url": null}])),
        Seen::Empty("no_image"),
    );
    for text in ["*", "aGVsbG8=", ""] {
        check(
            200,
            &ID,
            &recorded(&json!([{"b64_json": text}])),
            Seen::Empty("unreadable_picture"),
        );
    }
}

#[test]
fn a_link_instead_of_the_picture_is_not_bought_again() {
    let body = recorded(&json!([{"url": "https://example.com/kite.png"}]));

    check(200, &ID, &body, Seen::EmptyAlways("picture_as_link"));
}

#[test]
fn a_picture_is_not_lost_because_its_tokens_are_told_oddly() {
    for usage in [
        json!(null),
        json!([]),
        json!("many"),
        json!({"input_tokens": "12", "output_tokens": 1584.5}),
    ] {
        let mut body = recorded(&json!([{"b64_json": BASE64_STANDARD.encode(PNG)}]));
        body["usage"] = usage;

        check(200, &ID, &body, Seen::Picture(PNG.to_vec()));
    }
}

#[test]
fn a_success_that_is_no_json_leaves_it_unknown_whether_it_was_made() {
    for body in [&b"<html>hello</html>"[..], b"{\"data\": [", b""] {
        let result = answered(200, &ID, body);
        let CallResult::Ambiguous(failure) = result else {
            panic!("{result:?}");
        };
        assert_eq!(failure.code, "unreadable_answer");
        assert_eq!(failure.provider_request_id.as_deref(), Some("req_011"));
    }
}

#[test]
fn tokens_of_pictures_are_told_apart_where_the_provider_does() {
    let picture = json!([{"b64_json": BASE64_STANDARD.encode(PNG)}]);
    let mut body = recorded(&picture);
    body["usage"]["output_tokens_details"] = json!({"image_tokens": 1500, "text_tokens": 84});

    let CallResult::Picture(answer) = answered(200, &ID, body.to_string().as_bytes()) else {
        panic!("no picture");
    };
    assert_eq!(answer.usage.output_image_tokens, Some(1500));

    // A picture is not lost because they are told oddly; nor are they when there is none.
    body["usage"]["input_tokens_details"] = json!("many");
    check(200, &ID, &body, Seen::Picture(PNG.to_vec()));
    let nothing = answered(200, &ID, recorded(&json!([])).to_string().as_bytes());
    let CallResult::Empty(failure) = nothing else {
        panic!("{nothing:?}");
    };
    assert_eq!(failure.usage.expect("is said").output_tokens, Some(1584));
}
