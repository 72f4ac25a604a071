//! The frontends that were there before run unchanged: their loops, in their own words.

use std::time::Duration;

use reqwest::Method;
use safelight::providers::simulator::SimulatorConfig;
use serde_json::{Value, json};

use super::uploads::png;
use crate::harness::{PATIENCE, Served, Stage, answer};

const KEYS: &str = "--api-keys=7:key-of-team-seven";
const SEVEN: &str = "key-of-team-seven";
/// They poll every two seconds; a test has less time.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// `setInterval` with a fetch, until it says that it is done.
async fn interval<T>(poll: impl AsyncFn() -> Option<T>) -> T {
    let polling = async {
        loop {
            if let Some(done) = poll().await {
                return done;
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    };
    tokio::time::timeout(PATIENCE, polling).await.unwrap()
}

async fn slow() -> Stage {
    Stage::with(SimulatorConfig {
        latency: Duration::from_millis(200)..=Duration::from_millis(600),
        ..SimulatorConfig::default()
    })
    .await
}

/// Submit, read `jobId`, poll `/api/tryon/jobs/:id`, stop on completed or failed.
#[tokio::test]
async fn the_polling_loop_of_the_try_on_page_runs_to_its_image() {
    let stage = slow().await;
    let server = stage.serve(&[KEYS]).await;
    let worker = stage.worker().await;
    let mut uploads = Vec::new();
    for colour in [[200, 160, 140], [20, 20, 90]] {
        let request = server
            .request(Method::POST, "/api/uploads")
            .bearer_auth(SEVEN);
        let (status, upload) = answer(request.body(png(colour))).await;
        assert_eq!(status, 201, "{upload}");
        uploads.push(upload["url"].clone());
    }
    let (status, refused) = server
        .post(
            "/api/tryon",
            SEVEN,
            json!({"personImage": uploads[0], "garmentImages": []}),
        )
        .await;
    assert_eq!(
        (status, refused["error"].as_str()),
        (
            400,
            Some("\"garmentImages\" must be an array of 1 to 4 pictures.")
        )
    );
    let wish = json!({"personImage": uploads[0], "garmentImages": [uploads[1]]});
    let enqueue = async || {
        let request = server.request(Method::POST, "/api/tryon");
        let request = request.bearer_auth(SEVEN).json(&wish);
        answer(request.header("Idempotency-Key", "one")).await
    };
    let (status, accepted) = enqueue().await;
    assert_eq!((status, &accepted["accepted"]), (202, &true.into()));
    assert_eq!(accepted["status"], "pending");
    assert_eq!(
        accepted["pollUrl"],
        format!("/api/tryon/jobs/{}", accepted["jobId"].as_str().unwrap())
    );
    let path = format!("/api/tryon/jobs/{}", accepted["jobId"].as_str().unwrap());

    let done = interval(async || {
        let (_, data) = server.get(&path, SEVEN).await;
        let status = data["status"].as_str().unwrap().to_owned();
        assert!(["pending", "processing", "completed", "failed"].contains(&status.as_str()));
        assert_eq!(data.get("base64Image"), None);
        (status == "completed" || status == "failed").then_some(data)
    })
    .await;

    assert_eq!(done["status"], "completed");
    let generation = format!("/api/generations/{}", accepted["jobId"].as_str().unwrap());
    let (_, job) = server.get(&generation, SEVEN).await;
    assert_eq!(
        job["steps"],
        json!([{"step": "check", "state": "stored", "error": null},
               {"step": "face", "state": "stored", "error": null},
               {"step": "garment-1", "state": "stored", "error": null}])
    );
    let image = server.request(Method::GET, done["imageUrl"].as_str().unwrap());
    let image = image.send().await.unwrap();
    assert_eq!(
        (image.status().as_u16(), &image.headers()["content-type"]),
        (200, &"image/png".parse().unwrap())
    );
    let (_, with_picture) = server.get(&format!("{path}?include=base64"), SEVEN).await;
    assert!(
        with_picture["base64Image"]
            .as_str()
            .unwrap()
            .starts_with("iVBORw0KGgo")
    );

    // Waiting for the provider is pending, and canceled is failed with a word.
    for (state, shown, error) in [
        ("rate_limited", "pending", None),
        ("canceled", "failed", Some("Canceled")),
    ] {
        let sql = format!(
            "UPDATE photo_generation_queue SET status = '{state}', \"retryAt\" = now() + interval '1 hour'"
        );
        stage.sql(&sql).await;
        let shown = interval(async || {
            let (_, data) = server.get(&path, SEVEN).await;
            (data["status"] == shown).then_some(data)
        })
        .await;
        assert_eq!(shown.get("error").and_then(Value::as_str), error);
        let (_, again) = enqueue().await;
        assert_eq!(again["status"], shown["status"]);
    }
    worker.stop().await;
}

/// What the progress page keeps in its state.
#[derive(Default)]
struct Page {
    message: String,
    images: usize,
}

/// `startPollingJob` of the page, letter by letter but for the language.
async fn start_polling_job(server: &Served, page: &mut Page, job_id: &Value) -> Value {
    let path = format!("/api/generations/{job_id}");
    let polled = interval(async || {
        let (_, data) = server.get(&path, SEVEN).await;
        let progress = &data["job"]["progress"];
        let message = format!(
            "Generating {}/{} images...",
            progress["current"], progress["total"]
        );
        assert!(message.ends_with("/3 images..."), "{message}");
        let status = &data["job"]["status"];
        (status == "success" || status == "failed").then_some(data)
    });
    let data = polled.await;
    if data["job"]["status"] == "success" {
        page.images = data["images"].as_array().unwrap().len();
        page.message = format!("Generated {} image(s).", page.images);
    } else {
        page.message = format!(
            "Generation failed: {}",
            data["job"]["error"].as_str().unwrap()
        );
    }
    data
}

#[tokio::test]
async fn the_progress_page_runs_with_its_retry_and_its_zip_button() {
    let stage = slow().await;
    let server = stage.serve(&[KEYS]).await;
    let worker = stage.worker().await;
    let mut page = Page::default();
    let input = json!({"prompt": "a chair [sim:400]", "numImages": 3, "maxAttempts": 1});
    let (status, data) = server.post("/api/generations", SEVEN, input).await;
    assert!(status == 202 && data["job"].is_object() && data["message"].is_string());

    let failed = start_polling_job(&server, &mut page, &data["job"]["id"]).await;
    assert!(
        page.message.starts_with("Generation failed: "),
        "{}",
        page.message
    );
    assert_eq!(failed["job"]["metadata"]["zipUrl"], Value::Null);

    // The button that is shown only when it failed; the simulator has forgotten its fault.
    stage
        .sql(r#"UPDATE photo_generation_queue SET "basePrompt" = 'a chair'"#)
        .await;
    let retry = format!("/api/generations/{}/retry", failed["job"]["id"]);
    let (status, data) = answer(server.request(Method::POST, &retry).bearer_auth(SEVEN)).await;
    assert_eq!(status, 201, "{data}");
    assert!(data["originalJobId"].is_string() && data["message"].is_string());
    let done = start_polling_job(&server, &mut page, &data["job"]["id"]).await;

    assert_eq!(page.message, "Generated 3 image(s).");
    // Shown only when there is a zip and more than one image.
    assert!(done["job"]["metadata"]["zipUrl"].is_string());
    assert!(done["job"]["progress"]["total"].as_i64().unwrap() > 1);
    let zip = format!("/api/generations/{}/download", done["job"]["id"]);
    let zip = server
        .request(Method::GET, &zip)
        .bearer_auth(SEVEN)
        .send()
        .await
        .unwrap();
    assert_eq!(zip.status(), 200);
    assert_eq!(zip.headers()["content-type"], "application/zip");
    assert_eq!(
        zip.headers()["cache-control"],
        "private, max-age=0, no-store"
    );
    let name = zip.headers()["content-disposition"].to_str().unwrap();
    assert!(
        name.starts_with(&format!(
            "attachment; filename=\"generation-{}-",
            done["job"]["id"]
        )),
        "{name}"
    );
    let bytes = zip.bytes().await.unwrap();
    assert_eq!(bytes.len() as u64, done["zipBytes"].as_u64().unwrap());
    let by_url = server.request(
        Method::GET,
        done["job"]["metadata"]["zipUrl"].as_str().unwrap(),
    );
    assert_eq!(by_url.send().await.unwrap().bytes().await.unwrap(), bytes);
    worker.stop().await;
}

/// The interface `JobStatus`: every field there, of its type, and no other.
fn assert_job_status(status: &Value) {
    let fields = status.as_object().unwrap();
    for (name, value) in fields {
        let as_declared = match name.as_str() {
            "id" | "type" | "error" => value.is_string(),
            "status" => {
                ["pending", "active", "completed", "failed"].contains(&value.as_str().unwrap())
            }
            "progress" => (0..=100).contains(&value.as_i64().unwrap()),
            "result" => {
                let texts = |name: &str| {
                    let list = value[name].as_array().unwrap();
                    list.iter().all(Value::is_string)
                };
                texts("imageUrls") && texts("imageIds")
            }
            "updatedAt" => value.as_i64().unwrap() > 1_700_000_000_000,
            _ => false,
        };
        assert!(as_declared, "{name}: {status}");
    }
    for name in ["id", "type", "status", "progress", "updatedAt"] {
        assert!(fields.contains_key(name), "{name}: {status}");
    }
}

#[tokio::test]
async fn the_status_interface_of_the_redis_queue_is_served() {
    let stage = slow().await;
    let server = stage.serve(&[KEYS]).await;
    let payload = json!({"clientId": "client-123", "productIds": ["prod-1"],
        "prompt": "Modern living room with sofa", "settings": {"aspectRatio": "16:9"},
        "priority": "normal"});
    let (status, first) = server
        .post("/api/generations", SEVEN, payload.clone())
        .await;
    assert_eq!(status, 202, "{first}");
    let (_, second) = server.post("/api/generations", SEVEN, payload).await;
    let id = first["jobId"].as_str().unwrap();
    let path = format!("/api/generations/{id}/status");
    let (_, waiting) = server.get(&path, SEVEN).await;
    assert_job_status(&waiting);
    assert_eq!(
        (&waiting["status"], &waiting["progress"]),
        (&json!("pending"), &json!(0))
    );

    let worker = stage.worker().await;
    let done = interval(async || {
        let (_, status) = server.get(&path, SEVEN).await;
        assert_job_status(&status);
        (status["status"] == "completed").then_some(status)
    })
    .await;

    assert_eq!((&done["id"], &done["progress"]), (&json!(id), &json!(100)));
    assert_eq!(done["result"]["imageUrls"].as_array().unwrap().len(), 4);
    // Many at once, in their order; one that is not there is left out.
    let other = second["jobId"].as_str().unwrap();
    let (_, many) = server
        .get(
            &format!("/api/generations/status?ids={other},nonsense,{id}"),
            SEVEN,
        )
        .await;
    let ids: Vec<_> = many
        .as_array()
        .unwrap()
        .iter()
        .map(|status| &status["id"])
        .collect();
    assert_eq!(ids, [other, id]);
    let (status, _) = server.get("/api/generations/999999/status", SEVEN).await;
    assert_eq!(status, 404);
    worker.stop().await;
}
