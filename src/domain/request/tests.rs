use serde_json::json;

use super::*;
use prompts::MAX_PROMPT_CHARS;

#[track_caller]
fn refused(change: impl FnOnce(&mut ClaimedJob), because: &str) {
    let mut job = ClaimedJob::usual();
    change(&mut job);
    let message = Request::parse(&job).expect_err("is refused").to_string();
    assert!(
        message.contains(because),
        "{message:?} does not say {because:?}"
    );
}

#[test]
fn the_prompt_is_base_then_example_then_ratio_in_words() {
    let mut job = ClaimedJob::usual();
    job.example_prompt = Some("sitting by a lake".to_owned());
    job.aspect_ratio = Some("9:16".to_owned());

    let request = Request::parse(&job).expect("can be worked");

    assert_eq!(
        &**request.prompts.of(1),
        "A portrait of Ada. sitting by a lake. The image has the aspect ratio 9:16 (portrait)."
    );
}

#[test]
fn pictures_are_training_images_as_given_and_the_example_last() {
    let upload = format!("{}.jpg", "0a".repeat(32));
    let mut job = ClaimedJob::usual();
    job.training_urls =
        Some(json!(["https://a.example/1.png", format!("upload:{upload}")]).to_string());
    job.example_url = Some("https://a.example/example.png".to_owned());

    let request = Request::parse(&job).expect("can be worked");

    assert_eq!(
        request.pictures,
        [
            Picture::Url("https://a.example/1.png".to_owned()),
            Picture::Upload(upload),
            Picture::Url("https://a.example/example.png".to_owned()),
        ]
    );
}

#[test]
fn a_row_that_makes_no_sense_says_why() {
    refused(
        |job| job.kind = "video".to_owned(),
        "Unknown job type \"video\"",
    );
    refused(
        |job| job.aspect_ratio = Some("7:5".to_owned()),
        "\"7:5\" is not one that",
    );
    refused(|job| job.images = 0, "1 to 100 images");
    refused(|job| job.images = 100_000, "1 to 100 images");
    refused(|job| job.base_prompt = Some("  ".to_owned()), "no prompt");
    refused(
        |job| job.base_prompt = Some("x".repeat(100_000)),
        "100000 characters",
    );
    refused(
        |job| job.training_urls = Some(json!({"url": "x"}).to_string()),
        "must be a JSON array",
    );
    refused(
        |job| job.training_urls = Some(json!([1]).to_string()),
        "not a text",
    );
    refused(
        |job| job.training_urls = Some(json!(["upload:../../etc/passwd"]).to_string()),
        "cannot exist",
    );
    refused(|job| job.model = "dall-e".to_owned(), "Unknown model");
    refused(
        |job| job.provider = Some("stability".to_owned()),
        "gemini and openai are",
    );
    refused(
        |job| job.provider = Some("openai".to_owned()),
        "is one of provider gemini, but \"provider\" is \"openai\"",
    );
    refused(
        |job| job.payload = Some("{\"seed\":1e400}".to_owned()),
        "cannot be read",
    );
    refused(
        |job| job.payload = Some(json!({"imageSize": "2K"}).to_string()),
        "1K pictures only",
    );
}

#[test]
fn a_prompt_is_measured_in_characters_of_whatever_script() {
    for letter in ["x", "\u{1f642}", "\u{5d0}", "\u{301}"] {
        let mut job = ClaimedJob::usual();
        job.base_prompt = Some(letter.repeat(MAX_PROMPT_CHARS - 3));
        job.example_prompt = Some("y".to_owned());
        assert!(Request::parse(&job).is_ok(), "{letter}");

        // The words of the ratio are ours and do not count.
        job.aspect_ratio = Some("9:16".to_owned());
        assert!(Request::parse(&job).is_ok(), "{letter}");

        job.example_prompt = Some("yy".to_owned());
        assert!(Request::parse(&job).is_err(), "{letter}");
    }
}

#[test]
fn what_a_row_says_is_repeated_in_one_short_line() {
    let mut job = ClaimedJob::usual();
    job.kind = "a\n\u{1b}[31m\0b".repeat(1000);

    let message = Request::parse(&job).expect_err("is refused").to_string();

    assert!(!message.contains(char::is_control), "{message:?}");
    assert!(message.chars().count() < 400, "{message}");
}

#[test]
fn sizes_are_the_models_own() {
    let mut job = ClaimedJob::usual();
    job.model = "gemini-3-pro-image".to_owned();
    job.payload = Some(json!({"imageSize": "2K"}).to_string());

    assert_eq!(
        Request::parse(&job).expect("can be worked").image_size,
        Some("2K")
    );

    job.payload = Some(json!({"imageSize": "2k"}).to_string());
    assert!(Request::parse(&job).is_err());
}
