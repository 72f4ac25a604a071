//! Who may call: keys, view tokens, an open server, limits, pages of other origins.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use safelight::api::{Moment, Scope, Signer};
use safelight::providers::simulator::SimulatorConfig;
use serde_json::Value;
use uuid::Uuid;

use crate::harness::{Served, Server, Stage};

const TEAM: &str = "key-of-team-7-key-of-team-7";
const TEAM_AGAIN: &str = "another-key-of-team-7-another";
const SERVICE: &str = "key-of-the-backend-itself";
const API_KEYS: &str = "--api-keys=7:key-of-team-7-key-of-team-7,7:another-key-of-team-7-another,*:key-of-the-backend-itself";
/// The route that asks who calls and nothing else.
const ROUTE: &str = "/api/credits";
/// Longer than the seconds in which a server learns of a key.
const PATIENCE: Duration = Duration::from_secs(15);

fn call(server: &Served) -> RequestBuilder {
    server.request(Method::GET, ROUTE)
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

async fn status(request: RequestBuilder) -> u16 {
    send(request).await.status().as_u16()
}

/// A token of this stage's secret, as any server of it would sign it.
async fn token(stage: &Stage, scope: Scope, life: i64) -> String {
    let secret = "SELECT value FROM photo_generation_secrets WHERE name = 'signing'";
    let signer = Signer::new(stage.text(secret).await.as_bytes());
    let end = Moment(Moment::now().0.checked_add_signed(life).unwrap());
    signer.token(scope, Uuid::from_u128(7), end)
}

/// Waits until a call is answered so.
async fn until(wanted: u16, request: impl Fn() -> RequestBuilder) {
    let answered = async {
        while status(request()).await != wanted {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, answered).await;
    waited.unwrap_or_else(|_| panic!("no {wanted} within {PATIENCE:?}"));
}

/// Calls for longer than a server trusts what it knows, and is always answered so.
async fn stays(wanted: u16, request: impl Fn() -> RequestBuilder) {
    let end = tokio::time::Instant::now() + Duration::from_secs(6);
    while tokio::time::Instant::now() < end {
        assert_eq!(status(request()).await, wanted);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[tokio::test]
async fn a_caller_is_who_its_key_or_token_says() {
    let stage = Stage::new().await;
    let server = stage.serve(&[API_KEYS]).await;
    let check = async |what: &str, request: RequestBuilder, expected: u16| {
        let response = send(request).await;
        assert_eq!(response.status(), expected, "{what}");
        if expected == 401 {
            assert_eq!(response.headers()["www-authenticate"], "Bearer", "{what}");
        }
    };
    let with = |name: &str, value: &str| call(&server).header(name, value);
    let linked = |token: &str| server.request(Method::GET, &format!("{ROUTE}?token={token}"));
    let view = token(&stage, Scope::View, 60).await;
    let bearer = format!("Bearer {TEAM}");

    check("nothing", call(&server), 401).await;
    check("a key of a team", with("authorization", &bearer), 200).await;
    check("its other key", call(&server).bearer_auth(TEAM_AGAIN), 200).await;
    check("a service key", call(&server).bearer_auth(SERVICE), 200).await;
    check(
        "the scheme",
        with("authorization", &format!("bearer {TEAM}")),
        200,
    )
    .await;
    check("X-Api-Key", with("x-api-key", TEAM), 200).await;
    check(
        "the same twice",
        with("x-api-key", TEAM).bearer_auth(TEAM),
        200,
    )
    .await;
    check("a wrong key", call(&server).bearer_auth("7"), 401).await;
    check("half a key", call(&server).bearer_auth(&TEAM[1..]), 401).await;
    check("no key", with("authorization", "Bearer "), 401).await;
    check(
        "another scheme",
        with("authorization", &format!("Basic {TEAM}")),
        401,
    )
    .await;
    check("no scheme", with("authorization", TEAM), 401).await;
    check(
        "two callers",
        with("x-api-key", SERVICE).bearer_auth(TEAM),
        401,
    )
    .await;
    check(
        "one of two is wrong",
        with("x-api-key", "x").bearer_auth(TEAM),
        401,
    )
    .await;
    check(
        "a JWT where none are taken",
        call(&server).bearer_auth("a.b.c"),
        401,
    )
    .await;

    // A view token is let in, and sees one job, which is not what this route is about.
    check("a view token", linked(&view), 403).await;
    check("a wrong key beside it", linked(&view).bearer_auth("x"), 401).await;
    check(
        "a right key beside it",
        linked(&view).bearer_auth(TEAM),
        200,
    )
    .await;
    check(
        "an altered token",
        linked(&view.replace("view", "zip")),
        401,
    )
    .await;
    check("no token", linked(""), 401).await;
    let over = token(&stage, Scope::View, -1).await;
    check("a token that is over", linked(&over), 401).await;
    let zip = token(&stage, Scope::Zip, 60).await;
    check("a token for a zip", linked(&zip), 401).await;
}

#[tokio::test]
async fn whoever_sends_nothing_is_told_what_to_send() {
    let stage = Stage::new().await;
    let server = stage.serve(&[API_KEYS]).await;

    let body: Value = send(call(&server)).await.json().await.unwrap();

    assert_eq!(body["code"], "unauthorized");
    let text = body["error"].as_str().unwrap();
    assert!(text.contains("Authorization: Bearer KEY"), "{text}");
}

#[tokio::test]
async fn keys_that_cannot_be_meant_stop_the_start() {
    let stage = Stage::new().await;
    for (argument, expected) in [
        (
            "--api-keys=7:short",
            "API_KEYS: the key of entry 1 is shorter",
        ),
        (
            "--api-keys=key-of-team-7-key-of-team-7",
            "API_KEYS: entry 1 is not",
        ),
        ("--supabase-jwt-secret=x", "SUPABASE_URL is not"),
        (
            "--supabase-url=project.supabase.co:443",
            "SUPABASE_URL is not a URL",
        ),
        ("--cors-origins=*", "CORS_ORIGINS: \"*\" is no origin"),
        (
            "--tenant-sql=select id from nowhere",
            "TENANT_SQL does not work",
        ),
    ] {
        let error = stage.api(&[argument]).await.unwrap_err().to_string();

        assert!(error.contains(expected), "{error}");
        assert!(!error.contains('\n'), "{error}");
        assert!(!error.contains(TEAM), "{error}");
    }
}

#[tokio::test]
async fn a_server_without_keys_answers_this_machine_alone() {
    let stage = Stage::new().await;
    let server = stage
        .serve(&["--cors-origins=https://app.example.com"])
        .await;
    let check = async |name: &str, value: &str, expected: u16| {
        let answered = status(call(&server).header(name, value)).await;
        assert_eq!(answered, expected, "{name}: {value}");
    };

    assert_eq!(status(call(&server)).await, 200);
    check("host", "localhost:8088", 200).await;
    check("host", "photos.example.com", 403).await;
    check("host", "127.0.0.1.example.com", 403).await;
    check("origin", "http://localhost:3000", 200).await;
    check("origin", "https://app.example.com", 200).await;
    check("origin", "https://evil.example.com", 403).await;
    check("origin", "null", 403).await;
    // A key that nobody knows does not become right by that.
    check("authorization", "Bearer something", 401).await;
}

#[tokio::test]
async fn keys_are_made_shown_and_revoked_while_servers_run() {
    let stage = Stage::new().await;
    let server = stage.serve(&[]).await;
    assert_eq!(status(call(&server)).await, 200);

    let made = stage
        .safelight(&["keys", "create", "--team", "7", "--label", "web"])
        .await;
    assert_eq!(made.code, 0, "{made:?}");
    let key = made.stdout.trim();
    assert!(key.starts_with("sl_") && key.len() == 46, "{made:?}");
    assert!(
        made.stderr.contains("Key 1 for team:7 is shown only now"),
        "{made:?}"
    );
    assert!(!made.stderr.contains(key), "{made:?}");
    // The open server closes, and this key is the way in.
    until(401, || call(&server)).await;
    assert_eq!(status(call(&server).bearer_auth(key)).await, 200);

    let service = stage
        .safelight(&["keys", "create", "--service", "--json"])
        .await
        .json();
    assert_eq!(service["team"], Value::Null);
    let service = service["key"].as_str().unwrap();
    until(200, || call(&server).bearer_auth(service)).await;

    let revoked = stage.safelight(&["keys", "revoke", "1"]).await;
    assert_eq!(revoked.stdout, "Key 1 for team:7 is revoked.\n");
    until(401, || call(&server).bearer_auth(key)).await;
    assert_eq!(status(call(&server).bearer_auth(service)).await, 200);

    let list = stage.safelight(&["keys", "--json"]).await;
    for secret in [key, service] {
        assert!(!list.stdout.contains(secret), "{list:?}");
        let kept = format!(
            "SELECT count(*) FROM photo_generation_keys AS k WHERE k::text LIKE '%{secret}%'"
        );
        assert_eq!(stage.number(&kept).await, 0);
    }
    let list = list.json();
    assert_eq!(list[0]["team"], "7");
    assert_eq!(list[0]["label"], "web");
    assert!(list[0]["revokedAt"].is_string());
    assert!(list[1]["revokedAt"].is_null());
    let table = stage.safelight(&["keys"]).await.stdout;
    assert!(table.starts_with("ID  FOR"), "{table}");
    assert_eq!(stage.safelight(&["keys", "revoke", "9"]).await.code, 1);
    assert_eq!(stage.safelight(&["keys", "create"]).await.code, 2);
}

#[tokio::test]
async fn revoking_the_last_key_opens_nothing() {
    let stage = Stage::new().await;
    let made = stage.safelight(&["keys", "create", "--service"]).await;
    let key = made.stdout.trim();
    let server = stage.serve(&[]).await;
    assert_eq!(status(call(&server).bearer_auth(key)).await, 200);

    stage.safelight(&["keys", "revoke", "1"]).await;
    until(401, || call(&server).bearer_auth(key)).await;
    assert_eq!(status(call(&server)).await, 401);
    // Nor does deleting it, for a server that knew it, or starting another while its row is there.
    assert_eq!(status(call(&stage.serve(&[]).await)).await, 401);
    stage.sql("DELETE FROM photo_generation_keys").await;
    stays(401, || call(&server)).await;
}

#[tokio::test]
async fn a_known_key_opens_while_the_database_is_away() {
    let database = Server::start().await;
    let stage = Stage::on(&database, SimulatorConfig::instant()).await;
    let made = stage.safelight(&["keys", "create", "--team", "7"]).await;
    let key = made.stdout.trim();
    let server = stage.serve(&[]).await;
    assert_eq!(status(call(&server).bearer_auth(key)).await, 200);

    database.stop().await;

    // It is let in, and what it asks for is in the database.
    stays(503, || call(&server).bearer_auth(key)).await;
    assert_eq!(status(call(&server).bearer_auth("another")).await, 401);
}

#[tokio::test]
async fn a_team_that_calls_too_often_waits_and_no_other_with_it() {
    let stage = Stage::new().await;
    let server = stage
        .serve(&[API_KEYS, "--caller-requests-per-minute=2"])
        .await;

    assert_eq!(status(call(&server).bearer_auth(TEAM)).await, 200);
    // Its keys are of one team.
    assert_eq!(status(call(&server).bearer_auth(TEAM_AGAIN)).await, 200);
    let over = send(call(&server).bearer_auth(TEAM)).await;
    assert_eq!(over.status(), 429);
    let wait: u64 = over.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    let body: Value = over.json().await.unwrap();
    assert_eq!(body["code"], "too_many_requests");
    for _ in 0..5 {
        assert_eq!(status(call(&server).bearer_auth(SERVICE)).await, 200);
    }
}

#[tokio::test]
async fn who_tries_keys_is_told_to_wait_and_the_right_key_still_opens() {
    let stage = Stage::new().await;
    let server = stage.serve(&[API_KEYS]).await;
    let wrong = || call(&server).bearer_auth("one-of-many-wrong-keys");

    let mut refused = 0;
    while status(wrong()).await == 401 {
        refused += 1;
        assert!(refused < 1000, "nobody says stop");
    }

    assert!(refused >= 60, "{refused}");
    assert!(send(wrong()).await.headers().contains_key("retry-after"));
    assert_eq!(status(call(&server).bearer_auth(TEAM)).await, 200);
    assert_eq!(status(call(&server)).await, 401);
}

#[tokio::test]
async fn pages_of_named_origins_may_call_and_no_others() {
    let stage = Stage::new().await;
    let server = stage
        .serve(&[API_KEYS, "--cors-origins=https://app.example.com"])
        .await;
    let preflight = |origin: &str| {
        server
            .request(Method::OPTIONS, ROUTE)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,idempotency-key",
            )
    };

    let answer = send(preflight("https://app.example.com")).await;
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_lowercase();
    assert_eq!(
        header("access-control-allow-origin"),
        "https://app.example.com"
    );
    assert_eq!(header("access-control-allow-methods"), "get,post");
    assert!(header("access-control-allow-headers").contains("idempotency-key"));
    assert_eq!(header("access-control-max-age"), "600");

    // Errors, too, can be read by the page, with what it needs to know when to come again.
    let refused = send(call(&server).header("origin", "https://app.example.com")).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(
        refused.headers()["access-control-allow-origin"],
        "https://app.example.com"
    );
    let exposed = refused.headers()["access-control-expose-headers"]
        .to_str()
        .unwrap();
    assert!(exposed.contains("retry-after"), "{exposed}");

    let other = send(preflight("https://evil.example.com")).await;
    assert!(!other.headers().contains_key("access-control-allow-origin"));
    let without = stage.serve(&[API_KEYS]).await;
    let silent = send(
        call(&without)
            .header("origin", "https://app.example.com")
            .bearer_auth(TEAM),
    )
    .await;
    assert_eq!(silent.status(), 200);
    assert!(!silent.headers().contains_key("access-control-allow-origin"));
}
