//! A tick works off what is due while its request is open.

use serde_json::{Value, json};

use crate::harness::{Stage, client};

async fn tick(url: &str) -> (u16, Value) {
    let response = client().post(format!("{url}/api/tick"));
    let response = response.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_tick_wakes_the_worker_and_answers_when_nothing_is_left() {
    let stage = Stage::new().await;
    // Nothing else wakes it.
    stage
        .sql("UPDATE photo_generation_settings SET value = 'off' WHERE key = 'notifications'")
        .await;
    let process = stage.run(&["--poll-interval-ms=3600000"]);
    let url = process.url().await;
    let first = tick(&url).await;
    let jobs = [
        stage.job("a lake [sim:slow=1s]", 1).await,
        stage.job("two lakes", 2).await,
    ];

    let second = tick(&url).await;

    assert_eq!(first, (200, json!({"status": "idle", "running": 0})));
    assert_eq!(second, (200, json!({"status": "idle", "running": 0})));
    for job in jobs {
        assert_eq!(stage.status(job).await, "completed");
    }
}

#[tokio::test]
async fn without_a_worker_in_the_process_there_is_nothing_to_tick() {
    let stage = Stage::new().await;
    let server = stage.serve(&[]).await;

    let (status, body) = tick(&server.url).await;

    assert_eq!(status, 409);
    assert_eq!(body["code"], "no_worker");
}
