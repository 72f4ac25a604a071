//! The rows: what each sets, and the sentence that it ends with.

use serde_json::{Map, Value, json};

use crate::harness::OddHost;

/// Longest prompt that is taken, in characters.
const LONGEST_PROMPT: usize = 32_000;

/// A row as an app writes it: the columns it sets, besides the usual ones.
pub(super) struct Row {
    pub(super) columns: Map<String, Value>,
    /// `code attempts` and part of the sentence; `None` for a row that is done.
    pub(super) fails: Option<(&'static str, String)>,
}

fn row(columns: Value) -> Map<String, Value> {
    let Value::Object(columns) = columns else {
        panic!("a row is an object: {columns}");
    };
    columns
}

fn bad(columns: Value, ends: &'static str, says: impl Into<String>) -> Row {
    Row {
        columns: row(columns),
        fails: Some((ends, says.into())),
    }
}

fn good(columns: Value) -> Row {
    Row {
        columns: row(columns),
        fails: None,
    }
}

/// One input picture.
fn input(url: &str) -> Value {
    json!({"trainingImageUrls": [url]})
}

const INVALID_REQUEST: &str = "invalid_request 0";
const INVALID_INPUT: &str = "invalid_input_image 0";
const UNAVAILABLE: &str = "input_unavailable 2";

/// What the row itself says wrong.
pub(super) fn senseless() -> Vec<Row> {
    let many: Vec<String> = (0..100_000)
        .map(|n| format!("https://a.example/{n}"))
        .collect();
    let request = |columns, says: &str| bad(columns, INVALID_REQUEST, says);
    vec![
        request(json!({"type": "video"}), "Unknown job type \"video\""),
        request(json!({"type": ""}), "Unknown job type"),
        request(
            json!({"type": "x\n\u{1b}[31m".repeat(1000)}),
            "Unknown job type",
        ),
        request(json!({"aspectRatio": "7:5"}), "\"7:5\" is not one that"),
        request(json!({"aspectRatio": "\u{ff11}:1"}), "is not one that"),
        request(
            json!({"numImagesPerExample": 0}),
            "a job makes 1 to 100 images",
        ),
        request(
            json!({"numImagesPerExample": -1}),
            "a job makes 1 to 100 images",
        ),
        request(
            json!({"numImagesPerExample": 100_000}),
            "a job makes 1 to 100 images",
        ),
        request(
            json!({"numImagesPerExample": i32::MAX}),
            "a job makes 1 to 100 images",
        ),
        request(json!({"basePrompt": null}), "no prompt"),
        request(json!({"basePrompt": " \n\u{2003}"}), "no prompt"),
        request(
            json!({"basePrompt": "x".repeat(100 * 1024)}),
            "at most 32000 are taken",
        ),
        request(
            json!({"basePrompt": "\u{1f642}".repeat(LONGEST_PROMPT + 1)}),
            "32001 characters",
        ),
        request(json!({"model": "dall-e"}), "Unknown model \"dall-e\""),
        request(json!({"model": "../../models/x?key="}), "Unknown model"),
        request(
            json!({"provider": "midjourney"}),
            "\"midjourney\" is not supported",
        ),
        request(json!({"payload": {"imageSize": "8K"}}), "1K pictures only"),
        request(json!({"payload": {"imageSize": [2]}}), "must be a text"),
        request(
            json!({"payload": nested(500)}),
            "\"payload\" holds JSON that cannot be read",
        ),
        request(
            json!({"trainingImageUrls": {"url": "https://a.example/1.png"}}),
            "must be a JSON array",
        ),
        request(
            json!({"trainingImageUrls": "[\"https://a.example/1.png\"]"}),
            "must be a JSON array",
        ),
        request(json!({"trainingImageUrls": 7}), "must be a JSON array"),
        request(json!({"trainingImageUrls": [null]}), "not a text"),
        request(
            json!({"trainingImageUrls": [["https://a.example/1.png"]]}),
            "not a text",
        ),
        request(json!({"trainingImageUrls": nested(500)}), "cannot be read"),
        request(json!({"trainingImageUrls": many}), "100000 input images"),
        bad(
            json!({"expiresAt": "2020-01-01T00:00:00Z"}),
            "expired 0",
            "expired before it could be done",
        ),
    ]
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!("https://a.example/1.png"), |inner, _| json!([inner]))
}

/// What a row of a type with a payload says wrong in it.
pub(super) fn misspelled() -> Vec<Row> {
    let of = |kind: &str, payload: Value, says: &str| {
        let columns = json!({"type": kind, "payload": payload, "basePrompt": null});
        bad(columns, INVALID_REQUEST, says)
    };
    let generation = |payload, says: &str| of("image_generation", payload, says);
    let source = "https://a.example/1.png";
    vec![
        generation(json!(null), "\"prompt\" in \"payload\" is empty"),
        generation(json!([1, "2"]), "\"payload\" must be a JSON object"),
        generation(nested(500), "\"payload\" holds JSON that cannot be read"),
        generation(json!({"prompt": {"text": "a lake"}}), "must be a text"),
        generation(
            json!({"prompt": "a lake", "numImages": 2.5}),
            "\"numImages\" in \"payload\" is 2.5; it must be a whole number",
        ),
        generation(
            json!({"prompt": "a lake", "numImages": 1e300}),
            "it must be a whole number from 1 to 100",
        ),
        generation(
            json!({"prompt": "a lake", "numImages": "2"}),
            "it must be a whole number from 1 to 100",
        ),
        generation(
            json!({"prompt": "a lake", "numImages": 0}),
            "it must be a whole number from 1 to 100",
        ),
        generation(
            json!({"prompts": vec!["a lake"; 1000]}),
            "holds 1000 texts; a job makes 1 to 100 images",
        ),
        generation(
            json!({"prompts": ["a lake", null]}),
            "Number 2 of \"prompts\" in \"payload\"",
        ),
        generation(
            json!({"prompts": ["a lake"], "prompt": "a hill"}),
            "leave one of them out",
        ),
        generation(
            json!({"prompt": "a lake", "settings": {"aspectRatio": "7:5"}}),
            "\"7:5\" is not one that",
        ),
        generation(
            json!({"prompt": "a lake", "images": ["upload:../../etc/passwd"]}),
            "\"images\" in \"payload\" names an upload that cannot exist",
        ),
        of(
            "image_edit",
            json!({"editPrompt": "make the sky red"}),
            "There is no picture to edit",
        ),
        of(
            "image_edit",
            json!({"sourceImageUrl": source, "editPrompt": "\n"}),
            "\"editPrompt\" in \"payload\" is empty",
        ),
        of(
            "image_edit",
            json!({"sourceImageUrl": 7, "editPrompt": "make the sky red"}),
            "\"sourceImageUrl\" in \"payload\" must be a text",
        ),
        bad(
            json!({"type": "image_edit", "payload": {"sourceImageUrl": "file:///etc/passwd"}}),
            INVALID_INPUT,
            "does not begin with https://",
        ),
    ]
}

/// URLs that are not opened at all.
pub(super) fn unusable() -> Vec<Row> {
    let of = |url: &str, says: &str| bad(input(url), INVALID_INPUT, says);
    let not_public = "does not lead to a public host";
    let not_https = "does not begin with https://";
    let hash = "0a".repeat(32);
    vec![
        of("https://127.0.0.1/x.png", not_public),
        of("https://[::ffff:127.0.0.1]/x.png", not_public),
        of("https://2130706433/x.png", not_public),
        of("https://169.254.169.254/latest/meta-data", not_public),
        of("https://10.0.0.1/x.png", not_public),
        of("https://localhost/x.png", not_public),
        of("http://127.0.0.1:5432/x.png", not_https),
        of("http://a.example/x.png", not_https),
        of("file:///etc/passwd", not_https),
        of("data:image/png;base64,iVBORw0KGgo=", not_https),
        of("https://a.example:22/x.png", "names a port"),
        of(
            "https://me:hunter2@a.example/x.png",
            "a user name or a password",
        ),
        of("https://a.example/100%.png", "write %25"),
        of("https://a.example/%zz.png", "write %25"),
        of("https://a.example/%00.png", "control character"),
        of(
            "https://a.example/x.png\r\nHost: b.example/y.png",
            "control character",
        ),
        of(
            &format!("https://a.example/{}", "x".repeat(100_000)),
            "more than 8192 characters",
        ),
        of("https://[fe80::1%25eth0]/x.png", "cannot be read"),
        of("photos/me.png", "cannot be read"),
        of("", "cannot be read"),
        of(" \t ", "cannot be read"),
        bad(
            json!({"exampleImageUrl": "file:///etc/passwd"}),
            INVALID_INPUT,
            not_https,
        ),
        bad(
            input("upload:../../etc/passwd"),
            INVALID_REQUEST,
            "names an upload that cannot exist",
        ),
        // Another tenant's: whether it exists there is not told.
        of(
            &format!("upload:{hash}.png"),
            "does not exist or has expired",
        ),
    ]
}

/// What servers answer that is no picture, and will not be on a later try either.
pub(super) fn no_pictures(host: &OddHost) -> Vec<Row> {
    let of = |path: &str, says: &str| bad(input(&host.url(path)), INVALID_INPUT, says);
    vec![
        of("/redirect.png?t0ken", "leads to a redirect"),
        of("/page.png", "is a web page"),
        of("/drawing.png", "is SVG"),
        of("/animation.gif", "is GIF"),
        of("/telephone.heic", "is HEIC"),
        of("/empty.png", "is empty"),
        of("/half.png", "damaged or incomplete"),
        of("/less.png", "damaged or incomplete"),
        of("/giant.png", "too large: at most 16384 pixels a side"),
        of("/packed.png", "not a JPEG, PNG or WebP"),
        of("/large.png", "larger than 10 MB"),
        of("/unannounced.png", "larger than 10 MB"),
        of("/gone.png?t0ken", "answered 404 Not Found"),
        of("/private.png", "answered 403 Forbidden"),
        // The same row twice is two rows.
        of("/page.png", "is a web page"),
        bad(
            json!({"trainingImageUrls": [host.url("/good.png"), host.url("/page.png")],
                   "exampleImageUrl": host.url("/good.png")}),
            INVALID_INPUT,
            "Input image 2: The file is a web page",
        ),
    ]
}

/// What may be otherwise on a later try; all without a connection read the same, so that nobody can
/// tell a closed port from a name that leads inside.
pub(super) fn unavailable(host: &OddHost, closed: &str) -> Vec<Row> {
    let unreachable = "Input image 1: Its server could not be reached.";
    let of = |url: String, says: &str| bad(input(&url), UNAVAILABLE, says);
    vec![
        of(host.url("/drip.png"), "broke off before the whole file"),
        of(host.url("/more.png"), "broke off before the whole file"),
        of(host.url("/busy.png"), "answered 503 Service Unavailable"),
        of(host.url("/headers.png"), unreachable),
        of(
            host.url("/good.png").replace("http:", "https:"),
            unreachable,
        ),
        of(format!("http://{closed}/x.png"), unreachable),
        of("https://no-such-host.invalid/x.png".to_owned(), unreachable),
        // Not what it looks like, in Cyrillic letters.
        of(
            "https://\u{430}\u{440}\u{440}\u{4cf}\u{435}.invalid/x.png".to_owned(),
            unreachable,
        ),
    ]
}

/// Odd, and nothing wrong with them.
pub(super) fn fine(host: &OddHost) -> Vec<Row> {
    let prompts = [
        "a lake".to_owned(),
        "a lake".to_owned(),
        "\u{5d0}\u{5d2}\u{5dd} \u{202e}at night\u{202c} \u{628}\u{62d}\u{64a}\u{631}\u{629}"
            .to_owned(),
        "\u{1f469}\u{200d}\u{1f680} by a lake \u{1f3f4}\u{e0067}\u{e007f}".to_owned(),
        "\u{301}\u{489} a lake Z\u{351}\u{36b}\u{343}".to_owned(),
        "'); DROP TABLE photo_generation_queue; -- \" \\u0000 \\ ${HOME} %00 <b>".to_owned(),
        "x\t\r\n\u{1}\u{7f}\u{85}\u{2028}\u{feff}\u{fffd}\u{ffff}".to_owned(),
        "x".repeat(LONGEST_PROMPT),
        "\u{1f642}".repeat(LONGEST_PROMPT),
    ];
    let mut rows: Vec<Row> = prompts
        .iter()
        .map(|prompt| good(json!({"basePrompt": prompt})))
        .collect();
    rows.extend([
        good(json!({"basePrompt": null, "exampleImagePrompt": "a lake"})),
        good(json!({"aspectRatio": " 9:16 ", "priority": "at once", "provider": ""})),
        good(json!({"aspectRatio": "", "exampleImageUrl": " ", "trainingImageUrls": []})),
        good(json!({"trainingImageUrls": null, "payload": [1, "2"], "metadata": nested(500)})),
        good(json!({"payload": {"imageSizes": "8K"}, "styles": "none", "backgrounds": 1e300})),
        good(json!({"userId": "../../etc/passwd", "teamId": "\u{1f642}/..".repeat(200)})),
        good(json!({"maxAttempts": 0, "attempts": null, "requestId": "a b\nc"})),
        good(input(&format!("  {}\n", host.url("/good.png?t0ken")))),
        good(json!({"trainingImageUrls": [host.url("/deep.png"), host.url("/deep.png")]})),
        good(json!({"type": "image_generation", "numImagesPerExample": 0, "exampleImageUrl": "x"})),
        good(json!({"type": "image_generation", "payload": {"prompts": [], "numImages": 1.0, "seed": -7}})),
        good(
            json!({"type": "image_edit", "payload": {"sourceImageUrl": host.url("/deep.png"), "prompt": "red"}}),
        ),
        good(json!({"type": "image_edit", "payload": null, "trainingImageUrls": [host.url("/good.png")]})),
    ]);
    rows
}
