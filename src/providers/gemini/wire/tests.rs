use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::domain::{AspectRatio, Model};

fn request() -> ImageRequest {
    ImageRequest {
        model: Model::from_name("gemini-3-pro-image").unwrap(),
        prompt: "A \"red\" kite".into(),
        pictures: Arc::new([]),
        aspect_ratio: None,
        image_size: None,
        options: crate::domain::request::Options::default(),
        manner: crate::providers::Manner::default(),
    }
}

#[track_caller]
fn check(request: &ImageRequest, config: &serde_json::Value) {
    let body = serde_json::to_value(Body::of(request)).unwrap();

    assert_eq!(body["generationConfig"], *config);
}

#[test]
fn only_what_is_asked_for_is_configured() {
    let square = Some(AspectRatio::COMMON[0]);

    check(
        &request(),
        &json!({"responseModalities": ["TEXT", "IMAGE"]}),
    );
    check(
        &ImageRequest {
            aspect_ratio: square,
            ..request()
        },
        &json!({"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspectRatio": "1:1"}}),
    );
    check(
        &ImageRequest {
            image_size: Some("2K".into()),
            ..request()
        },
        &json!({"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"imageSize": "2K"}}),
    );
}

#[test]
fn a_prompt_without_pictures_is_one_part() {
    let body = serde_json::to_value(Body::of(&request())).unwrap();

    assert_eq!(
        body["contents"],
        json!([{"role": "user", "parts": [{"text": "A \"red\" kite"}]}])
    );
}

fn picture(content: &str) -> PreparedPicture {
    PreparedPicture {
        mime: "image/jpeg",
        base64: content.into(),
        width: 8,
        height: 8,
    }
}

#[test]
fn labels_stand_before_their_pictures_and_the_prompt_comes_last() {
    let request = ImageRequest {
        pictures: Arc::new([picture("AAAA"), picture("BBBB")]),
        manner: crate::providers::Manner {
            labels: Some(Arc::new(["The person:", "The garment:"])),
            sampling: Some(crate::providers::Sampling {
                temperature: 0.5,
                top_p: 0.75,
                top_k: 16,
            }),
            picture_only: true,
        },
        ..request()
    };

    let body = serde_json::to_value(Body::of(&request)).unwrap();

    let inline = |data| json!({"inlineData": {"mimeType": "image/jpeg", "data": data}});
    assert_eq!(
        body["contents"][0]["parts"],
        json!([{"text": "The person:"}, inline("AAAA"), {"text": "The garment:"}, inline("BBBB"),
               {"text": "A \"red\" kite"}])
    );
    check(
        &request,
        &json!({"responseModalities": ["IMAGE"], "temperature": 0.5, "topP": 0.75, "topK": 16}),
    );
}

#[test]
fn a_question_is_answered_as_json_the_same_each_time() {
    let question = Question {
        model: Model::for_words(),
        prompt: "Where?",
        picture: picture("AAAA"),
    };

    let body = serde_json::to_value(Body::of_question(&question)).unwrap();

    assert_eq!(
        body,
        json!({
            "contents": [{"role": "user", "parts": [
                {"inlineData": {"mimeType": "image/jpeg", "data": "AAAA"}}, {"text": "Where?"}]}],
            "generationConfig": {"responseMimeType": "application/json", "temperature": 0.0,
                                 "thinkingConfig": {"thinkingBudget": 0}},
        })
    );
}

#[test]
fn a_picture_is_borrowed_from_the_body_it_came_in() {
    let body = br#"{"candidates":[{"content":{"parts":[{"inlineData":{"data":"AAAA"}}]}}]}"#;

    let answer: Answer<'_> = serde_json::from_slice(body).unwrap();

    let part = answer.parts().next().unwrap();
    let data = &part.inline_data.as_ref().unwrap().data;
    assert!(matches!(data, Cow::Borrowed("AAAA")));
}
