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
            image_size: Some("2K"),
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

#[test]
fn a_picture_is_borrowed_from_the_body_it_came_in() {
    let body = br#"{"candidates":[{"content":{"parts":[{"inlineData":{"data":"AAAA"}}]}}]}"#;

    let answer: Answer<'_> = serde_json::from_slice(body).unwrap();

    let part = answer.parts().next().unwrap();
    let data = &part.inline_data.as_ref().unwrap().data;
    assert!(matches!(data, Cow::Borrowed("AAAA")));
}
