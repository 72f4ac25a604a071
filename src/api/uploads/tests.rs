use axum::body::Body;
use futures_util::stream;

use super::*;

/// A body that says nothing of its length, in pieces of a megabyte; tells how many were taken.
async fn taken(megabytes: usize) -> (Result<usize, ApiError>, usize) {
    let mut pieces = 0;
    let body = stream::iter(0..megabytes).map(|_| {
        pieces += 1;
        Ok::<_, std::io::Error>(Bytes::from(vec![0; 1024 * 1024]))
    });
    let result = collected(body).await.map(|bytes| bytes.len());
    (result, pieces)
}

#[tokio::test]
async fn ten_megabytes_are_taken_and_not_a_byte_more() {
    assert_eq!(taken(10).await.0.expect("fits"), MAX_BYTES);

    let one_more = stream::iter([vec![0; MAX_BYTES], vec![0]])
        .map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
    let error = collected(one_more).await.expect_err("too large");

    assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(error.to_string(), "The body is larger than 10 MB.");
}

#[tokio::test]
async fn a_body_without_end_is_left_soon() {
    let (result, pieces) = taken(100_000).await;

    assert!(result.is_err());
    assert_eq!(pieces, 21);
}

#[tokio::test]
async fn the_first_file_of_a_form_counts_whatever_stands_before_it() {
    let form = "--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n\
        --x\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"me.png\"\r\n\r\npicture\r\n\
        --x\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"you.png\"\r\n\r\nother\r\n\
        --x--\r\n";
    let request = Request::builder()
        .header("content-type", "Multipart/form-data; boundary=x")
        .body(Body::from(form))
        .expect("a request");

    assert_eq!(received(request).await.expect("a file"), b"picture");
}

#[tokio::test]
async fn a_form_without_a_file_is_told() {
    let form = "--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--x--\r\n";
    let check = async |kind: &str, expected: &str| {
        let request = Request::builder()
            .header("content-type", kind)
            .body(Body::from(form))
            .expect("a request");
        let error = received(request).await.expect_err("is refused");
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        assert!(error.to_string().contains(expected), "{error}");
    };

    check("multipart/form-data; boundary=x", "no file").await;
    check("multipart/form-data", "no boundary").await;
    check("multipart/form-data; boundary=y", "cannot be read").await;
}
