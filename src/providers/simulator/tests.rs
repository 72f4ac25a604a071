//! The simulator as its callers meet it: over HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::ImageFormat;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

mod faults;
mod openai;

const MODEL: &str = "gemini-2.5-flash-image";
/// Longer than anything here takes; only a bug gets there.
const PATIENCE: Duration = Duration::from_secs(20);

fn client() -> Client {
    // A second installation is refused, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

fn body(prompt: &str) -> Value {
    json!({
        "contents": [{"role": "user", "parts": [{"text": prompt}]}],
        "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "9:16"}},
    })
}

fn url(simulator: &Simulator, model: &str) -> String {
    format!(
        "{}/v1beta/models/{model}:generateContent",
        simulator.base_url()
    )
}

async fn call_as(
    simulator: &Simulator,
    key: &str,
    model: &str,
    prompt: &str,
) -> reqwest::Result<(u16, Value)> {
    let request = client()
        .post(url(simulator, model))
        .header("x-goog-api-key", key);
    let response = request.json(&body(prompt)).send().await?;
    Ok((response.status().as_u16(), response.json().await?))
}

async fn call(simulator: &Simulator, prompt: &str) -> reqwest::Result<(u16, Value)> {
    call_as(simulator, DEFAULT_KEY, MODEL, prompt).await
}

async fn instant() -> Simulator {
    Simulator::start(SimulatorConfig::instant()).await.unwrap()
}

fn parts(answer: &Value) -> &Vec<Value> {
    answer["candidates"][0]["content"]["parts"]
        .as_array()
        .unwrap()
}

fn picture(part: &Value) -> Vec<u8> {
    STANDARD
        .decode(part["inlineData"]["data"].as_str().unwrap())
        .unwrap()
}

fn quota(limits: impl FnOnce(&mut Quota)) -> Quota {
    let mut quota = Quota::default();
    limits(&mut quota);
    quota
}

#[tokio::test]
async fn a_call_is_answered_with_a_picture_of_the_right_size() {
    let simulator = Simulator::start(SimulatorConfig {
        pictures: Pictures::Full,
        ..SimulatorConfig::instant()
    })
    .await
    .unwrap();

    let (status, answer) = call(&simulator, "a red bicycle").await.unwrap();

    assert_eq!(status, 200);
    assert_eq!(answer["candidates"][0]["finishReason"], "STOP");
    assert_eq!(answer["modelVersion"], MODEL);
    assert_eq!(answer["usageMetadata"]["candidatesTokenCount"], 1290);
    let file = picture(&parts(&answer)[0]);
    assert_eq!(image::guess_format(&file).unwrap(), ImageFormat::Png);
    let decoded = image::load_from_memory(&file).unwrap();
    assert_eq!((decoded.width(), decoded.height()), (768, 1344));
    assert_eq!(
        simulator.log()[0].response_id,
        answer["responseId"].as_str().unwrap()
    );
}

#[tokio::test]
async fn a_model_is_described_to_whoever_has_a_key_and_it_is_no_call() {
    let simulator = instant().await;
    let describe = async |key: &str, model: &str| {
        let url = format!("{}/v1beta/models/{model}", simulator.base_url());
        let request = client().get(url).header("x-goog-api-key", key);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.unwrap())
    };

    let (status, description) = describe(DEFAULT_KEY, MODEL).await;
    assert_eq!(
        (status, &description["name"]),
        (200, &json!(format!("models/{MODEL}")))
    );
    let (status, refusal) = describe("wrong", MODEL).await;
    assert_eq!(status, 400);
    assert_eq!(refusal["error"]["details"][0]["reason"], "API_KEY_INVALID");
    let (status, refusal) = describe(DEFAULT_KEY, "gemini-1").await;
    assert_eq!(
        (status, &refusal["error"]["status"]),
        (404, &json!("NOT_FOUND"))
    );
    assert!(simulator.log().is_empty());
}

#[tokio::test]
async fn the_log_tells_what_was_billed() {
    let simulator = instant().await;

    call(&simulator, "one").await.unwrap();
    call(&simulator, "one").await.unwrap();
    call(&simulator, "two [sim:429]").await.unwrap();
    call_as(&simulator, "wrong", MODEL, "three").await.unwrap();
    call_as(&simulator, DEFAULT_KEY, "gemini-1", "four")
        .await
        .unwrap();
    let log = simulator
        .wait_for(
            |log| log.iter().all(|call| call.ended_at_ms.is_some()),
            PATIENCE,
        )
        .await
        .unwrap();

    let told: Vec<_> = log
        .iter()
        .map(|call| {
            (
                call.seq,
                call.account.as_str(),
                call.prompt.as_str(),
                call.n,
                call.accepted,
                call.outcome,
                call.http_status.unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (1, "default", "one", 1, true, CallOutcome::Image, 200),
            (2, "default", "one", 2, true, CallOutcome::Image, 200),
            (
                3,
                "default",
                "two [sim:429]",
                1,
                false,
                CallOutcome::Limited,
                429
            ),
            (4, "", "three", 0, false, CallOutcome::Error, 400),
            (5, "default", "four", 0, false, CallOutcome::Error, 404),
        ]
    );
    assert!(log.iter().all(|call| {
        call.answered_at_ms
            .is_some_and(|at| at >= call.received_at_ms)
    }));
    assert_eq!(log.iter().filter(|call| call.accepted).count(), 2);
}

#[tokio::test]
async fn a_call_is_in_the_log_while_it_runs_and_ends_when_the_client_leaves() {
    let simulator = instant().await;
    let request = client()
        .post(url(&simulator, MODEL))
        .header("x-goog-api-key", DEFAULT_KEY);
    let calling = tokio::spawn(request.json(&body("a [sim:hang]")).send());

    let log = simulator
        .wait_for(|log| log.len() == 1, PATIENCE)
        .await
        .unwrap();
    assert_eq!(
        (log[0].outcome, log[0].accepted, log[0].in_flight),
        (CallOutcome::Hang, true, 1)
    );
    assert_eq!((log[0].http_status, log[0].ended_at_ms), (None, None));

    calling.abort();
    let log = simulator
        .wait_for(|log| log[0].ended_at_ms.is_some(), PATIENCE)
        .await
        .unwrap();
    assert_eq!((log[0].answered_at_ms, log[0].http_status), (None, None));
}

#[tokio::test]
async fn keys_of_one_account_share_its_quota_and_models_do_not() {
    let key = |key: &str, account: &str| SimAccount {
        key: key.to_owned(),
        account: account.to_owned(),
    };
    let simulator = Simulator::start(SimulatorConfig {
        accounts: vec![key("a1", "a"), key("a2", "a"), key("b1", "b")],
        quota: quota(|quota| quota.requests_per_minute = Some(1)),
        ..SimulatorConfig::instant()
    })
    .await
    .unwrap();
    let status = async |key, model| call_as(&simulator, key, model, "a").await.unwrap().0;

    assert_eq!(status("a1", MODEL).await, 200);
    assert_eq!(status("a2", MODEL).await, 429);
    assert_eq!(status("b1", MODEL).await, 200);
    assert_eq!(status("a2", "gemini-3-pro-image").await, 200);
}

#[tokio::test]
async fn the_minutes_quota_states_how_long_until_a_call_passes() {
    let simulator = instant().await;
    simulator.set_quota(quota(|quota| quota.requests_per_minute = Some(2)));
    assert_eq!(call(&simulator, "a").await.unwrap().0, 200);
    assert_eq!(call(&simulator, "a").await.unwrap().0, 200);

    let (status, answer) = call(&simulator, "a").await.unwrap();

    assert_eq!(status, 429);
    let details = answer["error"]["details"].as_array().unwrap();
    let id = details[0]["violations"][0]["quotaId"].as_str();
    assert_eq!(id, Some("GenerateRequestsPerMinutePerProjectPerModel"));
    let stated = details[1]["retryDelay"].as_str().unwrap();
    let seconds: f64 = stated.strip_suffix('s').unwrap().parse().unwrap();
    assert!((30.0..60.0).contains(&seconds), "{stated}");
}

#[tokio::test]
async fn in_no_window_do_more_calls_pass_than_the_quota_says() {
    const QUOTA: usize = 5;
    const WINDOW: u64 = 150;
    let simulator = instant().await;
    simulator.set_quota(quota(|quota| {
        quota.requests_per_minute = u32::try_from(QUOTA).ok();
        quota.window_ms = WINDOW;
    }));
    let request = || {
        client()
            .post(url(&simulator, MODEL))
            .header("x-goog-api-key", DEFAULT_KEY)
    };
    let callers = (0..6).map(|_| async {
        while simulator.log().iter().filter(|call| call.accepted).count() < 4 * QUOTA {
            request().json(&body("a")).send().await.unwrap();
        }
    });

    futures_util::future::join_all(callers).await;

    let log = simulator.log();
    let accepted: Vec<u64> = log
        .iter()
        .filter(|call| call.accepted)
        .map(|call| call.received_at_ms)
        .collect();
    for calls in accepted.windows(QUOTA + 1) {
        // Milliseconds are cut off, so a whole window may show as one less.
        assert!(calls[QUOTA] - calls[0] >= WINDOW - 1, "{calls:?}");
    }
    assert!(log.iter().any(|call| call.outcome == CallOutcome::Limited));
}

#[tokio::test]
async fn the_days_quota_and_the_number_at_a_time_are_kept() {
    let simulator = instant().await;
    simulator.set_quota(quota(|quota| quota.max_concurrent = Some(1)));
    let request = client()
        .post(url(&simulator, MODEL))
        .header("x-goog-api-key", DEFAULT_KEY);
    let calling = tokio::spawn(request.json(&body("a [sim:hang]")).send());
    simulator
        .wait_for(|log| log.len() == 1, PATIENCE)
        .await
        .unwrap();

    let (status, answer) = call(&simulator, "b").await.unwrap();
    assert_eq!((status, &answer["error"]["details"]), (429, &Value::Null));
    calling.abort();
    simulator
        .wait_for(|log| log[0].ended_at_ms.is_some(), PATIENCE)
        .await
        .unwrap();
    assert_eq!(call(&simulator, "b").await.unwrap().0, 200);

    simulator.set_quota(quota(|quota| quota.requests_per_day = Some(2)));
    let (status, answer) = call(&simulator, "b").await.unwrap();
    let violation = &answer["error"]["details"][0]["violations"][0]["quotaId"];
    assert_eq!(
        (status, violation.as_str()),
        (429, Some("GenerateRequestsPerDayPerProjectPerModel"))
    );
}

#[tokio::test]
async fn other_processes_read_the_log_and_set_faults_and_quota() {
    let simulator = instant().await;
    let at = |path: &str| format!("{}/_simulator/{path}", simulator.base_url());
    let post = async |path: &str, body: Value| {
        client()
            .post(at(path))
            .json(&body)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };

    assert_eq!(
        post(
            "faults",
            json!({"fault": "503", "matching": "bike", "times": 2})
        )
        .await,
        204
    );
    assert_eq!(post("faults", json!({"fault": "safty"})).await, 422);
    assert_eq!(call(&simulator, "a car").await.unwrap().0, 200);
    assert_eq!(call(&simulator, "a bike").await.unwrap().0, 503);
    assert_eq!(call(&simulator, "my bike").await.unwrap().0, 503);
    assert_eq!(call(&simulator, "a bike").await.unwrap().0, 200);
    assert_eq!(post("quota", json!({"requestsPerMinute": 2})).await, 204);
    assert_eq!(call(&simulator, "a bike").await.unwrap().0, 429);

    let read: Vec<CallRecord> = client()
        .get(at("log"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let outcomes: Vec<_> = read.iter().map(|call| call.outcome.as_str()).collect();
    assert_eq!(outcomes, ["image", "error", "error", "image", "limited"]);
}

#[tokio::test]
async fn latency_lies_in_its_range_and_is_the_same_for_the_same_call() {
    let latency = |seed| Latency {
        range: Duration::from_secs(1)..=Duration::from_secs(3),
        seed,
    };

    let first = latency(1).of("a", 1);
    assert!((1.0..=3.0).contains(&first.as_secs_f64()));
    assert_eq!(first, latency(1).of("a", 1));
    assert_ne!(first, latency(1).of("a", 2));
    assert_ne!(first, latency(2).of("a", 1));
}

#[tokio::test]
async fn stopping_ends_calls_in_flight_and_frees_the_port() {
    let simulator = instant().await;
    let address = simulator.base_url().replace("http://", "");
    let request = client()
        .post(url(&simulator, MODEL))
        .header("x-goog-api-key", DEFAULT_KEY);
    let calling = tokio::spawn(request.json(&body("a [sim:hang]")).send());
    simulator
        .wait_for(|log| log.len() == 1, PATIENCE)
        .await
        .unwrap();

    tokio::time::timeout(PATIENCE, simulator.stop())
        .await
        .unwrap()
        .unwrap();

    assert!(calling.await.unwrap().is_err());
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_wait_that_is_in_vain_shows_the_log() {
    let simulator = instant().await;
    call(&simulator, "a strange prompt").await.unwrap();

    let error = simulator
        .wait_for(|log| log.len() > 1, Duration::from_millis(1))
        .await
        .unwrap_err();

    assert!(error.to_string().contains("a strange prompt"));
}
