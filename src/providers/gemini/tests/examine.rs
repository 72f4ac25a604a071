use axum::Router;
use axum::http::StatusCode;
use tokio::net::TcpListener;
use url::Url;

use super::super::*;
use crate::domain::failure::BlockReason;
use crate::providers::{http_client, parse_keys};

/// Far longer than any test takes, far shorter than a hung suite.
const LONG: Duration = Duration::from_secs(20);

fn gemini(base_url: &str) -> Gemini {
    // A second installation fails, and the first is the one that counts.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let base_url = Url::parse(base_url).unwrap();
    let keys = parse_keys("hush-hush").unwrap();
    Gemini::new(http_client().unwrap(), base_url, keys)
}

async fn findings(base_url: &str) -> Vec<KeyFinding> {
    let model = Model::from_name("gemini-3-pro-image").unwrap();
    gemini(base_url).examine("default", &model, LONG).await
}

/// What is found where the provider answers so.
async fn finding(status: u16, body: &'static str) -> KeyFinding {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = (StatusCode::from_u16(status).unwrap(), body);
    let router = Router::new().fallback(async move || answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    findings(&url).await.remove(0)
}

#[tokio::test]
async fn each_answer_is_told_from_the_others() {
    let check = async |status, body, expected: fn(&KeyFinding) -> bool| {
        let found = finding(status, body).await;
        assert!(expected(&found), "{status} {body}: {found:?}");
    };

    check(200, r#"{"name": "models/gemini-3-pro-image"}"#, |it| {
        *it == KeyFinding::Good
    })
    .await;
    check(200, "<html>Please sign in</html>", |it| {
        matches!(it, KeyFinding::Stranger(_))
    })
    .await;
    check(
        400,
        r#"{"error": {"status": "INVALID_ARGUMENT", "message": "API key not valid."}}"#,
        |it| {
            matches!(
                it,
                KeyFinding::Blocked {
                    reason: BlockReason::BadKey,
                    ..
                }
            )
        },
    )
    .await;
    check(
        403,
        r#"{"error": {"status": "PERMISSION_DENIED", "message": "Your API key was reported as leaked."}}"#,
        |it| matches!(it, KeyFinding::Blocked { reason: BlockReason::BadKey, .. }),
    )
    .await;
    check(404, "{}", |it| {
        matches!(
            it,
            KeyFinding::Blocked {
                reason: BlockReason::ModelGone,
                ..
            }
        )
    })
    .await;
    check(429, "{}", |it| matches!(it, KeyFinding::Busy(_))).await;
    check(503, "{}", |it| matches!(it, KeyFinding::Busy(_))).await;
    check(405, "{}", |it| matches!(it, KeyFinding::Stranger(_))).await;
    check(302, "", |it| matches!(it, KeyFinding::Stranger(_))).await;
}

#[tokio::test]
async fn a_key_that_is_quoted_back_is_struck_out() {
    let found = finding(
        403,
        r#"{"error": {"status": "PERMISSION_DENIED", "message": "hush-hush was leaked"}}"#,
    )
    .await;

    assert!(!format!("{found:?}").contains("hush-hush"), "{found:?}");
    assert!(format!("{found:?}").contains("***"), "{found:?}");
}

#[tokio::test]
async fn where_nobody_listens_nothing_is_known_of_the_key() {
    let found = findings("http://127.0.0.1:9").await;

    assert!(
        matches!(found[..], [KeyFinding::Unreachable(_)]),
        "{found:?}"
    );
}
