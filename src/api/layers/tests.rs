use super::*;

const QUICK: BodyPatience = BodyPatience {
    first: Duration::from_millis(400),
    slowest: 1000,
};

/// A body of chunks of so many bytes, each so many milliseconds after the one before; whether it arrives.
async fn arrives(chunks: &[(u64, usize)]) -> bool {
    let chunks = chunks.to_vec();
    let body = stream::unfold(chunks.into_iter(), |mut chunks| async {
        let (pause, bytes) = chunks.next()?;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        Some((Ok::<_, axum::Error>(Bytes::from(vec![0; bytes])), chunks))
    });
    let late = Arc::new(AtomicBool::new(false));
    let body = patient(Body::from_stream(body), QUICK, late.clone());
    let whole = axum::body::to_bytes(body, usize::MAX).await;
    assert_eq!(whole.is_err(), late.load(Ordering::Relaxed));
    whole.is_ok()
}

#[tokio::test]
async fn a_body_may_take_longer_only_while_it_comes_fast_enough() {
    assert!(arrives(&[]).await);
    assert!(arrives(&[(1, 1)]).await);
    assert!(!arrives(&[(600, 1)]).await);
    // A byte now and then buys nothing.
    assert!(!arrives(&[(100, 1), (500, 1)]).await);
    // Ten thousand bytes buy ten seconds.
    assert!(arrives(&[(100, 10_000), (500, 1)]).await);
}

#[test]
fn what_a_handler_has_set_stays() {
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=5"));

    add_missing(&mut headers);

    assert_eq!(headers[header::CACHE_CONTROL], "max-age=5");
    assert_eq!(headers.len(), ALWAYS.len());
}

#[test]
fn a_made_up_method_makes_no_series_of_its_own() {
    assert_eq!(known(&Method::POST), "POST");
    assert_eq!(known(&Method::from_bytes(b"SPAM").unwrap()), "OTHER");
}
