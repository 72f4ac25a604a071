//! Every error has one shape, and says nothing of ours.

use reqwest::Method;

use crate::harness::{Stage, answer};

#[tokio::test]
async fn a_route_that_is_not_there_is_told_in_the_shape_of_every_error() {
    let stage = Stage::new().await;
    let server = stage.serve(&[]).await;

    let request = server.request(Method::GET, "/nowhere");
    let response = request
        .header("x-request-id", "abc-1")
        .send()
        .await
        .unwrap();

    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["x-request-id"], "abc-1");
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["code"], "not_found");
    assert_eq!(body["requestId"], "abc-1");
}

#[tokio::test]
async fn what_no_text_of_the_database_can_hold_is_refused_and_no_failure_of_ours() {
    let stage = Stage::new().await;
    let server = stage.serve(&[]).await;
    let check = async |path: &str| {
        let (status, body) = answer(server.request(Method::GET, path)).await;
        assert_eq!(
            (status, body["code"].as_str()),
            (400, Some("invalid_request")),
            "{path}"
        );
    };

    check("/api/generations?teamId=a%00b").await;
    check("/api/generations?userId=%00").await;
    check("/api/generations?metadata.order=%00").await;
    check("/api/generations?metadata.%00=1").await;
    check("/api/generations/status?ids=%00").await;
    check("/api/generations/%ff").await;
}
