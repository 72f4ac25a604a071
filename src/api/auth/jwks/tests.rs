use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;

/// A page of keys that a test changes, and how often it was asked for.
struct Page {
    url: Url,
    asked: Arc<AtomicUsize>,
    answer: Arc<RwLock<(axum::http::StatusCode, String)>>,
}

impl Page {
    async fn start(body: String) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let asked = Arc::new(AtomicUsize::new(0));
        let answer = Arc::new(RwLock::new((axum::http::StatusCode::OK, body)));
        let (count, shown) = (asked.clone(), answer.clone());
        let page = get(async move || -> Response {
            count.fetch_add(1, Ordering::SeqCst);
            let (status, body) = shown.read().unwrap().clone();
            (status, [(LOCATION, "/elsewhere")], body).into_response()
        });
        let elsewhere = get(async || set(&["a"]));
        let router = Router::new()
            .route("/keys", page)
            .route("/elsewhere", elsewhere);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            url: url.parse().unwrap(),
            asked,
            answer,
        }
    }

    fn answers(&self, status: u16, body: String) {
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        *self.answer.write().unwrap() = (status, body);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn keys(&self) -> Jwks {
        Jwks::new(self.url.clone()).unwrap()
    }

    /// As if the time between two requests were over at once.
    fn keys_without_floor(&self) -> Jwks {
        self.keys_with(Times {
            floor: Duration::ZERO,
            ..TIMES
        })
    }

    fn keys_with(&self, times: Times) -> Jwks {
        Jwks::with_times(self.url.clone(), times).unwrap()
    }
}

/// A point is 32 bytes and 32 bytes; whether it lies on the curve is seen when it verifies.
const COORDINATE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn key(id: &str) -> Value {
    json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": id,
            "x": COORDINATE, "y": COORDINATE })
}

fn set(ids: &[&str]) -> String {
    let keys: Vec<_> = ids.iter().map(|id| key(id)).collect();
    json!({ "keys": keys }).to_string()
}

#[tokio::test]
async fn keys_are_fetched_once_for_all_who_need_them() {
    let page = Page::start(set(&["a", "b"])).await;
    let keys = page.keys();

    let asked = (0..20).map(|n| {
        let keys = keys.clone();
        tokio::spawn(async move { keys.key(if n % 2 == 0 { "a" } else { "b" }).await })
    });
    for found in futures_util::future::join_all(asked).await {
        assert!(found.unwrap().unwrap().is_some());
    }

    assert_eq!(page.asked(), 1);
}

#[tokio::test]
async fn a_key_that_is_not_there_is_not_asked_for_again_and_again() {
    let page = Page::start(set(&["a"])).await;
    let keys = page.keys();

    for id in ["x", "y", "z", "a"] {
        let found = keys.key(id).await.unwrap();

        assert_eq!(found.is_some(), id == "a", "{id}");
    }

    assert_eq!(page.asked(), 1);
}

#[tokio::test]
async fn a_project_that_changes_its_keys_is_asked_again_and_the_old_one_is_forgotten() {
    let page = Page::start(set(&["a"])).await;
    let keys = page.keys_without_floor();
    assert!(keys.key("a").await.unwrap().is_some());
    page.answers(200, set(&["b"]));

    assert!(keys.key("b").await.unwrap().is_some());
    assert_eq!(page.asked(), 2);
    assert!(keys.key("a").await.unwrap().is_none());
}

#[tokio::test]
async fn a_page_that_fails_is_left_alone_for_a_while_and_nobody_is_called_wrong() {
    let page = Page::start(String::new()).await;
    let too_large = format!("{}{}", set(&["a"]), " ".repeat(MOST_BYTES));
    for (status, body) in [
        (500, set(&["a"])),
        (302, set(&["a"])),
        (200, "no set".to_owned()),
        (200, too_large),
    ] {
        page.answers(status, body);
        let before = page.asked();
        let keys = page.keys();

        let first = keys.key("a").await.unwrap_err();
        let second = keys.key("a").await.unwrap_err();

        assert_eq!(first.0, TIMES.floor);
        assert!(
            second.0 <= TIMES.floor && second.0 > TIMES.floor / 2,
            "{second:?}"
        );
        assert_eq!(page.asked(), before + 1, "{status}");
    }
}

#[tokio::test]
async fn what_is_known_still_opens_while_the_page_fails() {
    let page = Page::start(set(&["a"])).await;
    let keys = page.keys_without_floor();
    assert!(keys.key("a").await.unwrap().is_some());
    page.answers(500, String::new());

    assert!(keys.key("b").await.is_err());
    assert!(keys.key("a").await.unwrap().is_some());
}

/// All that they know is old at once.
const OLD: Times = Times {
    keep: Duration::ZERO,
    unless_told: Duration::from_mins(1),
    floor: Duration::ZERO,
};

#[tokio::test]
async fn an_old_key_opens_only_while_the_page_fails() {
    let page = Page::start(set(&["a"])).await;
    let keys = page.keys_with(OLD);
    assert!(keys.key("a").await.unwrap().is_some());
    page.answers(500, String::new());

    assert!(keys.key("a").await.unwrap().is_some());
    assert_eq!(page.asked(), 2);
    assert!(keys.key("b").await.is_err());

    // The project took it back.
    page.answers(200, set(&["b"]));
    assert!(keys.key("a").await.unwrap().is_none());
}

#[tokio::test]
async fn an_old_key_does_not_open_for_ever() {
    let page = Page::start(set(&["a"])).await;
    let keys = page.keys_with(Times {
        unless_told: Duration::ZERO,
        ..OLD
    });
    assert!(keys.key("a").await.unwrap().is_some());
    page.answers(500, String::new());

    assert!(keys.key("a").await.is_err());
}

#[tokio::test]
async fn a_page_that_fails_is_not_asked_again_for_each_old_key() {
    let page = Page::start(set(&["a"])).await;
    let keys = page.keys_with(OLD);
    assert!(keys.key("a").await.unwrap().is_some());
    page.answers(500, String::new());
    assert!(keys.key("a").await.unwrap().is_some());
    let asked = page.asked();

    // From here on as if the floor were there.
    let mut shared = Arc::into_inner(keys.0).unwrap();
    shared.times.floor = TIMES.floor;
    let keys = Jwks(Arc::new(shared));
    for _ in 0..3 {
        assert!(keys.key("a").await.unwrap().is_some());
    }

    assert_eq!(page.asked(), asked);
}

#[test]
fn only_public_keys_for_signatures_are_taken() {
    let check = |change: Value, expected: Option<Algorithm>| {
        let mut key = key("a");
        for (name, value) in change.as_object().unwrap() {
            key[name] = value.clone();
        }
        let set = json!({ "keys": [key, "no key", { "kty": "unheard of" }] });
        let found = parse(set.to_string().as_bytes()).unwrap();
        let algorithm = found.get("a").map(|key| key.algorithm);
        assert_eq!(algorithm, expected, "{change}");
    };

    check(json!({}), Some(Algorithm::ES256));
    check(json!({ "alg": null, "use": null }), Some(Algorithm::ES256));
    check(
        json!({ "kty": "RSA", "alg": "RS256", "n": COORDINATE, "e": "AQAB" }),
        Some(Algorithm::RS256),
    );
    check(json!({ "kid": null }), None);
    check(json!({ "use": "enc" }), None);
    check(json!({ "alg": "RS256" }), None);
    check(json!({ "alg": "HS256" }), None);
    check(json!({ "crv": "P-384" }), None);
    check(
        json!({ "kty": "oct", "alg": "HS256", "k": COORDINATE }),
        None,
    );
    check(
        json!({ "kty": "RSA", "alg": "PS256", "n": COORDINATE, "e": "AQAB" }),
        None,
    );
}
