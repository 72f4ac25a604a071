use serde_json::json;

use super::*;

fn parsed(model: &str, payload: &Value) -> Result<Options, String> {
    let model = Model::from_name(model).unwrap();
    Options::parse(Some(payload), &model).map_err(|error| error.to_string())
}

#[test]
fn openai_is_told_all_of_it_and_medium_png_by_default() {
    let wanted = json!({"quality": "high", "outputFormat": "webp", "inputFidelity": "high"});

    assert_eq!(
        parsed("gpt-image-1.5", &wanted),
        Ok(Options {
            quality: Quality::High,
            output_format: OutputFormat::Webp,
            input_fidelity: Some(InputFidelity::High),
        })
    );
    let nothing = json!({"quality": null, "clientId": 7});
    let plain = parsed("gpt-image-1.5", &nothing).unwrap();
    assert_eq!(plain, Options::default());
    assert_eq!(
        (plain.quality.as_str(), plain.output_format.as_str()),
        ("medium", "png")
    );
}

#[test]
fn what_a_model_cannot_be_told_is_said() {
    let check = |model: &str, payload: Value, says: &str| {
        let error = parsed(model, &payload).unwrap_err();
        assert!(error.contains(says), "{error}");
    };

    check(
        "gpt-image-1.5",
        json!({"quality": "hd"}),
        "\"quality\" in \"payload\" must be one of low, medium, high, auto.",
    );
    check(
        "gpt-image-1.5",
        json!({"outputFormat": "gif"}),
        "png, jpeg, webp",
    );
    check("gpt-image-1", json!({"inputFidelity": 1}), "low, high");
    check(
        "gpt-image-2",
        json!({"inputFidelity": "high"}),
        "gpt-image-2 takes no \"inputFidelity\"",
    );
}

#[test]
fn gemini_reads_none_of_it() {
    let odd = json!({"quality": "hd", "outputFormat": 7, "inputFidelity": "high"});

    assert_eq!(parsed("gemini-3-pro-image", &odd), Ok(Options::default()));
}
