//! Both types that have their wishes in JSON, through the one door.

use serde_json::json;

use super::*;
use crate::domain::request::{OutputFormat, Quality, Request};

/// A row of an app that writes nothing but a payload.
fn row(kind: &str, payload: &Value) -> ClaimedJob {
    ClaimedJob {
        kind: kind.to_owned(),
        base_prompt: None,
        payload: Some(payload.to_string()),
        ..ClaimedJob::usual()
    }
}

fn parsed(kind: &str, payload: &Value) -> Request {
    let request = Request::parse(&row(kind, payload));
    request.unwrap_or_else(|error| panic!("{payload}: {error}"))
}

fn prompts(request: &Request) -> Vec<&str> {
    (1..=request.images)
        .map(|index| &**request.prompts.of(index))
        .collect()
}

fn urls(names: &[&str]) -> Vec<Picture> {
    let url = |name: &&str| Picture::Url(format!("https://a.example/{name}"));
    names.iter().map(url).collect()
}

#[test]
fn the_payload_of_an_app_is_read_as_it_is() {
    let request = parsed(
        "image_generation",
        &json!({
            "clientId": "client-123",
            "productIds": ["prod-1"],
            "prompt": "Modern living room with sofa",
            "settings": {"aspectRatio": "16:9"},
        }),
    );

    assert_eq!(
        prompts(&request),
        ["Modern living room with sofa. The image has the aspect ratio 16:9 (landscape)."]
    );
    assert_eq!(request.aspect_ratio.map(AspectRatio::as_str), Some("16:9"));
    assert_eq!(request.pictures, []);
    assert!(!request.keeps_shape);
}

#[test]
fn a_prompt_for_each_image_says_how_many() {
    let request = parsed(
        "image_generation",
        &json!({"prompts": ["a lake", " a hill ", "a sea"], "numImages": 3, "prompt": null}),
    );

    assert_eq!(request.images, 3);
    assert_eq!(prompts(&request), ["a lake", "a hill", "a sea"]);
}

#[test]
fn images_are_one_unless_said_and_any_whole_number_up_to_a_hundred() {
    let images = |said: Value| {
        let payload = json!({"prompt": "a lake", "numImages": said, "prompts": []});
        parsed("image_generation", &payload).images
    };

    assert_eq!(images(Value::Null), 1);
    assert_eq!(images(json!(1)), 1);
    assert_eq!(images(json!(2.0)), 2);
    assert_eq!(images(json!(100)), 100);
}

#[test]
fn pictures_come_in_the_order_of_their_lists() {
    let request = parsed(
        "image_generation",
        &json!({
            "prompt": "a sofa",
            "referenceImages": ["https://a.example/4"],
            "images": ["https://a.example/1", "https://a.example/2"],
            "productImages": ["https://a.example/3"],
        }),
    );

    assert_eq!(request.pictures, urls(&["1", "2", "3", "4"]));
}

#[test]
fn columns_count_where_the_payload_says_nothing() {
    let columns = ClaimedJob {
        base_prompt: Some("a lake".to_owned()),
        training_urls: Some(json!(["https://a.example/column"]).to_string()),
        aspect_ratio: Some("1:1".to_owned()),
        ..row(
            "image_generation",
            &json!({"prompt": " ", "images": [], "settings": null}),
        )
    };

    let request = Request::parse(&columns).unwrap();

    assert_eq!(
        prompts(&request),
        ["a lake. The image has the aspect ratio 1:1 (square)."]
    );
    assert_eq!(request.pictures, urls(&["column"]));

    let wishes =
        json!({"prompts": ["a hill"], "images": ["https://a.example/said"], "aspectRatio": "3:2"});
    let both = ClaimedJob {
        payload: Some(wishes.to_string()),
        ..columns.clone()
    };
    let request = Request::parse(&both).unwrap();
    assert_eq!(
        prompts(&request),
        ["a hill. The image has the aspect ratio 3:2 (landscape)."]
    );
    assert_eq!(request.pictures, urls(&["said"]));

    let none = ClaimedJob {
        payload: None,
        ..columns
    };
    assert!(Request::parse(&none).is_ok());
}

#[test]
fn null_and_blank_say_nothing_whatever_the_type() {
    for nothing in [Value::Null, json!(""), json!(" ")] {
        let blank = |name: &str| (name.to_owned(), nothing.clone());
        let fields = ["imageSize", "quality", "outputFormat", "inputFidelity"];
        let mut payload: Map<String, Value> = fields.into_iter().map(blank).collect();
        for kind in ["photo_generation", "image_generation"] {
            for model in ["gpt-image-1.5", "gemini-3-pro-image"] {
                let row = ClaimedJob {
                    base_prompt: Some("a lake".to_owned()),
                    model: model.to_owned(),
                    ..row(kind, &Value::Object(payload.clone()))
                };
                let request = Request::parse(&row).unwrap_or_else(|it| panic!("{row:?}: {it}"));
                assert_eq!(request.image_size, None);
            }
        }
        payload.extend(["prompts", "numImages", "images", "aspectRatio"].map(blank));
        payload.insert("prompt".to_owned(), json!("a lake"));
        payload.insert("settings".to_owned(), json!({"aspectRatio": "16:9"}));
        let request = parsed("image_generation", &Value::Object(payload));
        assert_eq!(request.aspect_ratio.map(AspectRatio::as_str), Some("16:9"));
    }
    // As PHP writes an object without fields.
    parsed(
        "image_generation",
        &json!({"prompt": "a lake", "settings": []}),
    );
}

#[test]
fn settings_say_how_and_what_stands_beside_them_goes_before() {
    let of_openai = ClaimedJob {
        model: "gpt-image-1.5".to_owned(),
        ..row(
            "image_edit",
            &json!({
                "editPrompt": "make the sky red", "sourceImageUrl": "https://a.example/1",
                "settings": {"quality": "low", "outputFormat": "webp", "imageSize": "1024x1024", "mood": 7},
                "quality": "high",
            }),
        )
    };

    let request = Request::parse(&of_openai).unwrap();

    assert_eq!(request.options.quality, Quality::High);
    assert_eq!(request.options.output_format, OutputFormat::Webp);
    assert_eq!(request.image_size, Some("1024x1024"));
}

#[test]
fn what_makes_no_sense_is_told_by_its_field() {
    let check = |payload: Value, says: &str| {
        let error = Request::parse(&row("image_generation", &payload)).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(says), "{payload}: {error}");
        assert!(error.ends_with('.'), "{error}");
    };
    let number = "it must be a whole number from 1 to 100";
    let prompt = |more: Value| {
        let mut payload = json!({"prompt": "a lake"});
        payload
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        payload
    };

    check(json!([7]), "\"payload\" must be a JSON object");
    check(json!("prompt"), "\"payload\" must be a JSON object");
    check(json!({}), "\"prompt\" in \"payload\" is empty");
    check(
        json!({"prompt": "  "}),
        "\"prompt\" in \"payload\" is empty",
    );
    check(
        json!({"prompt": ["a"]}),
        "\"prompt\" in \"payload\" must be a text",
    );
    check(
        json!({"prompts": "a lake"}),
        "\"prompts\" in \"payload\" must be a list of texts",
    );
    check(json!({"prompts": ["a", " "]}), "Number 2 of \"prompts\"");
    check(json!({"prompts": [7]}), "Number 1 of \"prompts\"");
    check(prompt(json!({"prompts": ["b"]})), "leave one of them out");
    check(
        json!({"prompts": vec!["a"; 101]}),
        "holds 101 texts; a job makes 1 to 100 images",
    );
    check(
        json!({"prompts": ["a", "b"], "numImages": 3}),
        "\"numImages\" in \"payload\" is 3, but \"prompts\" holds 2",
    );
    check(
        json!({"prompts": ["a", "x".repeat(32_001)]}),
        "Prompt 2 has 32001 characters",
    );
    for images in [
        json!(0),
        json!(-1),
        json!(101),
        json!(2.5),
        json!(1e300),
        json!("3"),
        json!([]),
    ] {
        check(prompt(json!({ "numImages": images })), number);
    }
    check(
        prompt(json!({"images": "https://a.example/1"})),
        "\"images\" in \"payload\" must be a list",
    );
    check(
        prompt(json!({"referenceImages": [{"url": "x"}]})),
        "\"referenceImages\" in \"payload\" holds something",
    );
    check(
        prompt(json!({"images": ["upload:../me.png"]})),
        "\"images\" in \"payload\" names an upload that cannot exist",
    );
    check(
        prompt(json!({"images": vec!["https://a.example/1"; 33]})),
        "33 input images",
    );
    check(
        prompt(json!({"settings": "16:9"})),
        "\"settings\" in \"payload\" must be a JSON object",
    );
    check(
        prompt(json!({"settings": {"aspectRatio": 1.5}})),
        "\"aspectRatio\" in \"payload\" must be a text",
    );
    check(
        prompt(json!({"settings": {"aspectRatio": "7:5"}})),
        "\"7:5\" is not one that",
    );
    check(
        prompt(json!({"settings": {"imageSize": "2K"}})),
        "1K pictures only",
    );
}
