use super::*;

const PNG: &[u8] = &[0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];
const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xe0];

fn read_sent(route: Route, key: &str, sent: Sent) -> Reading {
    let accounts = HashMap::from([("k1".to_owned(), "one".to_owned())]);
    let mut headers = HeaderMap::new();
    headers.insert("authorization", format!("Bearer {key}").parse().unwrap());
    read(&accounts, route, &headers, Ok(sent))
}

fn sent(fields: &[(&str, &str)], files: Vec<File>) -> Sent {
    let fields = fields
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Sent {
        fields: fields.collect(),
        files,
    }
}

fn file(field: &str, name: Option<&str>, mime: Option<&str>, bytes: &[u8]) -> File {
    File {
        field: field.to_owned(),
        name: name.map(str::to_owned),
        mime: mime.map(str::to_owned),
        bytes: bytes.to_vec(),
    }
}

fn png() -> File {
    file("image[]", Some("a.png"), Some("image/png"), PNG)
}

#[track_caller]
fn refused(route: Route, sent: Sent, code: &str, said: &str) {
    let error = read_sent(route, "k1", sent).ask.unwrap_err();
    let told = &error.body["error"];
    assert_eq!(told["code"].as_str().unwrap_or(""), code, "{told}");
    assert!(told["message"].as_str().unwrap().contains(said), "{told}");
}

#[test]
fn sizes_follow_model_and_wish() {
    let check = |model: &str, size: &str, expected: Option<(u32, u32)>| {
        let wish = sent(&[("model", model), ("prompt", "a"), ("size", size)], vec![]);
        let ask = read_sent(Route::Generations, "k1", wish).ask;
        let sides = ask.ok().map(|ask| (ask.size.width, ask.size.height));
        assert_eq!(sides, expected, "{model} {size}");
    };

    check("gpt-image-1.5", "1024x1536", Some((1024, 1536)));
    check("gpt-image-1.5", "auto", Some((1024, 1024)));
    check("gpt-image-1.5", "864x1536", None);
    check("gpt-image-2", "864x1536", Some((864, 1536)));
    check("gpt-image-2", "860x1536", None);
    check("gpt-image-2", "256x1536", None);
    check("gpt-image-1.5", "2K", None);
}

#[test]
fn a_request_is_read_as_strictly_as_openai_reads_it() {
    let (generations, edits) = (Route::Generations, Route::Edits);
    let base = [("model", "gpt-image-1.5"), ("prompt", "a")];
    let with = |name, text| [base[0], base[1], (name, text)];
    let no = "";

    refused(
        generations,
        sent(&with("response_format", "b64_json"), vec![]),
        "unknown_parameter",
        "'response_format'",
    );
    refused(
        generations,
        sent(&with("input_fidelity", "high"), vec![]),
        "unknown_parameter",
        "'input_fidelity'",
    );
    refused(
        edits,
        sent(&with("moderation", "low"), vec![png()]),
        "unknown_parameter",
        "'moderation'",
    );
    let mini = [
        ("model", "gpt-image-1-mini"),
        base[1],
        ("input_fidelity", "high"),
    ];
    refused(
        edits,
        sent(&mini, vec![png()]),
        "invalid_input_fidelity_model",
        "mini",
    );
    refused(
        generations,
        sent(&with("quality", "hd"), vec![]),
        "invalid_value",
        "hd",
    );
    refused(
        generations,
        sent(&with("output_format", "gif"), vec![]),
        "invalid_value",
        "gif",
    );
    refused(
        generations,
        sent(&with("n", "2"), vec![]),
        "invalid_value",
        "2",
    );
    refused(
        generations,
        sent(&base[..1], vec![]),
        "missing_required_parameter",
        "prompt",
    );
    let long = "a".repeat(LONGEST_PROMPT + 1);
    let long = [base[0], ("prompt", long.as_str())];
    refused(generations, sent(&long, vec![]), no, "too long");
    let gone = [("model", "gpt-image-9"), base[1]];
    refused(
        generations,
        sent(&gone, vec![]),
        "invalid_value",
        "gpt-image-9",
    );
    refused(
        edits,
        sent(&base, vec![]),
        "missing_required_parameter",
        "image",
    );
    let many = (0..17).map(|_| png()).collect();
    refused(edits, sent(&base, many), no, "too many images");
    for (odd, said) in [
        (file("image[]", None, Some("image/png"), PNG), "image/png"),
        (file("image[]", Some("a"), None, PNG), "octet-stream"),
        (
            file("image[]", Some("a"), Some("image/png"), JPEG),
            "image/png",
        ),
        (
            file("image[]", Some("a"), Some("image/gif"), b"GIF89a"),
            "image/gif",
        ),
    ] {
        refused(
            edits,
            sent(&base, vec![odd]),
            "unsupported_file_mimetype",
            said,
        );
    }
}

#[test]
fn what_could_be_read_is_known_even_of_a_refused_call() {
    let wish = sent(
        &[("model", "gpt-image-1"), ("prompt", "a")],
        vec![png(), png()],
    );

    let reading = read_sent(Route::Edits, "wrong", wish);

    assert_eq!(
        (
            reading.account.as_str(),
            reading.model.as_str(),
            reading.images_in
        ),
        ("", "gpt-image-1", 2)
    );
    let error = reading.ask.unwrap_err();
    assert_eq!(error.status, 401);
    assert_eq!(error.body["error"]["code"], "invalid_api_key");
}

#[test]
fn one_picture_alone_may_be_called_image_and_auto_follows_it() {
    let mut bytes = Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(90, 165)
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    let alone = file("image", Some("a.png"), Some("image/png"), bytes.get_ref());
    let wish = sent(&[("model", "gpt-image-1"), ("prompt", "a")], vec![alone]);

    let ask = read_sent(Route::Edits, "k1", wish).ask.unwrap();

    assert_eq!((ask.size.width, ask.size.height), (1024, 1536));
}
