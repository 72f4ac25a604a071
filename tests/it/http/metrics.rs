//! What Prometheus scrapes can be read, tells of the work, and stands in the README.

use std::collections::BTreeMap;
use std::path::Path;

use safelight::providers::simulator::SimulatorConfig;

use crate::harness::{PATIENCE, Server, Stage, client};

/// Every series of a page and its value.
fn series(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            let bare = name.split('{').next().unwrap();
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(bare.chars().all(is_name), "{line}");
            assert_eq!(name.contains('{'), name.ends_with('}'), "{line}");
            let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
            (name.to_owned(), value)
        })
        .collect()
}

async fn scrape(url: &str) -> String {
    let response = client().get(format!("{url}/metrics")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let kind = response.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/plain"), "{kind}");
    response.text().await.unwrap()
}

#[tokio::test]
async fn the_page_tells_of_calls_jobs_and_requests_and_the_readme_of_each_of_its_names() {
    let stage = Stage::new().await;
    let process = stage.run(&[]);
    let url = process.url().await;
    stage.job("a lake", 2).await;
    stage.job("a lake [sim:safety]", 1).await;
    stage.until_all_ended().await;
    client()
        .get(format!("{url}/health?token=secret"))
        .send()
        .await
        .unwrap();
    process.said("job failed").await;
    process.said("job completed").await;

    let page = scrape(&url).await;

    let series = series(&page);
    let is = |name: &str, value: f64| {
        let found = series.get(name).copied();
        assert_eq!(found, Some(value), "{name} in\n{page}");
    };
    let call = |outcome: &str| {
        format!(
            "safelight_calls_total{{provider=\"gemini\",model=\"gemini-2.5-flash-image\",outcome=\"{outcome}\"}}"
        )
    };
    is(&call("stored"), 2.0);
    is(&call("refused"), 1.0);
    is("safelight_jobs_claimed_total", 2.0);
    is("safelight_jobs_ended_total{status=\"completed\"}", 1.0);
    is("safelight_jobs_ended_total{status=\"failed\"}", 1.0);
    is("safelight_jobs{state=\"waiting\"}", 0.0);
    is("safelight_jobs{state=\"processing\"}", 0.0);
    is("safelight_workers", 1.0);
    is("safelight_database_up", 1.0);
    is("safelight_worker_listening", 1.0);
    is(
        "safelight_http_requests_total{route=\"/health\",method=\"GET\",status=\"200\"}",
        1.0,
    );
    is(
        "safelight_call_duration_seconds_count{provider=\"gemini\",model=\"gemini-2.5-flash-image\"}",
        3.0,
    );
    assert!(!page.contains("secret"), "{page}");
    every_name_stands_in_the_readme(&page);
}

fn every_name_stands_in_the_readme(page: &str) {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    for line in page.lines() {
        let Some(rest) = line.strip_prefix("# TYPE ") else {
            continue;
        };
        let name = rest.split(' ').next().unwrap();
        assert!(readme.contains(name), "{name} is not in README.md");
    }
}

#[tokio::test]
async fn what_waits_is_counted_by_whom_and_since_when() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("userId", status, "createdAt", "retryAt") VALUES
                   ('1', 'pending', now() - interval '10 minutes', NULL),
                   ('1', 'pending', now() - interval '5 minutes', NULL),
                   ('2', 'pending', now() - interval '2 minutes', NULL),
                   ('2', 'pending', '-infinity', NULL),
                   ('3', 'rate_limited', now() - interval '1 hour', now() + interval '1 hour'),
                   ('3', 'completed', now() - interval '2 hours', NULL);
               INSERT INTO photo_generation_limits (provider, account, model, "blockedUntil", reason)
               VALUES ('gemini', 'spare "one"', 'gemini-2.5-flash-image', now(), 'bad_key')"#,
        )
        .await;
    let server = stage.serve(&[]).await;

    let page = scrape(&server.url).await;

    let series = series(&page);
    assert_eq!(series["safelight_jobs{state=\"waiting\"}"], 5.0);
    assert_eq!(series["safelight_tenants_waiting"], 2.0);
    let oldest = series["safelight_oldest_waiting_seconds"];
    assert!((600.0..700.0).contains(&oldest), "{oldest}");
    let blocked = "safelight_account_blocked{provider=\"gemini\",account=\"spare \\\"one\\\"\",model=\"gemini-2.5-flash-image\"}";
    assert_eq!(series[blocked], 1.0, "{page}");
}

#[tokio::test]
async fn without_the_database_the_page_says_so_and_tells_the_rest() {
    let database = Server::start().await;
    let stage = Stage::on(&database, SimulatorConfig::instant()).await;
    let server = stage.serve(&[]).await;
    database.stop().await;

    let page = tokio::time::timeout(PATIENCE, scrape(&server.url))
        .await
        .unwrap();

    assert_eq!(series(&page)["safelight_database_up"], 0.0);
    assert!(!page.contains("safelight_jobs{"), "{page}");
}
