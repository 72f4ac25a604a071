//! The route handlers of `scripts/nextjs`, in plain node against a real server.

use std::path::Path;

use tokio::process::Command;

use crate::harness::{PATIENCE, Stage};

const KEYS: &str = "--api-keys=*:key-of-the-service";
const SERVICE: &str = "key-of-the-service";

#[tokio::test]
async fn an_app_in_front_serves_each_team_its_own_jobs_and_no_others() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let worker = stage.worker().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));

    let node = Command::new("node")
        .arg(root.join("tests/it/http/nextjs.mjs"))
        .arg(root.join("scripts/nextjs"))
        .env("SAFELIGHT_URL", &server.url)
        .env("SAFELIGHT_KEY", SERVICE)
        .kill_on_drop(true)
        .output();
    let node = tokio::time::timeout(PATIENCE, node).await;

    let node = node.expect("node does not end").unwrap();
    let said = String::from_utf8_lossy(&node.stderr);
    assert!(node.status.success(), "{said}\n{}", stage.dump().await);
    let jobs = r#"SELECT string_agg(concat_ws(' ', "teamId", coalesce("userId"::text, '-'), "basePrompt"), ', ' ORDER BY id)
                  FROM photo_generation_queue"#;
    assert_eq!(
        stage.text(jobs).await,
        "7 - a lake, 7 - a lake [sim:blocked], 7 - a lake [sim:blocked], 7 - a lake [sim:hang]"
    );
    worker.stop().await;
}
