use super::*;

#[tokio::test]
async fn an_answer_that_announces_nothing_is_cut_at_the_limit() {
    let body = || {
        let chunks = ["01234", "56789"].map(Ok::<_, std::io::Error>);
        let stream = futures_util::stream::iter(chunks);
        let body = reqwest::Body::wrap_stream(stream);
        Response::from(axum::http::Response::new(body))
    };

    let within = read(body(), 10).await.unwrap();
    let over = read(body(), 7).await.unwrap();

    assert_eq!((&*within.bytes, within.cut), (&b"0123456789"[..], false));
    assert_eq!((&*over.bytes, over.cut), (&b"0123456"[..], true));
}
