use serde_json::json;

use super::*;
use crate::domain::JobType;

fn job(payload: &Value) -> ClaimedJob {
    ClaimedJob {
        kind: JobType::TryOn.to_string(),
        base_prompt: None,
        images: 1,
        model: tryon::MODEL.to_owned(),
        payload: Some(payload.to_string()),
        ..ClaimedJob::usual()
    }
}

const ME: &str = "https://a.example/me.png";
const COAT: &str = "https://a.example/coat.png";

#[test]
fn the_person_comes_first_and_the_garments_follow() {
    let hat = format!("upload:{}.jpg", "0a".repeat(32));
    let job =
        job(&json!({"personImage": ME, "garmentImages": [COAT, hat], "prompt": "By the sea."}));

    let request = Request::parse(&job).expect("can be worked");

    assert_eq!(
        request.pictures,
        [
            Picture::Url(ME.to_owned()),
            Picture::Url(COAT.to_owned()),
            Picture::Upload(hat["upload:".len()..].to_owned()),
        ]
    );
    assert_eq!((request.images, request.image_size), (1, Some("2K")));
    let prompt = request.prompts.of(1);
    assert!(prompt.ends_with("By the sea."), "{prompt}");
}

#[test]
fn a_model_is_asked_for_the_size_it_draws() {
    let payload = json!({"personImage": ME, "garmentImages": [COAT]});
    let mut job = job(&payload);
    job.model = "gemini-2.5-flash-image".to_owned();

    let request = Request::parse(&job).expect("can be worked");

    assert_eq!(request.image_size, None);
    assert_eq!(**request.prompts.of(1), tryon::render_prompt(None));
}

#[test]
fn a_prompt_that_says_nothing_leaves_that_of_the_column() {
    for nothing in [Value::Null, json!(" ")] {
        let mut job = job(&json!({"personImage": ME, "garmentImages": [COAT], "prompt": nothing}));
        job.base_prompt = Some("By the sea.".to_owned());

        let request = Request::parse(&job).expect("can be worked");

        let prompt = request.prompts.of(1);
        assert!(prompt.ends_with("By the sea."), "{prompt}");
    }
}

#[test]
fn what_is_no_tryon_is_refused_with_a_sentence() {
    let check = |payload: Value, because: &str| {
        let error = Request::parse(&job(&payload)).expect_err("is refused");
        assert!(error.to_string().contains(because), "{error}");
    };
    let prompt = json!({"personImage": ME, "garmentImages": [COAT], "prompt": ["a", "b"]});
    check(prompt, "\"prompt\" in \"payload\" must be a text");

    check(json!([]), "\"payload\"");
    check(json!({"garmentImages": [COAT]}), "\"personImage\"");
    check(
        json!({"personImage": " ", "garmentImages": [COAT]}),
        "\"personImage\"",
    );
    check(json!({"personImage": ME}), "1 to 4");
    check(json!({"personImage": ME, "garmentImages": []}), "1 to 4");
    check(
        json!({"personImage": ME, "garmentImages": [COAT, COAT, COAT, COAT, COAT]}),
        "1 to 4",
    );
    check(
        json!({"personImage": ME, "garmentImages": [7]}),
        "\"garmentImages\"",
    );
    check(
        json!({"personImage": ME, "garmentImages": ["upload:x"]}),
        "upload",
    );
    check(
        json!({"personImage": ME, "garmentImages": [COAT], "imageSize": "9K"}),
        "9K",
    );
}
