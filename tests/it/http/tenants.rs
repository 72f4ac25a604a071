//! What is somebody else's is not there: for each route.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Stage, answer};

const KEYS: &str = "--api-keys=7:key-of-team-seven,8:key-of-team-eight,*:key-of-the-service";
const SEVEN: &str = "key-of-team-seven";
const EIGHT: &str = "key-of-team-eight";
const SERVICE: &str = "key-of-the-service";

/// All routes about one job.
const OF_A_JOB: [(Method, &str); 7] = [
    (Method::GET, ""),
    (Method::GET, "/status"),
    (Method::GET, "/events"),
    (Method::GET, "/download"),
    (Method::POST, "/cancel"),
    (Method::POST, "/retry"),
    (Method::GET, "?include=base64"),
];

#[tokio::test]
async fn another_tenants_job_is_answered_as_one_that_is_not_there() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    // Team 7 is not user 7, and nobody's jobs are not everybody's.
    let (_, theirs) = server
        .post("/api/generations", EIGHT, json!({"prompt": "a lake"}))
        .await;
    let of_user = json!({"prompt": "a lake", "userId": 7});
    let (_, of_user) = server.post("/api/generations", SERVICE, of_user).await;
    let (_, nobodys) = server
        .post("/api/generations", SERVICE, json!({"prompt": "a lake"}))
        .await;
    let (_, own) = server
        .post("/api/generations", SEVEN, json!({"prompt": "a lake"}))
        .await;

    for job in [&theirs, &of_user, &nobodys] {
        for name in [
            job["jobId"].as_str().unwrap().to_owned(),
            job["id"].to_string(),
        ] {
            for (method, route) in OF_A_JOB {
                let path = format!("/api/generations/{name}{route}");
                let request = server.request(method.clone(), &path).bearer_auth(SEVEN);
                let (status, body) = answer(request).await;
                assert_eq!(
                    (status, &body["code"]),
                    (404, &json!("not_found")),
                    "{method} {path}"
                );
                let nonsense = path.replace(&name, "00000000-0000-4000-8000-000000000000");
                let request = server.request(method, &nonsense).bearer_auth(SEVEN);
                let (_, missing) = answer(request).await;
                assert_eq!(body["error"], missing["error"], "{path}");
            }
            let (status, _) = server.get(&format!("/api/tryon/jobs/{name}"), SEVEN).await;
            assert_eq!(status, 404);
        }
    }

    // Nothing happened to any of them.
    assert_eq!(
        stage
            .number("SELECT count(*) FROM photo_generation_queue WHERE status = 'pending'")
            .await,
        4
    );
    let (_, list) = server.get("/api/generations", SEVEN).await;
    assert_eq!(list["jobs"].as_array().unwrap().len(), 1);
    let ids = [&theirs, &of_user, &nobodys, &own]
        .map(|job| job["id"].to_string())
        .join(",");
    for path in ["/api/generations?ids=", "/api/generations/status?ids="] {
        let (_, seen) = server.get(&format!("{path}{ids}"), SEVEN).await;
        let seen = seen.get("jobs").unwrap_or(&seen).as_array().unwrap().len();
        assert_eq!(seen, 1, "{path}");
    }
    let (status, _) = server
        .get(&format!("/api/generations/{}", theirs["id"]), SERVICE)
        .await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_view_token_opens_one_job_to_look_at_cancel_and_retry_and_nothing_else() {
    let stage = Stage::new().await;
    let server = stage.serve(&[KEYS]).await;
    let (_, mine) = server
        .post("/api/generations", SEVEN, json!({"prompt": "a lake"}))
        .await;
    let (_, other) = server
        .post("/api/generations", SEVEN, json!({"prompt": "a lake"}))
        .await;
    let token = mine["viewToken"].as_str().unwrap();
    let ask = |method: Method, path: String| {
        let request = server.request(method, &format!("{path}?token={token}"));
        answer(request)
    };
    let path = |job: &Value| job["pollUrl"].as_str().unwrap().to_owned();

    assert_eq!(ask(Method::GET, path(&mine)).await.0, 200);
    assert_eq!(ask(Method::GET, path(&other)).await.0, 404);
    assert_eq!(
        ask(Method::POST, format!("{}/cancel", path(&other)))
            .await
            .0,
        404
    );
    assert_eq!(ask(Method::GET, "/api/generations".to_owned()).await.0, 403);
    assert_eq!(ask(Method::GET, "/api/credits".to_owned()).await.0, 403);
    assert_eq!(ask(Method::GET, "/api/batches/1".to_owned()).await.0, 403);
    let request = server.request(Method::POST, &format!("/api/generations?token={token}"));
    let (status, _) = answer(request.json(&json!({"prompt": "a sea"}))).await;
    assert_eq!(status, 403);
    let request = server.request(Method::POST, &format!("/api/batches?token={token}"));
    let (status, _) = answer(request.json(&json!({"jobs": [{"prompt": "a sea"}]}))).await;
    assert_eq!(status, 403);
    assert_eq!(
        ask(Method::POST, format!("{}/cancel", path(&mine))).await.0,
        200
    );
    let (status, retried) = ask(Method::POST, format!("{}/retry", path(&mine))).await;
    assert_eq!(status, 201, "{retried}");
    // The new job comes with a token of its own; the old one does not open it.
    assert_eq!(ask(Method::GET, path(&retried)).await.0, 404);
    let new = format!(
        "{}?token={}",
        path(&retried),
        retried["viewToken"].as_str().unwrap()
    );
    assert_eq!(answer(server.request(Method::GET, &new)).await.0, 200);
    let altered = format!("{}?token={}x", path(&mine), token);
    assert_eq!(answer(server.request(Method::GET, &altered)).await.0, 401);
}
