//! `safelight simulate` as somebody without a key uses it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use safelight::{app, providers};

#[tokio::test]
async fn it_says_where_it_answers_and_how_a_worker_gets_there_and_ends_with_ctrl_c() {
    let mut simulator = Command::new(env!("CARGO_BIN_EXE_safelight"))
        .args(["simulate", "--bind", "127.0.0.1:0", "--key", "team:secret"])
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(simulator.stdout.take().unwrap());
    // Kept to the end: what it says must have somewhere to go.
    let mut lines = said.lines().map(Result::unwrap);
    let settings = lines
        .find(|line| line.contains("GEMINI_BASE_URL="))
        .unwrap();
    let url = settings
        .split_whitespace()
        .find_map(|word| word.strip_prefix("GEMINI_BASE_URL="))
        .unwrap();
    assert!(settings.contains("GEMINI_API_KEY=secret"), "{settings}");

    app::install_tls();
    let log = providers::http_client()
        .unwrap()
        .get(format!("{url}/_simulator/log"))
        .send()
        .await
        .unwrap();
    assert_eq!(log.text().await.unwrap(), "[]");

    let pid = simulator.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(sent.success());
    lines.for_each(drop);
    assert!(simulator.wait().unwrap().success());
}
