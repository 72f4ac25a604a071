//! Jobs whose wishes are in their payload: pictures of a prompt for each, and edits in the shape of their
//! source.

use std::collections::BTreeMap;
use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use safelight::domain::Provider;
use safelight::domain::request::Request;
use safelight::providers::simulator::CallRecord;
use serde_json::{Value, json};

use crate::harness::{Stage, count, hangs};

const KEYS: &str = "--api-keys=7:key-of-team-seven,*:key-of-the-service";
const SEVEN: &str = "key-of-team-seven";
const SERVICE: &str = "key-of-the-service";

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_pixel(width, height, Rgb([200, 120, 40]))
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

impl Stage {
    /// Puts a picture of these sides where uploads of user 7's lie; how a job names it.
    fn upload_of_sides(&self, width: u32, height: u32) -> String {
        let folder = self.photos().join("uploads/user=3A7");
        std::fs::create_dir_all(&folder).unwrap();
        let name = format!("{:064x}.png", u64::from(width) << 32 | u64::from(height));
        std::fs::write(folder.join(&name), png(width, height)).unwrap();
        format!("upload:{name}")
    }

    /// Inserts a row as an app does that writes type and payload alone; returns its id.
    async fn wish(&self, kind: &str, model: &str, payload: &Value) -> i64 {
        sqlx::query_scalar(
            r#"INSERT INTO photo_generation_queue (type, model, payload, "userId")
               VALUES ($1, nullif($2, ''), $3, '7') RETURNING id"#,
        )
        .bind(kind)
        .bind(model)
        .bind(payload)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// The sides of a job's pictures, each once.
    async fn sides(&self, job: i64) -> String {
        self.text(&format!(
            r#"SELECT string_agg(DISTINCT concat(width, 'x', height), ' ')
               FROM photo_generation_images WHERE "jobId" = {job}"#
        ))
        .await
    }

    /// What each stored image of a job was called for with, by its index.
    async fn prompts(&self, job: i64) -> Vec<(i32, String)> {
        let log = self.simulator.log();
        let asked: BTreeMap<&str, &CallRecord> = log
            .iter()
            .map(|call| (call.response_id.as_str(), call))
            .collect();
        let calls: Vec<(i32, String)> = sqlx::query_as(
            r#"SELECT index, "providerRequestId" FROM photo_generation_calls
               WHERE "jobId" = $1 AND state = 'stored' ORDER BY index"#,
        )
        .bind(job)
        .fetch_all(&self.pool)
        .await
        .unwrap();
        let prompt = |(index, id): (i32, String)| (index, asked[id.as_str()].prompt.clone());
        calls.into_iter().map(prompt).collect()
    }
}

#[tokio::test]
async fn the_payload_of_an_app_becomes_photos() {
    let stage = Stage::new().await;
    let job = stage
        .wish(
            "image_generation",
            "",
            &json!({
                "clientId": "client-123",
                "productIds": ["prod-1"],
                "prompt": "Modern living room with sofa",
                "settings": {"aspectRatio": "16:9"},
                "images": [stage.upload_of_sides(30, 30)],
                "numImages": 2,
            }),
        )
        .await;
    assert_eq!(stage.end_of(job).await, "pending 0/2 attempts 0 lease 0");

    stage.drain().await;

    assert_eq!(stage.end_of(job).await, "completed 2/2 attempts 0 lease 2");
    assert_eq!(stage.sides(job).await, "168x96");
    let log = stage.simulator.log();
    assert!(log.iter().all(|call| call.images_in == 1));
    assert_eq!(
        log[0].prompt,
        "Modern living room with sofa. The image has the aspect ratio 16:9 (landscape)."
    );
    stage.assert_sound(2).await;
}

#[tokio::test]
async fn an_edit_has_the_shape_of_its_source_with_every_model() {
    let stage = Stage::new().await;
    // Left alone, a model follows the last picture, which is a square one here.
    let reference = stage.upload_of_sides(40, 40);
    let edit = async |model: &str, sides: (u32, u32), more: Value| {
        let mut payload = json!({
            "sourceImageUrl": stage.upload_of_sides(sides.0, sides.1),
            "referenceImages": [reference],
            "editPrompt": "make the sky red",
        });
        let fields = payload.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        stage.wish("image_edit", model, &payload).await
    };
    let none = || json!({});
    let edits = [
        (
            edit("gemini-2.5-flash-image", (300, 200), none()).await,
            "156x104",
        ),
        (
            edit("gemini-2.5-flash-image", (200, 300), none()).await,
            "104x156",
        ),
        (
            edit("gemini-3-pro-image", (400, 300), json!({"imageSize": "2K"})).await,
            "296x216",
        ),
        (
            edit("gemini-3.1-flash-image", (400, 50), none()).await,
            "384x48",
        ),
        (edit("gpt-image-1.5", (300, 200), none()).await, "192x128"),
        (
            edit("gpt-image-1-mini", (330, 300), none()).await,
            "128x128",
        ),
        (edit("gpt-image-2", (300, 200), none()).await, "192x128"),
        (edit("gpt-image-2", (360, 300), none()).await, "156x130"),
        (
            edit("gpt-image-2", (360, 300), json!({"aspectRatio": "9:16"})).await,
            "108x192",
        ),
    ];

    stage.drain_of(Provider::Gemini).await;
    stage.drain_of(Provider::OpenAi).await;

    for (job, sides) in edits {
        assert_eq!(
            stage.sides(job).await,
            sides,
            "{job}: {}",
            stage.dump().await
        );
        assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 2");
    }
    let log = stage.simulator.log();
    assert!(log.iter().all(|call| call.images_in == 2));
    let as_it_is = count(&log, |call| call.prompt == "make the sky red");
    assert_eq!(
        as_it_is, 8,
        "only the one that names a ratio says so in words"
    );
    stage.assert_sound(9).await;
}

#[tokio::test]
async fn each_variation_is_called_for_once_with_its_own_prompt() {
    let stage = Stage::new().await;
    let wishes: Vec<String> = (1..=12).map(|n| format!("variation {n}")).collect();
    let job = stage
        .wish("image_generation", "", &json!({ "prompts": wishes }))
        .await;

    stage.drain().await;

    let own = (1..=12).map(|n| (n, format!("variation {n}")));
    assert_eq!(stage.prompts(job).await, own.collect::<Vec<_>>());
    assert_eq!(
        stage.end_of(job).await,
        "completed 12/12 attempts 0 lease 2"
    );
    stage.assert_sound(12).await;
}

#[tokio::test]
async fn after_a_kill_only_the_missing_variation_is_called_for_with_its_prompt() {
    let stage = Stage::new().await;
    let wishes = json!({"prompts": ["a lake", "a hill [sim:hang@1]", "a sea"]});
    let job = stage.wish("image_generation", "", &wishes).await;
    let victim = stage.worker().await;
    stage.until_called(hangs).await;
    stage.until_stored(job, 2).await;

    victim.killed().await;
    let heir = stage.worker().await;
    stage.until_all_ended().await;

    assert_eq!(stage.calls_of(job).await, "ambiguous 1, stored 3");
    let log = stage.simulator.log();
    let asked = |prompt: &str| count(&log, |call| call.prompt.starts_with(prompt));
    assert_eq!(
        (asked("a lake"), asked("a hill"), asked("a sea")),
        (1, 2, 1)
    );
    let prompts = stage.prompts(job).await;
    assert_eq!(prompts[1], (2, "a hill [sim:hang@1]".to_owned()));
    stage.assert_sound(4).await;
    heir.stop().await;
}

#[tokio::test]
async fn over_http_each_type_is_enqueued_counted_and_worked() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let source = stage.upload_of_sides(300, 200);
    let cases = [
        (json!({"prompt": "a lake"}), 4, "a lake"),
        (
            json!({"type": "image_generation", "prompt": "a lake", "clientId": "c"}),
            1,
            "a lake",
        ),
        (
            json!({"type": "image_generation", "prompt": "a lake", "numImages": 3}),
            3,
            "a lake",
        ),
        (
            json!({"type": "image_generation", "prompts": ["a hill", "a sea"]}),
            2,
            "a hill",
        ),
        (
            json!({"type": "image_edit", "sourceImageUrl": source, "editPrompt": "make it red"}),
            1,
            "make it red",
        ),
        (
            json!({"type": "image_edit", "images": [source], "prompt": "make it red", "numImages": 2}),
            2,
            "make it red",
        ),
    ];
    let mut enqueued = Vec::new();
    for (mut body, images, prompt) in cases {
        body["userId"] = json!("7");
        let (status, accepted) = server.post("/api/generations", SERVICE, body.clone()).await;
        assert_eq!(status, 202, "{body}: {accepted}");
        assert_eq!(accepted["job"]["progress"]["total"], images, "{body}");
        let path = accepted["pollUrl"].as_str().unwrap();
        let (_, waiting) = server.get(path, SERVICE).await;
        // The database counts the same.
        assert_eq!(waiting["progress"]["total"], images, "{body}");
        assert_eq!(waiting["prompt"], prompt, "{body}");
        enqueued.push((accepted["id"].as_i64().unwrap(), images, body));
    }

    stage.drain().await;

    for (id, images, body) in enqueued {
        let end = format!("completed {images}/{images} attempts 0 lease 2");
        assert_eq!(stage.end_of(id).await, end, "{body}");
        if body["type"] == "image_edit" {
            assert_eq!(stage.sides(id).await, "156x104", "{body}");
        }
    }
    stage.assert_sound(13).await;
}

#[tokio::test]
async fn over_http_an_upload_of_an_edit_is_used_and_a_retry_asks_for_the_same() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let missing = format!("upload:{}.png", "0".repeat(64));
    let edit = |source: &str| json!({"type": "image_edit", "sourceImageUrl": source, "prompts": ["[sim:400] red", "[sim:400] blue"]});
    let (status, refused) = server.post("/api/generations", SEVEN, edit(&missing)).await;
    assert_eq!((status, &refused["code"]), (400, &json!("unknown_upload")));
    let request = server
        .request(reqwest::Method::POST, "/api/uploads")
        .bearer_auth(SEVEN)
        .header("content-type", "image/png");
    let (_, upload) = crate::harness::answer(request.body(png(300, 200))).await;
    let source = upload["url"].as_str().unwrap();
    let batch = json!({"jobs": [edit(source)]});
    let (status, accepted) = server.post("/api/batches", SEVEN, batch).await;
    assert_eq!(status, 202, "{accepted}");
    let used = r#"SELECT "usedAt" IS NOT NULL FROM photo_generation_uploads"#;
    assert_eq!(stage.text(used).await, "true");
    stage.drain().await;
    let path = accepted["jobs"][0]["pollUrl"].as_str().unwrap();
    let (_, failed) = server.get(path, SEVEN).await;
    assert_eq!(failed["status"], "failed", "{failed}");

    let (status, again) = server
        .post(&format!("{path}/retry"), SEVEN, json!({}))
        .await;
    assert_eq!(status, 201, "{again}");
    stage.drain().await;

    let same = r#"SELECT string_agg(DISTINCT concat_ws(' ', type, "trainingImageUrls", payload, "imagesTotal"), '|')
        FROM photo_generation_queue"#;
    assert_eq!(
        stage.text(same).await,
        format!(r#"image_edit ["{source}"] {{"prompts": ["[sim:400] red", "[sim:400] blue"]}} 2"#)
    );
    let log = stage.simulator.log();
    assert_eq!(count(&log, |call| call.images_in == 1), 4);
}

#[tokio::test]
async fn a_file_of_this_machine_is_edited_from_the_command_line() {
    let stage = Stage::new().await;
    std::fs::write(stage.photos().join("me.png"), png(200, 300)).unwrap();
    let storage = stage.storage();
    let enqueue = async |more: &[&str]| {
        let mut words = vec!["enqueue", "make the sky red", "--user=7", &storage[0]];
        words.extend(more);
        stage.safelight(&words).await
    };

    let taken = enqueue(&["--type", "image_edit", "--image", "me.png", "--images", "2"]).await;
    assert_eq!(taken.code, 0, "{taken:?}");
    assert!(
        taken
            .stdout
            .starts_with("Job 1 is enqueued: 2 images of \"make the sky red\""),
        "{taken:?}"
    );
    let generated = enqueue(&["--type", "image_generation"]).await;
    assert!(
        generated
            .stdout
            .starts_with("Job 2 is enqueued: 1 image of"),
        "{generated:?}"
    );
    let nothing = enqueue(&["--type", "image_edit"]).await;
    assert_eq!(nothing.code, 2);
    assert!(
        nothing.stderr.contains("say which one with --image"),
        "{nothing:?}"
    );
    stage.drain().await;

    assert_eq!(stage.sides(1).await, "104x156");
    assert_eq!(stage.end_of(1).await, "completed 2/2 attempts 0 lease 2");
    assert_eq!(stage.end_of(2).await, "completed 1/1 attempts 0 lease 2");
    let listed = stage.safelight(&["list", "--json"]).await;
    assert_eq!(listed.json()[0]["type"], "image_generation");
}

/// Rows of apps, as people see them: wherever the prompt is said.
#[tokio::test]
async fn the_prompt_is_shown_from_wherever_it_is_said() {
    let stage = Stage::new().await;
    for (payload, shown) in [
        (json!({"prompt": "a lake"}), "a lake"),
        (json!({"prompts": ["a hill", "a sea"]}), "a hill"),
        (json!({"prompts": []}), "column"),
        (json!({"prompt": "", "clientId": 7}), "column"),
        (json!([1]), "column"),
        (json!("prompt"), "column"),
    ] {
        let job = stage.wish("image_generation", "", &payload).await;
        stage
            .sql(&format!(
                r#"UPDATE photo_generation_queue SET "basePrompt" = 'column' WHERE id = {job}"#
            ))
            .await;

        let listed = stage.safelight(&["show", &job.to_string(), "--json"]).await;

        assert_eq!(listed.json()["prompt"], shown, "{payload}");
    }
}

#[tokio::test]
async fn people_see_the_prompt_that_is_called_for() {
    let stage = Stage::new().await;
    let holder = stage.holder("a worker").await;
    let url = "https://a.example/a.png";
    let check = async |kind: &str, payload: Value| {
        let job = stage.wish(kind, "", &payload).await;
        let base = r#"SET "basePrompt" = 'kite' WHERE id ="#;
        stage
            .sql(&format!("UPDATE photo_generation_queue {base} {job}"))
            .await;
        let (_, claimed) = holder.claim().await;
        let asked = Request::parse(&claimed).unwrap().prompts.of(1).clone();
        let shown = stage
            .text(&format!(
                r#"SELECT photo_generation_prompt(type, "basePrompt", payload)
                   FROM photo_generation_queue WHERE id = {job}"#
            ))
            .await;
        stage
            .sql("UPDATE photo_generation_queue SET status = 'canceled'")
            .await;
        if kind == "tryon" {
            // Which goes with instructions of ours.
            assert!(asked.contains(&shown), "{payload}: {shown}");
        } else {
            assert_eq!(*asked, *shown, "{kind} {payload}");
        }
        shown
    };

    for payload in [
        json!({"prompt": "a lake"}),
        json!({"prompt": "\t a lake\n"}),
        json!({"prompt": " \r\n"}),
        json!({"prompt": null}),
        json!({"prompts": [" a hill ", "a sea"]}),
        json!({"prompts": [], "prompt": "a lake"}),
        json!({"editPrompt": "a wood", "prompt": "a lake"}),
        json!({"editPrompt": "a wood"}),
    ] {
        check("image_generation", payload).await;
    }
    for payload in [
        json!({"images": [url], "editPrompt": "a wood"}),
        json!({"images": [url], "prompt": "a lake"}),
        json!({"images": [url], "editPrompt": " ", "prompt": "a lake"}),
        json!({"images": [url], "prompts": ["a hill"]}),
        json!({"images": [url]}),
    ] {
        check("image_edit", payload).await;
    }
    assert_eq!(
        check("photo_generation", json!({"prompt": "a lake"})).await,
        "kite"
    );
    let tryon =
        |prompt: Value| json!({"personImage": url, "garmentImages": [url], "prompt": prompt});
    assert_eq!(check("tryon", tryon(json!("smile"))).await, "smile");
    assert_eq!(check("tryon", tryon(Value::Null)).await, "kite");
}
