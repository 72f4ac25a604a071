//! Every error has one shape, and says nothing of ours.

use reqwest::Method;

use crate::harness::Stage;

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
