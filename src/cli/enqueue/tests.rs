use super::*;
use crate::domain::model::DEFAULT_MODEL;
use crate::storage::{Local, Storage};
use clap::Parser;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    enqueue: EnqueueCommand,
}

fn job(flags: &[&str]) -> NewJob {
    let words = ["enqueue", "a red bicycle"].iter().chain(flags);
    let line = Line::try_parse_from(words).expect("arguments");
    line.enqueue.new_job(&[])
}

/// A picture of one pixel.
fn png() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(1, 1)
        .write_to(&mut bytes, image::ImageFormat::Png)
        .expect("a picture");
    bytes.into_inner()
}

#[test]
fn what_is_not_said_is_left_to_the_table() {
    let job = job(&[]);

    assert_eq!(job.prompt, "a red bicycle");
    assert_eq!((job.images, job.max_attempts), (None, None));
    assert!(job.priority.is_none() && job.payload.is_none() && job.pictures.is_empty());
}

#[test]
fn flags_become_columns() {
    let job = job(&[
        "--images",
        "2",
        "--priority",
        "urgent",
        "--image-size",
        "2K",
        "--team",
        "7",
    ]);

    assert_eq!(job.images, Some(2));
    assert_eq!(job.priority.as_deref(), Some("urgent"));
    assert_eq!(job.payload, Some(json!({"imageSize": "2K"})));
    assert_eq!(job.team_id.as_deref(), Some("7"));
}

#[test]
fn an_edit_makes_one_picture_of_the_first_image_unless_told_otherwise() {
    let words = ["enqueue", "make the sky red", "--type", "image_edit"];
    let edit = |more: &[&str]| {
        let line = Line::try_parse_from(words.iter().chain(more)).expect("arguments");
        let image = Input::Named("https://example.com/me.jpg".to_owned());
        line.enqueue.new_job(&[image])
    };

    let one = edit(&[]);
    assert_eq!((one.wanted(), one.kind), (1, Some(JobType::ImageEdit)));
    assert!(check(&one, DEFAULT_MODEL).is_ok());
    assert_eq!(edit(&["--images", "3"]).wanted(), 3);
    assert_eq!(job(&[]).wanted(), 4);
    assert!(Line::try_parse_from(["enqueue", "a lake", "--type", "tryon"]).is_err());
}

#[test]
fn what_a_worker_would_refuse_is_wrong_usage() {
    let refused = |flags: &[&str], model: &str, expected: &str| match check(&job(flags), model) {
        Err(CommandError::Usage(why)) => assert!(why.contains(expected), "{why}"),
        other => panic!("{flags:?}: {other:?}"),
    };

    assert!(check(&job(&["--aspect-ratio", "16:9"]), DEFAULT_MODEL).is_ok());
    refused(
        &["--aspect-ratio", "7:5"],
        DEFAULT_MODEL,
        "Aspect ratio \"7:5\"",
    );
    refused(&["--image-size", "2K"], DEFAULT_MODEL, "1K pictures only");
    refused(&[], "dall-e-2", "Unknown model");
}

#[tokio::test]
async fn a_file_is_stored_under_the_name_that_the_row_has() {
    let folder = tempfile::tempdir().expect("a folder");
    // A name says nothing: it is the bytes that count.
    let path = folder.path().join("me.jpg");
    std::fs::write(&path, png()).expect("a file");
    let storage = Storage::Local(Local::new(folder.path().join("photos")));
    let tenant = Tenant::of(Some("7"), None);

    let input = Input::open(path.to_str().expect("a path"))
        .await
        .expect("a picture");
    let name = input.name();
    input.store(&storage, &tenant).await.expect("stored");

    let file = name.strip_prefix("upload:").expect("an upload");
    assert_eq!(file.split_once('.').map(|(_, end)| end), Some("png"));
    let stored = folder.path().join("photos/uploads/team=3A7").join(file);
    assert_eq!(std::fs::read(stored).expect("stored"), png());
}

#[tokio::test]
async fn what_is_no_picture_is_wrong_usage() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut broken = png();
    broken.truncate(broken.len() - 4);
    let large = vec![0xff; crate::images::fetch::MAX_BYTES + 1];
    let table: [(&str, &[u8], &str); 4] = [
        ("text.png", b"hello", "not a JPEG, PNG or WebP picture"),
        ("film.jpg", b"GIF89a....", "is GIF, which is not supported"),
        ("half.png", &broken, "damaged or incomplete"),
        ("large.jpg", &large, "larger than 10 MB"),
    ];

    for (name, bytes, expected) in table {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");

        let result = Input::open(path.to_str().expect("a path")).await;

        let Err(CommandError::Usage(why)) = result else {
            panic!("{name}: {result:?}");
        };
        assert!(why.contains(expected) && why.contains(name), "{why}");
    }
    assert!(Input::open("/nowhere/me.jpg").await.is_err());
}

#[tokio::test]
async fn a_url_goes_into_the_row_as_it_is() {
    for name in ["https://example.com/a.jpg", "upload:abc.png"] {
        let input = Input::open(name).await.expect("a name");

        assert_eq!(input.name(), name);
        assert!(!input.is_file());
    }
}

#[test]
fn metadata_goes_on_letter_by_letter() {
    let text = r#"{"order": 12345678901234567890.10, "order": 2}"#;

    let job = job(&["--metadata", text]);

    assert_eq!(job.metadata.as_ref().map(Json::as_str), Some(text));
}

#[test]
fn what_is_no_json_no_time_and_no_key_is_wrong_usage() {
    let refused = |flag: &str, value: &str| {
        let line = Line::try_parse_from(["enqueue", "a red bicycle", flag, value]);
        assert!(line.is_err(), "{flag} {value}");
    };

    refused("--metadata", "{order: 1}");
    refused("--expires-in", "soon");
    refused("--idempotency-key", "");
    refused("--idempotency-key", &"k".repeat(256));
}
