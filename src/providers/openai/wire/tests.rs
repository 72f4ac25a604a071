use serde_json::{Value, json};

use super::*;
use crate::domain::request::{InputFidelity, Options, OutputFormat, Quality};
use crate::domain::{AspectRatio, Model};

fn request(model: &str, pictures: usize) -> ImageRequest {
    let picture = PreparedPicture {
        mime: "image/jpeg",
        base64: "Zmlyc3Q=".into(),
        width: 30,
        height: 20,
    };
    ImageRequest {
        model: Model::from_name(model).unwrap(),
        prompt: "A red kite".into(),
        pictures: vec![picture; pictures].into(),
        aspect_ratio: None,
        image_size: None,
        options: Options::default(),
        manner: crate::providers::Manner::default(),
    }
}

fn fields(request: &ImageRequest) -> Value {
    serde_json::to_value(Fields::of(request)).unwrap()
}

#[test]
fn everything_that_has_a_default_elsewhere_is_set() {
    assert_eq!(
        fields(&request("gpt-image-1.5", 0)),
        json!({
            "model": "gpt-image-1.5",
            "prompt": "A red kite",
            "n": 1,
            "size": "auto",
            "quality": "medium",
            "output_format": "png",
        })
    );
}

#[test]
fn a_size_that_is_named_wins_over_the_ratio() {
    let mut request = request("gpt-image-1.5", 0);
    request.aspect_ratio = Some(AspectRatio::COMMON[7]);
    assert_eq!(fields(&request)["size"], "1024x1536");

    request.image_size = Some("1536x1024".into());

    assert_eq!(fields(&request)["size"], "1536x1024");
}

#[test]
fn input_fidelity_goes_only_where_there_is_an_input_and_the_model_takes_it() {
    let check = |model: &str, pictures: usize, expected: Value| {
        let mut request = request(model, pictures);
        request.options = Options {
            quality: Quality::Low,
            output_format: OutputFormat::Webp,
            input_fidelity: Some(InputFidelity::High),
        };
        assert_eq!(fields(&request)["input_fidelity"], expected, "{model}");
        assert_eq!(fields(&request)["quality"], "low");
        assert_eq!(fields(&request)["output_format"], "webp");
    };

    check("gpt-image-1", 1, json!("high"));
    check("gpt-image-1.5", 2, json!("high"));
    check("gpt-image-1.5", 0, Value::Null);
    check("gpt-image-1-mini", 1, Value::Null);
    check("gpt-image-2", 1, Value::Null);
}

#[test]
fn pictures_become_files_again() {
    let mut request = request("gpt-image-1", 1);
    let files_of = |request: &ImageRequest| {
        let files = files(&request.pictures)?;
        let told = files.into_iter().map(|file| (file.mime, file.bytes));
        Some(told.collect::<Vec<_>>())
    };
    assert_eq!(
        files_of(&request),
        Some(vec![("image/jpeg", b"first".to_vec())])
    );

    request.pictures = [PreparedPicture {
        mime: "image/jpeg",
        base64: "*".into(),
        width: 30,
        height: 20,
    }]
    .into();

    assert_eq!(files_of(&request), None);
}
