//! Users of a Supabase project: which tokens let them in, and whom the app knows them as.

use reqwest::Method;
use serde_json::{Value, json};

use super::project::{Project, SECRET, SigningKey, in_seconds, token_by_secret, unsigned_token};
use crate::harness::{Served, Stage, answer};

/// The route that asks who calls and nothing else.
const ROUTE: &str = "/api/credits";
const ALICE: &str = "6f1c9c1e-3f3c-4b5e-9a55-000000000001";
const BOB: &str = "6f1c9c1e-3f3c-4b5e-9a55-000000000002";

async fn status(server: &Served, token: &str) -> u16 {
    server.get(ROUTE, token).await.0
}

/// Claims with some of them changed; null takes one away.
fn but(claims: &Value, change: &Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

#[tokio::test]
async fn a_token_must_be_of_the_project_for_a_user_and_in_time() {
    let stage = Stage::new().await;
    let key = SigningKey::new("a");
    let project = Project::start(&[&key]).await;
    // The slash at the end is the operator's, not the issuer's.
    let url = format!("--supabase-url={}/", project.url);
    let secret = format!("--supabase-jwt-secret={SECRET}");
    let server = stage.serve(&[&url, &secret]).await;
    let claims = project.claims(ALICE);
    let check = async |change: Value, expected: &str| {
        let claims = but(&claims, &change);
        for token in [
            key.token(&claims),
            token_by_secret(SECRET.as_bytes(), &claims),
        ] {
            let (status, body) = server.get(ROUTE, &token).await;
            let said = format!("{status} {}", body["error"].as_str().unwrap_or_default());
            assert!(said.contains(expected), "{change}: {said}");
            assert!(expected == "200" || status == 401, "{change}: {said}");
        }
    };

    check(json!({}), "200").await;
    check(json!({ "aud": ["other", "authenticated"] }), "200").await;
    check(json!({ "exp": in_seconds(-20) }), "200").await;
    check(json!({ "exp": in_seconds(-60) }), "expired").await;
    check(json!({ "exp": null }), "lacks").await;
    check(json!({ "exp": "tomorrow" }), "lacks").await;
    check(json!({ "nbf": in_seconds(300) }), "not valid yet").await;
    check(json!({ "aud": "other" }), "lacks").await;
    check(json!({ "aud": null }), "lacks").await;
    check(
        json!({ "iss": "https://other.supabase.co/auth/v1" }),
        "lacks",
    )
    .await;
    check(json!({ "iss": project.url }), "lacks").await;
    check(json!({ "iss": null }), "lacks").await;
    check(json!({ "sub": "" }), "lacks").await;
    check(json!({ "sub": null }), "lacks").await;
    check(json!({ "role": null }), "lacks").await;
    check(json!({ "role": "postgres" }), "lacks").await;
    check(json!({ "role": "anon" }), "anon key").await;
    check(
        json!({ "role": "service_role" }),
        "safelight keys create --service",
    )
    .await;
    // As the project's own keys are.
    let own = json!({ "role": "service_role", "iss": "supabase", "aud": null, "sub": null });
    check(own, "safelight keys create --service").await;
}

#[tokio::test]
async fn a_token_is_verified_by_the_kind_of_key_it_was_made_for() {
    let stage = Stage::new().await;
    let (key, foreign) = (SigningKey::new("a"), SigningKey::new("a"));
    let unknown = SigningKey::new("b");
    let project = Project::start(&[&key]).await;
    let url = format!("--supabase-url={}", project.url);
    let secret = format!("--supabase-jwt-secret={SECRET}");
    let keys_only = stage.serve(&[&url]).await;
    let both = stage.serve(&[&url, &secret]).await;
    let claims = project.claims(ALICE);
    let public = json!({ "alg": "ES256", "kid": "a", "crit": ["exp"] });
    let by_secret = token_by_secret(SECRET.as_bytes(), &claims);

    for server in [&keys_only, &both] {
        let check = async |what: &str, token: &str, expected: u16| {
            assert_eq!(status(server, token).await, expected, "{what}");
        };
        let good = key.token(&claims);
        let (message, _) = good.rsplit_once('.').unwrap();

        check("its own key", &good, 200).await;
        check("another's key of the same id", &foreign.token(&claims), 401).await;
        check("a key it has not", &unknown.token(&claims), 401).await;
        check("unsigned", &unsigned_token(&claims), 401).await;
        check("no signature", &format!("{message}."), 401).await;
        check(
            "a public key as a secret",
            &token_by_secret(key.point(), &claims),
            401,
        )
        .await;
        check(
            "without the id of a key",
            &key.token_with(&json!({ "alg": "ES256" }), &claims),
            401,
        )
        .await;
        check(
            "what must be understood",
            &key.token_with(&public, &claims),
            401,
        )
        .await;
        let as_rsa = json!({ "alg": "RS256", "kid": "a" });
        check("another algorithm", &key.token_with(&as_rsa, &claims), 401).await;
        check("another secret", &token_by_secret(b"another", &claims), 401).await;
        check("no token", "a.b.c", 401).await;
    }
    assert_eq!(status(&keys_only, &by_secret).await, 401);
    assert_eq!(status(&both, &by_secret).await, 200);
    // Once each: keys that it has not make no requests of their own for a while.
    assert_eq!(project.asked(), 2);
}

#[tokio::test]
async fn a_project_that_cannot_be_reached_makes_no_token_wrong() {
    let stage = Stage::new().await;
    let key = SigningKey::new("a");
    let project = Project::start(&[&key]).await;
    // Nothing listens on port 1.
    let server = stage
        .serve(&[
            "--supabase-url=http://127.0.0.1:1",
            "--api-keys=7:0123456789abcdef",
        ])
        .await;
    let token = key.token(&project.claims(ALICE));

    let request = server.request(Method::GET, ROUTE).bearer_auth(&token);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 503);
    let wait: u64 = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    let (status, body) = server.get(ROUTE, &token).await;
    assert_eq!(status, 503);
    assert_eq!(body["code"], "keys_unavailable");
    assert!(!body["error"].as_str().unwrap().contains("127.0.0.1"));
    // Keys of safelight's own need no project.
    assert_eq!(server.get(ROUTE, "0123456789abcdef").await.0, 200);
}

#[tokio::test]
async fn a_user_is_who_the_app_says_by_its_own_query() {
    let stage = Stage::new().await;
    stage
        .sql(&format!(
            r#"CREATE TABLE users (id integer, "openId" text);
               INSERT INTO users VALUES (7, '{ALICE}'), (7, 'alice too'), (8, '{BOB}'),
                   (NULL, 'no id'), (9, 'twice'), (10, 'twice')"#
        ))
        .await;
    let key = SigningKey::new("a");
    let project = Project::start(&[&key]).await;
    let url = format!("--supabase-url={}", project.url);
    let query = "--tenant-sql=select id::text from users where \"openId\" = $1 -- the app's";
    let limit = "--caller-requests-per-minute=1";
    let api_key = "--api-keys=7:0123456789abcdef";
    let server = stage.serve(&[&url, query, limit, api_key]).await;
    let ask = async |subject: &str| {
        let token = key.token(&project.claims(subject));
        server.get(ROUTE, &token).await
    };

    // One request each in a minute tells who is who; team 7 is not user 7.
    assert_eq!(ask(ALICE).await.0, 200);
    assert_eq!(ask("alice too").await.0, 429);
    assert_eq!(ask(BOB).await.0, 200);
    assert_eq!(server.get(ROUTE, "0123456789abcdef").await.0, 200);
    for unknown in ["no id", "nobody"] {
        let (status, body) = ask(unknown).await;
        assert_eq!(
            (status, &body["code"]),
            (403, &json!("forbidden")),
            "{unknown}"
        );
    }
    // Whoever it is, it is not certain.
    assert_eq!(ask("twice").await.0, 500);
}

#[tokio::test]
async fn team_7_is_not_user_7_and_a_view_token_opens_one_job() {
    let stage = Stage::new().await;
    let key = SigningKey::new("a");
    let project = Project::start(&[&key]).await;
    let url = format!("--supabase-url={}", project.url);
    let query = format!("--tenant-sql=select '7' where $1 = '{ALICE}'");
    let team = "0123456789abcdef";
    let server = stage
        .serve(&[&url, &query, &format!("--api-keys=7:{team}")])
        .await;
    let user = key.token(&project.claims(ALICE));
    let enqueue = async |caller: &str| {
        let body = json!({ "prompt": "a red bicycle", "numImages": 1 });
        let (status, body) = server.post("/api/generations", caller, body).await;
        assert_eq!(status, 202, "{body}");
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        (text("jobId"), text("viewToken"))
    };

    let (of_team, view) = enqueue(team).await;
    let (of_user, _) = enqueue(&user).await;

    let whose = r#"SELECT string_agg(concat_ws(' ', 'team', "teamId", 'user', "userId"), ', ' ORDER BY id)
                   FROM photo_generation_queue"#;
    assert_eq!(stage.text(whose).await, "team 7 user, team user 7");
    let check = async |caller: &str, job: &str, expected: u16| {
        let path = format!("/api/generations/{job}");
        assert_eq!(
            server.get(&path, caller).await.0,
            expected,
            "{caller} {job}"
        );
    };
    check(team, &of_team, 200).await;
    check(team, &of_user, 404).await;
    check(&user, &of_user, 200).await;
    check(&user, &of_team, 404).await;
    for (job, expected) in [(&of_team, 200), (&of_user, 404)] {
        let path = format!("/api/generations/{job}?token={view}");
        let (status, body) = answer(server.request(Method::GET, &path)).await;
        assert_eq!(status, expected, "{body}");
    }
}

#[tokio::test]
async fn the_query_changes_nothing_whatever_it_says() {
    let stage = Stage::new().await;
    stage
        .sql(
            "CREATE TABLE seen (id text);
             CREATE FUNCTION note(subject text) RETURNS text LANGUAGE sql
                 AS 'INSERT INTO seen VALUES (subject) RETURNING id'",
        )
        .await;
    for query in [
        "select note($1)",
        "insert into seen values ($1) returning id",
        "select $1); insert into seen values ('x'); select ('y'",
    ] {
        let query = format!("--tenant-sql={query}");

        assert!(stage.api(&[&query]).await.is_err(), "{query}");
    }
    assert_eq!(stage.number("SELECT count(*) FROM seen").await, 0);
}

#[tokio::test]
async fn two_users_are_two_without_a_query() {
    let stage = Stage::new().await;
    let key = SigningKey::new("a");
    let project = Project::start(&[&key]).await;
    let url = format!("--supabase-url={}", project.url);
    let server = stage.serve(&[&url, "--caller-requests-per-minute=1"]).await;
    let ask = async |subject: &str| {
        let token = key.token(&project.claims(subject));
        let request = server
            .request(Method::GET, ROUTE)
            .header("x-api-key", token);
        answer(request).await.0
    };

    assert_eq!(ask(ALICE).await, 200);
    assert_eq!(ask(ALICE).await, 429);
    assert_eq!(ask(BOB).await, 200);
}
