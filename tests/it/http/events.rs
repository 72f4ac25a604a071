//! Server-sent events.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Served, Stage};

const KEYS: &str = "--api-keys=7:key-of-team-seven";
const SEVEN: &str = "key-of-team-seven";

/// One event as a browser reads it.
#[derive(Debug)]
struct Event {
    name: String,
    data: Value,
    id: String,
}

/// Reads a stream to its end.
async fn all(response: Response) -> Vec<Event> {
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = tokio::time::timeout(PATIENCE, response.text())
        .await
        .unwrap()
        .unwrap();
    assert!(
        text.starts_with(": safelight\n") || text.contains("retry: 2000"),
        "{text}"
    );
    let events = text.split("\n\n").filter(|event| event.contains("event: "));
    let field = |event: &str, name: &str| {
        let start = format!("{name}: ");
        let line = event.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_default().to_owned()
    };
    events
        .map(|event| Event {
            name: field(event, "event"),
            data: serde_json::from_str(&field(event, "data")).unwrap(),
            id: field(event, "id"),
        })
        .collect()
}

/// The events of a job by its view token, as an `EventSource` asks for them.
async fn follow(server: &Served, accepted: &Value, last: Option<&str>) -> Response {
    let path = format!(
        "{}/events?token={}",
        accepted["pollUrl"].as_str().unwrap(),
        accepted["viewToken"].as_str().unwrap()
    );
    let request = server.request(Method::GET, &path);
    let request = match last {
        Some(id) => request.header("last-event-id", id),
        None => request,
    };
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_job_is_told_from_its_first_image_to_its_end() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let body = json!({"prompt": "a lake", "numImages": 3});
    let (_, accepted) = server.post("/api/generations", SEVEN, body).await;
    let stream = follow(&server, &accepted, None).await;
    let worker = stage.worker().await;

    let events = all(stream).await;

    let images = events.iter().filter(|event| event.name == "image");
    let mut indexes: Vec<_> = images
        .map(|image| image.data["index"].as_i64().unwrap())
        .collect();
    indexes.sort_unstable();
    assert_eq!(indexes, [1, 2, 3]);
    assert_eq!(events[0].name, "progress");
    assert_eq!(events[0].data["progress"]["total"], 3);
    let last = events.last().unwrap();
    assert_eq!((last.name.as_str(), last.id.as_str()), ("done", "done"));
    assert_eq!(last.data["status"], "completed");
    assert_eq!(last.data["jobId"], accepted["jobId"]);
    // A browser that comes back after the end is told to stay away.
    let again = follow(&server, &accepted, Some("done")).await;
    assert_eq!(again.status(), 204);
    // Who comes late is told all the same.
    let late = all(follow(&server, &accepted, None).await).await;
    assert_eq!(late.iter().filter(|event| event.name == "image").count(), 3);
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_is_deleted_ends_its_stream() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let (_, accepted) = server
        .post("/api/generations", SEVEN, json!({"prompt": "a lake"}))
        .await;
    let stream = follow(&server, &accepted, None).await;

    stage.sql("DELETE FROM photo_generation_queue").await;

    let events = tokio::time::timeout(Duration::from_secs(10), all(stream))
        .await
        .unwrap();
    assert!(
        events.iter().all(|event| event.name == "progress"),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_server_that_ends_ends_its_streams_cleanly_and_says_when_to_come_back() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let (_, accepted) = server
        .post("/api/generations", SEVEN, json!({"prompt": "a lake"}))
        .await;
    let stream = follow(&server, &accepted, None).await;

    server.stop().await;

    let text = tokio::time::timeout(PATIENCE, stream.text()).await.unwrap();
    // No error: the last chunk is there.
    let text = text.unwrap();
    assert!(
        text.contains("retry: 2000") && text.contains("event: progress"),
        "{text}"
    );
    assert!(!text.contains("event: done"), "{text}");
}
