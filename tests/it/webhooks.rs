//! Apps are told that their jobs have ended: by whom, when, what, and what becomes of a message that
//! nobody takes.

mod asked;
mod crash;
mod ends;
mod receivers;

use std::time::Duration;

use chrono::{DateTime, Utc};
use safelight::app::WorkerConfig;
use safelight::worker::Settings;
use serde_json::{Value, json};

use crate::harness::{InProcess, Receiver, Reply, Stage, WEBHOOK_SECRET};

/// A message follows the end of its job within this time; the sweep that would find it comes later.
const PROMPTLY: &str = "1 second";

impl Stage {
    /// A worker's settings with what signs, and these receivers allowed.
    fn config_that_tells(&self, receivers: &[&Receiver]) -> WorkerConfig {
        let mut config = self.config();
        config.webhook.webhook_secret = Some(WEBHOOK_SECRET.to_owned());
        let addresses = receivers.iter().map(|receiver| receiver.address.clone());
        config.storage.image_fetch_allow = addresses.collect();
        config
    }

    async fn worker_that_tells(
        &self,
        receivers: &[&Receiver],
        change: impl FnOnce(&mut Settings),
    ) -> InProcess {
        let config = self.config_that_tells(receivers);
        self.worker_from(config, change).await
    }

    /// Inserts a job as an app does that wants to be told.
    async fn job_that_tells(&self, prompt: &str, url: &str) -> i64 {
        sqlx::query_scalar(
            r#"INSERT INTO photo_generation_queue
                   ("basePrompt", "numImagesPerExample", "userId", "webhookUrl", metadata)
               VALUES ($1, 2, '7', $2, '{"order": 81}') RETURNING id"#,
        )
        .bind(prompt)
        .bind(url)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// How each message stands, in the order in which they were written.
    async fn messages(&self) -> String {
        self.text(
            r#"SELECT string_agg(concat_ws(' ', event, 'tries', tries, status,
                   CASE WHEN "deliveredAt" IS NOT NULL THEN 'delivered'
                        WHEN "tryAt" IS NULL THEN 'given up' ELSE 'waits' END, error),
                   '; ' ORDER BY "createdAt", id) FROM photo_generation_webhooks"#,
        )
        .await
    }

    async fn until_delivered(&self, messages: i64) {
        self.until(&format!(
            r#"SELECT count("deliveredAt") = {messages} FROM photo_generation_webhooks"#
        ))
        .await;
    }

    /// As when the next try had come.
    async fn send_again(&self) {
        self.sql(
            r#"UPDATE photo_generation_webhooks SET "tryAt" = now() WHERE "tryAt" IS NOT NULL"#,
        )
        .await;
    }
}

#[tokio::test]
async fn an_app_is_told_promptly_in_a_message_that_it_can_verify() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    // No sweep helps.
    let worker = stage
        .worker_that_tells(&[&receiver], |settings| {
            settings.rhythm.sweep_every = Duration::from_hours(1);
        })
        .await;

    let job = stage.job_that_tells("a lake", &receiver.url()).await;
    let told = receiver.until(1).await.remove(0);
    stage.until_delivered(1).await;

    assert!(told.is_signed_with(WEBHOOK_SECRET), "{told:?}");
    let another = WEBHOOK_SECRET.replace("AAEC", "BBEC");
    assert!(!told.is_signed_with(&another));
    let message = told.json();
    assert_eq!(message["type"], "job.completed");
    let at: DateTime<Utc> = message["timestamp"].as_str().unwrap().parse().unwrap();
    assert!((at.timestamp() - told.timestamp).abs() < 60, "{told:?}");
    let data = &message["data"];
    let uuid = stage
        .text(r#"SELECT "jobId" FROM photo_generation_queue"#)
        .await;
    assert_eq!(
        (&data["jobId"], &data["id"], &data["status"]),
        (&json!(uuid), &json!(job), &json!("completed"))
    );
    assert_eq!(data["type"], "photo_generation");
    let whose = (&data["teamId"], &data["userId"], &data["batchId"]);
    assert_eq!(whose, (&Value::Null, &json!("7"), &Value::Null));
    assert_eq!(data["metadata"], json!({"order": 81}));
    assert_eq!(
        data["progress"],
        json!({"current": 2, "total": 2, "percent": 100})
    );
    let urls = stage
        .text(r#"SELECT "imageUrls" FROM photo_generation_queue"#)
        .await;
    let urls: Vec<String> = serde_json::from_str(&urls).unwrap();
    for (image, url) in data["images"].as_array().unwrap().iter().zip(&urls) {
        assert_eq!(
            (&image["url"], &image["state"]),
            (&json!(url), &json!("stored"))
        );
    }
    assert_eq!(data["images"].as_array().unwrap().len(), urls.len());
    assert_eq!(
        stage.messages().await,
        "job.completed tries 1 200 delivered"
    );
    let took = format!(
        r#"SELECT "deliveredAt" - "createdAt" < interval '{PROMPTLY}' FROM photo_generation_webhooks"#
    );
    assert_eq!(stage.text(&took).await, "true");
    worker.stop().await;
}

#[tokio::test]
async fn a_failed_job_tells_why() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let worker = stage.worker_that_tells(&[&receiver], |_| {}).await;

    stage
        .job_that_tells("a lake [sim:safety]", &receiver.url())
        .await;
    let message = receiver.until(1).await[0].json();

    assert_eq!(message["type"], "job.failed");
    let data = &message["data"];
    assert_eq!(data["status"], "failed");
    assert_eq!(data["progress"]["percent"], 0);
    let row = r#"SELECT concat("errorCode", ' ', "errorMessage") FROM photo_generation_queue"#;
    let (code, error) = (data["errorCode"].as_str(), data["error"].as_str());
    assert_eq!(
        format!("{} {}", code.unwrap(), error.unwrap()),
        stage.text(row).await
    );
    assert_eq!(data["images"][0]["state"], "refused");
    assert!(data["images"][0]["url"].is_null());
    worker.stop().await;
}

#[tokio::test]
async fn a_message_is_tried_again_under_the_same_id_until_it_is_taken() {
    let stage = Stage::new().await;
    let receiver = Receiver::that(|number| Reply::Status([500, 429, 204][number.min(2)])).await;
    let worker = stage.worker_that_tells(&[&receiver], |_| {}).await;
    stage.job_that_tells("a lake", &receiver.url()).await;
    let failed = |tries: i64| {
        format!(
            "SELECT bool_and(tries = {tries} AND error IS NOT NULL) FROM photo_generation_webhooks"
        )
    };

    // The first wait is short, and it is really waited for.
    stage.until(&failed(2)).await;
    assert_eq!(
        stage.messages().await,
        "job.completed tries 2 429 waits The receiver answered 429 Too Many Requests."
    );
    let minutes = r#"SELECT extract(epoch FROM "tryAt" - "triedAt") / 60 BETWEEN 5 AND 6
                     FROM photo_generation_webhooks"#;
    assert_eq!(stage.text(minutes).await, "true");
    stage.send_again().await;
    let told = receiver.until(3).await;
    stage.until_delivered(1).await;

    assert_eq!(
        stage.messages().await,
        "job.completed tries 3 204 delivered"
    );
    for one in &told {
        assert_eq!((&one.id, &one.body), (&told[0].id, &told[0].body));
        assert!(one.is_signed_with(WEBHOOK_SECRET), "{one:?}");
    }
    // By the database's clock, at each try: receivers refuse what is older than five minutes.
    assert!(told[1].timestamp > told[0].timestamp);
    worker.stop().await;
}

#[tokio::test]
async fn while_secrets_are_changed_both_sign() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let mut config = stage.config_that_tells(&[&receiver]);
    let new = WEBHOOK_SECRET.replace("AAEC", "BBEC");
    config.webhook.webhook_secret = Some(format!("{WEBHOOK_SECRET},{new}"));
    let worker = stage.worker_from(config, |_| {}).await;

    stage.job_that_tells("a lake", &receiver.url()).await;
    let told = receiver.until(1).await.remove(0);

    assert!(told.is_signed_with(WEBHOOK_SECRET) && told.is_signed_with(&new));
    worker.stop().await;
}

#[tokio::test]
async fn a_drained_worker_has_told_before_it_ends() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    for _ in 0..5 {
        stage.job_that_tells("a lake", &receiver.url()).await;
    }
    let config = stage.config_that_tells(&[&receiver]);

    let worker = stage
        .worker_from(config, |settings| {
            settings.until = safelight::worker::Until::Drained;
            settings.rhythm.sweep_every = Duration::from_hours(1);
        })
        .await;
    worker.ended().await;

    assert_eq!(receiver.got().len(), 5);
    let delivered = r#"SELECT count("deliveredAt") FROM photo_generation_webhooks"#;
    assert_eq!(stage.number(delivered).await, 5);
}

#[tokio::test]
async fn messages_are_forgotten_after_a_week() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_webhooks ("jobId", event, url, host, body, "tryAt", "createdAt")
               SELECT n, 'job.failed', 'https://a.example/', 'a.example', '{}', NULL, now() - n * interval '1 day'
               FROM generate_series(1, 10) AS n;
               INSERT INTO photo_generation_webhooks ("jobId", event, url, host, body, "tryAt", tries, "triedAt", "createdAt")
               SELECT n, 'job.failed', 'https://a.example/', 'a.example', '{}',
                      now() + interval '1 hour' * sign(n - 29), greatest(n - 29, 0),
                      CASE WHEN n > 29 THEN now() END, now() - n % 20 * interval '1 day'
               FROM generate_series(21, 30) AS n"#,
        )
        .await;
    // Nobody here can sign: those of the second ten were never sent, but for the last one, which goes on.
    let worker = stage.worker().await;

    stage
        .until(
            r#"SELECT string_agg("jobId"::text, ' ' ORDER BY "jobId") = '1 2 3 4 5 6 21 22 23 24 25 26 30'
               FROM photo_generation_webhooks"#,
        )
        .await;

    worker.stop().await;
}
