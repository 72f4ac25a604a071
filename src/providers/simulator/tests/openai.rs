//! Faults and quotas as OpenAI tells them.

use super::*;

/// A call with this marker: status, headers, body, and the call in the log.
async fn strike(
    simulator: &Simulator,
    marker: &str,
) -> (u16, reqwest::header::HeaderMap, Value, CallRecord) {
    let url = format!("{}/v1/images/generations", simulator.base_url());
    let body = json!({"model": "gpt-image-1.5", "prompt": format!("a lake [sim:{marker}]"), "size": "1024x1536"});
    let request = client().post(url).bearer_auth(DEFAULT_KEY).json(&body);
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let answer = response.json().await.unwrap();
    let logged = simulator.log().pop().unwrap();
    assert_eq!(headers["x-request-id"], logged.response_id.as_str());
    (status, headers, answer, logged)
}

#[tokio::test]
async fn errors_are_told_in_openais_words_and_only_accepted_calls_are_billed() {
    let simulator = instant().await;
    let check = async |marker: &str, status: u16, code: Value, billed: bool, outcome| {
        let (told, _, answer, logged) = strike(&simulator, marker).await;
        assert_eq!(
            (told, &answer["error"]["code"]),
            (status, &code),
            "{marker}"
        );
        assert_eq!(
            (logged.accepted, logged.outcome),
            (billed, outcome),
            "{marker}"
        );
    };
    let (limited, error) = (CallOutcome::Limited, CallOutcome::Error);
    let refused = CallOutcome::Refused;

    check("429", 429, json!("rate_limit_exceeded"), false, limited).await;
    check("429-bare", 429, json!(null), false, limited).await;
    check("daily", 429, json!("rate_limit_exceeded"), false, limited).await;
    check("limit0", 429, json!("rate_limit_exceeded"), false, limited).await;
    check("nocredit", 429, json!("insufficient_quota"), false, limited).await;
    check("badkey", 401, json!("invalid_api_key"), false, error).await;
    check("401", 401, json!(null), false, error).await;
    check("403", 403, json!(null), false, error).await;
    check("gone", 404, json!("model_not_found"), false, error).await;
    check("400", 400, json!(null), false, error).await;
    check("500", 500, json!(null), false, error).await;
    check("500-accepted", 500, json!(null), true, error).await;
    check("503", 503, json!(null), false, error).await;
    check("safety", 400, json!("moderation_blocked"), true, refused).await;
    check("blocked", 400, json!("moderation_blocked"), true, refused).await;
    check("oops", 400, json!(null), false, error).await;
}

#[tokio::test]
async fn a_wait_is_stated_in_the_headers_that_openai_has_for_it() {
    let simulator = instant().await;

    let (_, headers, _, _) = strike(&simulator, "429 wait=1.5s").await;
    assert_eq!(headers["retry-after-ms"], "1500");
    assert_eq!(headers["retry-after"], "2");
    let (_, headers, _, _) = strike(&simulator, "429-array wait=1.5s").await;
    assert_eq!(headers["x-ratelimit-reset-requests"], "1.5s");
    assert!(!headers.contains_key("retry-after"));
    let (_, headers, _, _) = strike(&simulator, "daily").await;
    assert_eq!(headers["x-ratelimit-reset-requests"], "7h12m0s");
    simulator.set_quota(quota(|quota| quota.requests_per_minute = Some(0)));
    let (status, headers, _, _) = strike(&simulator, "slow=0s").await;
    assert_eq!(
        (status, headers["retry-after"].to_str().unwrap()),
        (429, "60")
    );
}

#[tokio::test]
async fn a_picture_comes_as_base64_and_what_is_none_as_nothing() {
    let simulator = instant().await;

    let (status, _, answer, logged) = strike(&simulator, "thoughts").await;
    assert_eq!((status, logged.outcome), (200, CallOutcome::Image));
    let data = answer["data"].as_array().unwrap();
    assert_eq!(data.len(), 1);
    let file = STANDARD
        .decode(data[0]["b64_json"].as_str().unwrap())
        .unwrap();
    let decoded = image::load_from_memory(&file).unwrap();
    assert_eq!((decoded.width(), decoded.height()), (128, 192));
    assert_eq!(answer["usage"]["output_tokens"], 1584);
    assert_eq!(answer["size"], "1024x1536");

    for marker in ["text", "empty", "noimage", "nocontent"] {
        let (status, _, answer, logged) = strike(&simulator, marker).await;
        assert_eq!((status, &answer["data"]), (200, &json!([])), "{marker}");
        assert_eq!(
            (logged.accepted, logged.outcome),
            (true, CallOutcome::Empty),
            "{marker}"
        );
    }
}
