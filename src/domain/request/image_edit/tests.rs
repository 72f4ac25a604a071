use serde_json::{Value, json};

use super::*;
use crate::domain::request::Picture;

fn edit(payload: &Value) -> ClaimedJob {
    ClaimedJob {
        kind: "image_edit".to_owned(),
        base_prompt: None,
        payload: Some(payload.to_string()),
        ..ClaimedJob::usual()
    }
}

fn name(picture: &Picture) -> &str {
    match picture {
        Picture::Url(url) => url.trim_start_matches("https://a.example/"),
        Picture::Upload(name) => name,
    }
}

fn names(request: &Request) -> Vec<&str> {
    request.pictures.iter().map(name).collect()
}

#[test]
fn the_source_comes_first_and_the_prompt_is_taken_as_it_is() {
    let request = parse(&edit(&json!({
        "sourceImageUrl": "https://a.example/source",
        "editPrompt": "make the sky red",
        "referenceImages": ["https://a.example/sky"],
        "numImages": 2,
    })))
    .unwrap();

    assert_eq!(names(&request), ["source", "sky"]);
    assert_eq!(&**request.prompts.of(2), "make the sky red");
    assert_eq!(request.images, 2);
    assert!(request.keeps_shape);
    assert_eq!(request.aspect_ratio, None);
}

#[test]
fn a_ratio_that_is_named_goes_before_that_of_the_source() {
    let payload = json!({"sourceImageUrl": "https://a.example/1", "prompt": "make the sky red",
                         "settings": {"aspectRatio": "1:1"}});

    let request = parse(&edit(&payload)).unwrap();

    assert!(!request.keeps_shape);
    assert_eq!(
        &**request.prompts.of(1),
        "make the sky red. The image has the aspect ratio 1:1 (square)."
    );
}

#[test]
fn without_a_field_for_the_source_it_is_the_first_picture_there_is() {
    let columns = ClaimedJob {
        base_prompt: Some("make the sky red".to_owned()),
        training_urls: Some(json!(["https://a.example/1", "https://a.example/2"]).to_string()),
        payload: None,
        ..edit(&Value::Null)
    };

    assert_eq!(names(&parse(&columns).unwrap()), ["1", "2"]);

    let source = json!({"sourceImageUrl": "https://a.example/0"});
    let both = ClaimedJob {
        payload: Some(source.to_string()),
        ..columns
    };
    assert_eq!(names(&parse(&both).unwrap()), ["0", "1", "2"]);
}

#[test]
fn an_edit_of_nothing_or_without_a_wish_says_so() {
    let check = |payload: Value, says: &str| {
        let error = parse(&edit(&payload)).unwrap_err().to_string();
        assert!(error.contains(says), "{payload}: {error}");
    };
    let source = "https://a.example/1";

    check(
        json!({"editPrompt": "make the sky red"}),
        "There is no picture to edit: \"sourceImageUrl\" in \"payload\" is empty",
    );
    check(
        json!({"sourceImageUrl": source}),
        "\"editPrompt\" in \"payload\" is empty",
    );
    check(
        json!({"sourceImageUrl": source, "editPrompt": "a", "prompt": "b"}),
        "\"prompt\" and \"editPrompt\" in \"payload\" both say what to make",
    );
    check(
        json!({"sourceImageUrl": [source], "editPrompt": "a"}),
        "\"sourceImageUrl\" in \"payload\" must be a text",
    );
    check(
        json!({"sourceImageUrl": "upload:me.png", "editPrompt": "a"}),
        "\"sourceImageUrl\" in \"payload\" names an upload that cannot exist",
    );
    check(
        json!({"sourceImageUrl": source, "editPrompt": "a", "images": vec![source; 32]}),
        "33 input images",
    );
}
