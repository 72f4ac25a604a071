//! Calls over real HTTP: to an axum server where the answer is whole, to a bare socket where it
//! is not.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};
use axum::response::IntoResponse;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::domain::AspectRatio;
use crate::domain::failure::{BlockReason, Limit, Remedy};
use crate::providers::exchange::{MAX_ANSWER_BYTES, MAX_ERROR_BYTES};
use crate::providers::{PreparedPicture, http_client, parse_keys};

mod examine;

const PNG: &[u8] = b"\x89PNG\r\n\x1A\n a picture";
/// Far longer than any test takes, far shorter than a hung suite.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);

fn gemini(base_url: &str, keys: &str) -> Gemini {
    // A second installation fails, and the first is the one that counts.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let base_url = Url::parse(base_url).unwrap();
    Gemini::new(http_client().unwrap(), base_url, parse_keys(keys).unwrap())
}

fn request() -> ImageRequest {
    ImageRequest {
        model: Model::from_name("gemini-3-pro-image").unwrap(),
        prompt: "A red kite".into(),
        pictures: Arc::new([
            PreparedPicture {
                mime: "image/jpeg",
                base64: "Zmlyc3Q=".into(),
                width: 30,
                height: 20,
            },
            PreparedPicture {
                mime: "image/png",
                base64: "c2Vjb25k".into(),
                width: 30,
                height: 20,
            },
        ]),
        aspect_ratio: Some(AspectRatio::COMMON[7]),
        image_size: Some("2K".into()),
        options: crate::domain::request::Options::default(),
        manner: crate::providers::Manner::default(),
    }
}

fn picture() -> String {
    let data = BASE64_STANDARD.encode(PNG);
    json!({
        "candidates": [{"content": {"parts": [{"inlineData": {"data": data}}]}, "finishReason": "STOP"}],
        "responseId": "abc123",
    })
    .to_string()
}

/// A request as the provider saw it.
struct Received {
    method: String,
    path: String,
    headers: HeaderMap,
    body: Value,
}

/// A provider that gives every request the same answer and tells what it received.
async fn provider<A>(answer: A) -> (String, UnboundedReceiver<Received>)
where
    A: IntoResponse + Clone + Send + Sync + 'static,
{
    let (tell, received) = unbounded_channel();
    let service =
        async move |method: axum::http::Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let _ = tell.send(Received {
                method: method.to_string(),
                path: uri.to_string(),
                headers,
                body,
            });
            answer.clone()
        };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(service)).await });
    (format!("http://{address}"), received)
}

/// A provider that reads one request per entry and writes those bytes in return, on one connection
/// while it lasts; after the last entry it closes. Tells each request that arrives, wanted or not.
async fn socket(answers: Vec<Vec<u8>>) -> (String, UnboundedReceiver<()>) {
    let (tell, requests) = unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut answers = answers.into_iter();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            while read_request(&mut stream).await {
                let _ = tell.send(());
                match answers.next() {
                    Some(answer) => stream.write_all(&answer).await.unwrap(),
                    None => break,
                }
            }
        }
    });
    (format!("http://{address}"), requests)
}

/// Whether a whole request came.
async fn read_request(stream: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return false,
            Ok(length) => seen.extend_from_slice(&buffer[..length]),
        }
        if seen.ends_with(b"}") {
            return true;
        }
    }
}

fn whole(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

fn half() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"candidates\": [".to_vec()
}

#[track_caller]
fn check_ambiguous(result: CallResult, code: &str) {
    match result {
        CallResult::Ambiguous(failure) => assert_eq!(failure.code, code),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_never_sent(result: CallResult, code: &str) {
    match result {
        CallResult::Failed { failure, accepted } => {
            assert_eq!(failure.code, code);
            assert_eq!(failure.remedy, Remedy::Retry);
            assert_eq!(accepted, Some(false));
            assert!(!failure.message.contains("127.0.0.1"), "{failure}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_carries_the_key_in_a_header_and_text_before_pictures() {
    let (url, mut received) = provider(picture()).await;

    let result = gemini(&format!("{url}/proxy/"), "hush-hush")
        .generate("default", &request(), LONG)
        .await;

    let CallResult::Picture(answer) = result else {
        panic!("{result:?}");
    };
    assert_eq!(answer.bytes, PNG);
    assert_eq!(answer.request_id.as_deref(), Some("abc123"));
    let seen = received.recv().await.unwrap();
    assert_eq!(seen.method, "POST");
    assert_eq!(
        seen.path,
        "/proxy/v1beta/models/gemini-3-pro-image:generateContent"
    );
    assert_eq!(seen.headers["x-goog-api-key"], "hush-hush");
    assert_eq!(seen.headers["content-type"], "application/json");
    assert!(
        seen.headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("safelight/")
    );
    assert_eq!(
        seen.body,
        json!({
            "contents": [{"role": "user", "parts": [
                {"text": "A red kite"},
                {"inlineData": {"mimeType": "image/jpeg", "data": "Zmlyc3Q="}},
                {"inlineData": {"mimeType": "image/png", "data": "c2Vjb25k"}},
            ]}],
            "generationConfig": {
                "responseModalities": ["TEXT", "IMAGE"],
                "imageConfig": {"aspectRatio": "9:16", "imageSize": "2K"},
            },
        })
    );
}

#[tokio::test]
async fn keys_of_one_account_take_turns() {
    let (url, mut received) = provider(picture()).await;
    let gemini = gemini(&url, "shop:one,blog:other,shop:two");

    for account in ["shop", "shop", "blog", "shop"] {
        gemini.generate(account, &request(), LONG).await;
    }

    assert_eq!(gemini.accounts().collect::<Vec<_>>(), ["shop", "blog"]);
    for key in ["one", "two", "other", "one"] {
        let seen = received.recv().await.unwrap();
        assert_eq!(seen.headers["x-goog-api-key"], key);
    }
}

#[tokio::test]
async fn an_account_without_a_key_is_not_called() {
    let (url, mut received) = provider(picture()).await;

    let result = gemini(&url, "shop:one")
        .generate("blog", &request(), LONG)
        .await;

    check_never_sent(result, "account_unknown");
    assert!(received.try_recv().is_err());
}

#[tokio::test]
async fn a_silent_provider_makes_the_call_ambiguous_at_its_deadline() {
    let (url, mut requests) = socket(vec![Vec::new()]).await;

    let result = gemini(&url, "key")
        .generate("default", &request(), SHORT)
        .await;

    check_ambiguous(result, "call_timeout");
    assert_eq!(requests.recv().await, Some(()), "it was sent");
}

#[tokio::test]
async fn a_body_that_never_ends_makes_the_call_ambiguous_at_its_deadline() {
    let (url, _requests) = socket(vec![half()]).await;

    let result = gemini(&url, "key")
        .generate("default", &request(), SHORT)
        .await;

    check_ambiguous(result, "call_timeout");
}

#[tokio::test]
async fn a_connection_lost_before_the_answer_is_ambiguous_and_not_sent_again() {
    let (url, mut requests) = socket(Vec::new()).await;

    let result = gemini(&url, "key")
        .generate("default", &request(), LONG)
        .await;

    check_ambiguous(result, "connection_lost");
    assert!(requests.try_recv().is_ok());
    assert!(requests.try_recv().is_err(), "sent twice");
}

#[tokio::test]
async fn a_kept_connection_that_breaks_under_a_call_is_not_replaced_for_it() {
    let (url, mut requests) = socket(vec![whole("200 OK", &picture())]).await;
    let gemini = gemini(&url, "key");

    let first = gemini.generate("default", &request(), LONG).await;
    let second = gemini.generate("default", &request(), LONG).await;

    assert!(matches!(first, CallResult::Picture(_)), "{first:?}");
    check_ambiguous(second, "connection_lost");
    assert!(requests.try_recv().is_ok());
    assert!(requests.try_recv().is_ok());
    assert!(requests.try_recv().is_err(), "sent twice");
}

#[tokio::test]
async fn a_connection_lost_in_the_answer_is_ambiguous() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let provider = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(read_request(&mut stream).await);
        stream.write_all(&half()).await.unwrap();
        // Closing now sends a reset in place of an orderly end.
        stream.set_zero_linger().unwrap();
    };
    let gemini = gemini(&url, "key");
    let request = request();

    let (result, ()) = tokio::join!(gemini.generate("default", &request, LONG), provider);

    check_ambiguous(result, "connection_lost");
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_was_certainly_not_paid() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);

    for url in [
        format!("http://{address}"),
        "http://no-such-host.invalid".to_owned(),
    ] {
        let result = gemini(&url, "key")
            .generate("default", &request(), LONG)
            .await;
        check_never_sent(result, "provider_unreachable");
    }
}

#[tokio::test]
async fn a_provider_that_does_not_speak_tls_was_certainly_not_paid() {
    let (url, mut received) = provider(picture()).await;

    let result = gemini(&url.replace("http:", "https:"), "key")
        .generate("default", &request(), LONG)
        .await;

    check_never_sent(result, "provider_unreachable");
    assert!(received.try_recv().is_err());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, mut followed) = provider(picture()).await;
    let (url, _received) = provider((
        axum::http::StatusCode::TEMPORARY_REDIRECT,
        [("location", elsewhere)],
    ))
    .await;

    let result = gemini(&url, "key")
        .generate("default", &request(), LONG)
        .await;

    check_never_sent(result, "provider_error");
    assert!(followed.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_that_announces_too_much_is_not_read() {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
        MAX_ANSWER_BYTES + 1
    );
    let (url, _requests) = socket(vec![head.into_bytes()]).await;

    let result = gemini(&url, "key")
        .generate("default", &request(), LONG)
        .await;

    match result {
        CallResult::Empty(failure) => assert_eq!(failure.code, "answer_too_large"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_key_that_the_provider_quotes_is_struck_out() {
    let error = json!({"error": {
        "code": 403,
        "message": "Permission denied: Consumer 'api_key:hush-hush' has been suspended.",
        "status": "PERMISSION_DENIED",
    }});
    let (url, _received) = provider((axum::http::StatusCode::FORBIDDEN, error.to_string())).await;

    let result = gemini(&url, "hush-hush")
        .generate("default", &request(), LONG)
        .await;

    match result {
        CallResult::Limited(Limit::Blocked { reason, detail }) => {
            assert_eq!(reason, BlockReason::BadKey);
            assert_eq!(
                detail,
                "Permission denied: Consumer 'api_key:***' has been suspended."
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_endless_error_page_is_judged_by_its_status() {
    let page = "<html>".repeat(MAX_ERROR_BYTES);
    let (url, _received) = provider((axum::http::StatusCode::BAD_GATEWAY, page)).await;

    let result = gemini(&url, "key")
        .generate("default", &request(), LONG)
        .await;

    match result {
        CallResult::Failed { failure, accepted } => {
            assert_eq!(failure.code, "provider_error");
            assert_eq!(accepted, None);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_are_not_printed_with_the_client() {
    let gemini = gemini("http://localhost", "shop:hush-hush");

    let printed = format!("{gemini:?}");

    assert!(!printed.contains("hush-hush"), "{printed}");
    assert!(printed.contains("***"), "{printed}");
}
