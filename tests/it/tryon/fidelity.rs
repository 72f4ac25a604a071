//! A model that refuses to be told how closely to keep to its pictures.

use safelight::domain::Provider;

use super::RENDER;
use crate::harness::Stage;

impl Stage {
    /// A try-on that OpenAI is to draw, with what else its payload says.
    async fn tryon_of_openai(&self, more: &str) -> i64 {
        let (person, coat) = (self.garment([200, 160, 140]), self.garment([20, 20, 90]));
        sqlx::query_scalar(
            r#"INSERT INTO photo_generation_queue (type, model, payload, "userId")
               VALUES ('tryon', 'gpt-image-1.5', jsonb_build_object(
                   'personImage', $1::text, 'garmentImages', jsonb_build_array($2::text)) || $3::jsonb, '7')
               RETURNING id"#,
        )
        .bind(person)
        .bind(coat)
        .bind(more)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn is_asked_once_more_without_and_never_told_again() {
    let stage = Stage::new().await;
    stage.spoil(RENDER, "fidelity", 9);
    let jobs = [
        stage.tryon_of_openai("{}").await,
        stage.tryon_of_openai("{}").await,
    ];
    stage
        .sql(r#"UPDATE photo_generation_queue SET "maxAttempts" = 1"#)
        .await;

    // One after the other, by one process.
    let worker = stage
        .worker_of(Provider::OpenAi, |settings| settings.concurrency = 1)
        .await;
    stage.until_all_ended().await;

    for job in jobs {
        assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 2");
    }
    assert_eq!(stage.calls_of(jobs[0]).await, "error 1, stored 1");
    assert_eq!(stage.calls_of(jobs[1]).await, "stored 1");
    stage.assert_sound(3).await;
    worker.stop().await;
}

#[tokio::test]
async fn is_the_end_where_the_row_asked_for_it() {
    let stage = Stage::new().await;
    stage.spoil(RENDER, "fidelity", 9);
    let job = stage.tryon_of_openai(r#"{"inputFidelity": "high"}"#).await;

    stage.drain_of(Provider::OpenAi).await;

    assert_eq!(stage.end_of(job).await, "failed 0/1 attempts 0 lease 2");
    let error = r#"SELECT "errorCode" FROM photo_generation_queue"#;
    assert_eq!(stage.text(error).await, "provider_rejected");
    stage.assert_sound(1).await;
}
