//! Health says what works and never hangs; readiness says where to send requests.

use reqwest::Method;
use safelight::providers::simulator::SimulatorConfig;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Served, Server, Stage, client};

impl Served {
    /// Waits until `/health`, which keeps what it found for a moment, is as wanted.
    async fn until_health(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        until_health(&self.url, wanted).await
    }

    /// Waits until `/ready` answers so; its reason.
    async fn until_ready(&self, wanted: u16) -> Value {
        let looks = async {
            loop {
                let response = self.request(Method::GET, "/ready").send().await.unwrap();
                if response.status() == wanted {
                    return response.json().await.unwrap();
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let body: Value = tokio::time::timeout(PATIENCE, looks).await.unwrap();
        assert_eq!(body["ready"], wanted == 200);
        body["reason"].clone()
    }
}

async fn until_health(url: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let looks = async {
        loop {
            let response = client().get(format!("{url}/health")).send().await.unwrap();
            assert_eq!(response.status(), 200);
            last = response.json().await.unwrap();
            if wanted(&last) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looks).await;
    assert!(found.is_ok(), "health stays {last}");
    last
}

#[tokio::test]
async fn where_all_is_well_every_flag_is_true() {
    let stage = Stage::new().await;
    let process = stage.run(&[]);

    let health = until_health(&process.url().await, |health| health["status"] == "ok").await;

    let expected = json!({
        "status": "ok", "database": true, "schema": true, "storage": true, "worker": true,
        "listener": true, "version": env!("CARGO_PKG_VERSION"),
    });
    assert_eq!(health, expected);
}

#[tokio::test]
async fn a_server_without_a_worker_asks_for_one_anywhere_and_for_no_listener() {
    let stage = Stage::new().await;
    let server = stage.serve(&[]).await;

    let alone = server.until_health(|_| true).await;
    let worker = stage.worker().await;
    let served = server.until_health(|health| health["worker"] == true).await;

    assert_eq!(alone["status"], "degraded");
    assert_eq!(alone["worker"], false);
    assert_eq!(alone["listener"], Value::Null);
    assert_eq!(served["status"], "ok");
    worker.stop().await;
}

#[tokio::test]
async fn an_outage_of_the_database_is_degraded_and_not_ready_until_it_is_over() {
    let database = Server::start().await;
    let stage = Stage::on(&database, SimulatorConfig::instant()).await;
    let server = stage.serve(&[]).await;
    server.until_ready(200).await;

    database.stop().await;
    let away = server
        .until_health(|health| health["database"] == false)
        .await;

    assert_eq!(away["status"], "degraded");
    assert_eq!(away["schema"], false);
    assert_eq!(away["storage"], true);
    let reason = server.until_ready(503).await;
    assert_eq!(reason, "The database cannot be reached.");

    database.start_again().await;
    server.until_health(|health| health["schema"] == true).await;
    assert_eq!(server.until_ready(200).await, Value::Null);
}

#[tokio::test]
async fn a_schema_of_another_version_is_degraded_and_not_ready() {
    let stage = Stage::new().await;
    let server = stage.serve(&[]).await;

    stage
        .sql("UPDATE photo_generation_settings SET value = '1' WHERE key = 'version'")
        .await;
    let health = server
        .until_health(|health| health["schema"] == false)
        .await;

    assert_eq!(health["database"], true);
    assert_eq!(health["status"], "degraded");
    let reason = server.until_ready(503).await;
    assert!(reason.as_str().unwrap().contains("safelight migrate"));
}

#[tokio::test]
async fn a_storage_that_cannot_be_written_is_degraded_and_not_ready() {
    let stage = Stage::new().await;
    let server = stage.serve(&[]).await;

    // Nobody, root included, writes below a file.
    std::fs::remove_dir_all(stage.photos()).unwrap();
    std::fs::write(stage.photos(), "").unwrap();
    let health = server
        .until_health(|health| health["storage"] == false)
        .await;

    assert_eq!(health["status"], "degraded");
    assert_eq!(
        server.until_ready(503).await,
        "The storage cannot be written."
    );
    std::fs::remove_file(stage.photos()).unwrap();
}
