use super::*;
use serde_json::json;

const PNG: &[u8] = &[0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];
const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xe0];

fn read_body(target: &str, key: Option<&str>, body: &Value) -> Reading {
    let accounts = HashMap::from([("k1".to_owned(), "one".to_owned())]);
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        headers.insert("x-goog-api-key", key.parse().unwrap());
    }
    read(
        &accounts,
        target,
        &headers,
        Ok(&serde_json::to_vec(body).unwrap()),
    )
}

fn inline(mime: &str, bytes: &[u8]) -> Value {
    json!({"inlineData": {"mimeType": mime, "data": STANDARD.encode(bytes)}})
}

/// A body of these parts with this generation config.
#[expect(clippy::needless_pass_by_value, reason = "called with json! in place")]
fn body(parts: Value, config: Value) -> Value {
    json!({"contents": [{"role": "user", "parts": parts}], "generationConfig": config})
}

#[test]
fn sizes_follow_model_ratio_and_image_size() {
    let check = |model: &str, image_config: Value, expected: Result<(u32, u32), &str>| {
        let body = body(json!([{"text": "a"}]), json!({"imageConfig": image_config}));
        let ask = read_body(&format!("{model}:generateContent"), Some("k1"), &body).ask;
        match (ask, expected) {
            (Ok(ask), Ok(sides)) => {
                assert_eq!((ask.size.width, ask.size.height), sides, "{image_config}");
            }
            (Err(error), Err(said)) => {
                let body = error.body;
                assert_eq!(body["error"]["status"], "INVALID_ARGUMENT");
                assert!(
                    body["error"]["message"].as_str().unwrap().contains(said),
                    "{body}"
                );
            }
            (ask, expected) => panic!(
                "{model} {image_config}: {:?} is not {expected:?}",
                ask.map(|ask| ask.size)
            ),
        }
    };
    let (flash, pro, flash31) = (
        "gemini-2.5-flash-image",
        "gemini-3-pro-image",
        "gemini-3.1-flash-image",
    );

    check(flash, json!({}), Ok((1024, 1024)));
    check(flash, json!({"aspectRatio": "9:16"}), Ok((768, 1344)));
    check(flash, json!({"aspectRatio": "21:9"}), Ok((1536, 672)));
    check(
        flash,
        json!({"aspectRatio": "9:17"}),
        Err("aspect ratio: 9:17"),
    );
    check(
        flash,
        json!({"aspectRatio": "1:8"}),
        Err("aspect ratio: 1:8"),
    );
    check(flash, json!({"imageSize": "1K"}), Err("Image size 1K"));
    check(
        pro,
        json!({"aspectRatio": "16:9", "imageSize": "2K"}),
        Ok((2688, 1536)),
    );
    check(pro, json!({"imageSize": "4K"}), Ok((4096, 4096)));
    check(pro, json!({"imageSize": "4k"}), Err("Image size 4k"));
    check(pro, json!({"imageSize": "512"}), Err("Image size 512"));
    check(
        flash31,
        json!({"aspectRatio": "1:8", "imageSize": "512"}),
        Ok((192, 1536)),
    );
    check(
        flash31,
        json!({"outputMimeType": "image/jpeg"}),
        Err("outputMimeType"),
    );
}

#[test]
fn a_body_is_read_as_strictly_as_gemini_reads_it() {
    let check = |body: Value, said: &str| {
        let reading = read_body("gemini-2.5-flash-image:generateContent", Some("k1"), &body);
        let error = reading
            .ask
            .err()
            .map(|error| error.body)
            .unwrap_or_default();
        assert_eq!(error["error"]["code"], 400, "{body}");
        assert!(
            error["error"]["message"].as_str().unwrap().contains(said),
            "{body}: {error}"
        );
    };
    let text = || json!([{"text": "a"}]);

    check(json!({}), "contents is not specified");
    check(json!({"contents": []}), "contents is not specified");
    check(json!({"content": []}), "unknown field `content`");
    check(json!([1]), "Invalid JSON payload");
    check(
        json!({"contents": [{"role": "system", "parts": text()}]}),
        "valid role",
    );
    check(body(json!([{}]), json!({})), "exactly one of");
    check(
        body(
            json!([{"text": "a", "fileData": {"fileUri": "x"}}]),
            json!({}),
        ),
        "exactly one of",
    );
    check(
        body(json!([{"fileData": {"fileUri": ""}}]), json!({})),
        "fileUri",
    );
    check(
        body(json!([inline("image/jpg", JPEG)]), json!({})),
        "Unsupported MIME type: image/jpg",
    );
    check(
        body(json!([inline("image/gif", b"GIF89a")]), json!({})),
        "Unsupported MIME type: image/gif",
    );
    check(
        body(json!([inline("image/png", JPEG)]), json!({})),
        "Unable to process input image",
    );
    check(
        body(json!([inline("image/jpeg", b"")]), json!({})),
        "Unable to process input image",
    );
    check(
        body(
            json!([{"inlineData": {"mimeType": "image/png", "data": "*"}}]),
            json!({}),
        ),
        "Base64",
    );
    check(
        body(text(), json!({"responseModalities": ["PICTURE"]})),
        "response_modalities",
    );
    check(
        body(text(), json!({"responseModalities": ["TEXT"]})),
        "combination of response modalities",
    );
    check(
        body(text(), json!({"aspectRatio": "1:1"})),
        "unknown field `aspectRatio`",
    );
}

#[test]
fn what_could_be_read_is_known_even_of_a_refused_call() {
    let parts =
        json!([{"text": "a"}, inline("image/png", PNG), inline("image/jpg", JPEG), {"text": "b"}]);

    let reading = read_body(
        "gemini-2.5-flash-image:generateContent",
        None,
        &body(parts, json!({})),
    );

    assert_eq!(
        (reading.account.as_str(), reading.model.as_str()),
        ("", "gemini-2.5-flash-image")
    );
    assert_eq!((reading.prompt.as_str(), reading.images_in), ("a\nb", 2));
    let error = reading.ask.err().unwrap().body;
    assert_eq!(error["error"]["details"][0]["reason"], "API_KEY_INVALID");
}

#[test]
fn without_a_ratio_the_picture_follows_the_last_input() {
    let picture = |width, height| {
        let mut file = Cursor::new(Vec::new());
        image::DynamicImage::new_rgb8(width, height)
            .write_to(&mut file, image::ImageFormat::Png)
            .unwrap();
        inline("image/png", file.get_ref())
    };
    let parts = json!([picture(30, 20), picture(90, 165), {"text": "a"}]);

    let reading = read_body(
        "gemini-2.5-flash-image:generateContent",
        Some("k1"),
        &body(parts, json!({})),
    );

    assert_eq!(
        reading.ask.unwrap().size,
        Size {
            width: 768,
            height: 1344
        }
    );
}

#[test]
fn other_models_and_methods_are_not_found() {
    for target in [
        "gemini-2.5-flash-image-preview:generateContent",
        "gemini-2.5-flash-image:streamGenerateContent",
        "gemini-2.5-flash-image",
    ] {
        let reading = read_body(target, Some("k1"), &body(json!([{"text": "a"}]), json!({})));

        assert_eq!(
            reading.ask.err().unwrap().body["error"]["status"],
            "NOT_FOUND",
            "{target}"
        );
    }
}
