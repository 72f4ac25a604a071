use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response as Reply, header};
use axum::response::IntoResponse;
use axum::routing::get;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::domain::failure::Remedy;
use crate::net::HostPort;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nthe rest is not looked at here";

/// Serves `router` until the test's runtime ends.
async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn fetcher(policy: FetchPolicy) -> Fetcher {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    Fetcher::new(policy).expect("a client")
}

fn allowing(address: SocketAddr) -> Fetcher {
    fetcher(FetchPolicy {
        allow: vec![address.to_string().parse().expect("host and port")],
        supabase: None,
    })
}

/// What a fetch of `/x.png` ends in when the server answers with `reply`.
async fn answered<R: IntoResponse>(
    reply: impl Fn() -> R + Clone + Send + Sync + 'static,
) -> Result<Vec<u8>, FetchError> {
    let router = Router::new().route("/x.png", get(async move || reply()));
    let address = serve(router).await;
    allowing(address)
        .fetch(&format!("http://{address}/x.png"))
        .await
}

#[tokio::test]
async fn a_picture_comes_whole_whatever_its_headers_say() {
    let got = answered(|| ([(header::CONTENT_TYPE, "text/html")], PNG)).await;

    assert_eq!(got.as_deref(), Ok(PNG));
}

#[tokio::test]
async fn a_web_page_called_png_is_no_picture() {
    let page = || ([(header::CONTENT_TYPE, "image/png")], "<html></html>");
    let heic = || b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";

    assert_eq!(
        answered(page).await,
        Err(FetchError::NotAPicture(NotAPicture::WebPage))
    );
    assert_eq!(
        answered(heic).await,
        Err(FetchError::NotAPicture(NotAPicture::Foreign("HEIC")))
    );
    assert_eq!(
        answered(|| "").await,
        Err(FetchError::NotAPicture(NotAPicture::Empty))
    );
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let router = Router::new()
        .route(
            "/x.png",
            get(async || (StatusCode::FOUND, [(header::LOCATION, "/y.png")])),
        )
        .route("/y.png", get(async || PNG));
    let address = serve(router).await;

    let got = allowing(address)
        .fetch(&format!("http://{address}/x.png"))
        .await;

    assert_eq!(got, Err(FetchError::Redirected));
}

#[tokio::test]
async fn statuses_are_final_or_passing() {
    #[track_caller]
    fn check(got: &Result<Vec<u8>, FetchError>, expected: FetchError, remedy: Remedy) {
        assert_eq!(*got, Err(expected));
        assert_eq!(Failure::from(expected).remedy, remedy);
    }

    for status in [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN] {
        let got = answered(move || (status, PNG)).await;
        check(&got, FetchError::Missing(status), Remedy::Never);
    }
    for status in [
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::TOO_MANY_REQUESTS,
    ] {
        let got = answered(move || (status, PNG)).await;
        check(&got, FetchError::Busy(status), Remedy::Retry);
    }
}

#[tokio::test]
async fn a_file_of_exactly_the_limit_is_taken() {
    let mut file = PNG.to_vec();
    file.resize(MAX_BYTES, 0);

    let got = answered(move || file.clone()).await.expect("is taken");

    assert_eq!(got.len(), MAX_BYTES);
}

#[tokio::test]
async fn a_stated_length_over_the_limit_ends_the_download_before_it_begins() {
    // The body never comes: whoever waits for it runs into the test's own limit.
    let got = answered(|| {
        Reply::builder()
            .header(header::CONTENT_LENGTH, MAX_BYTES + 1)
            .body(Body::from_stream(stream::pending::<
                Result<Vec<u8>, Infallible>,
            >()))
            .expect("a reply")
    })
    .await;

    assert_eq!(got, Err(FetchError::TooLarge));
}

#[tokio::test]
async fn without_a_stated_length_one_byte_over_the_limit_is_too_much() {
    let got = answered(|| {
        let parts = [vec![0; MAX_BYTES], vec![0]].map(Ok::<_, Infallible>);
        Body::from_stream(stream::iter(parts))
    })
    .await;

    assert_eq!(got, Err(FetchError::TooLarge));
}

#[tokio::test]
async fn a_slow_drip_hits_the_deadline() {
    let router = Router::new().route(
        "/x.png",
        get(async || {
            let drip = stream::unfold((), async |()| {
                tokio::time::sleep(Duration::from_millis(10)).await;
                Some((Ok::<_, Infallible>("x"), ()))
            });
            Body::from_stream(drip)
        }),
    );
    let address = serve(router).await;

    let got = allowing(address)
        .with_deadline(Duration::from_secs(1))
        .fetch(&format!("http://{address}/x.png"))
        .await;

    assert_eq!(got, Err(FetchError::Interrupted));
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_body_is_worth_another_try() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let mut head = [0; 1024];
        let length = socket.read(&mut head).await.expect("a request");
        assert!(head[..length].starts_with(b"GET /x.png"));
        socket
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n\x89PNG\r\n\x1a\n")
            .await
            .expect("is sent");
    });

    let got = allowing(address)
        .fetch(&format!("http://{address}/x.png"))
        .await;

    assert_eq!(got, Err(FetchError::Interrupted));
    assert_eq!(Failure::from(FetchError::Interrupted).remedy, Remedy::Retry);
}

#[tokio::test]
async fn a_missing_name_and_a_closed_port_look_the_same() {
    let missing = fetcher(FetchPolicy::default())
        .fetch("https://does-not-exist.invalid/x.png")
        .await;
    assert_eq!(missing, Err(FetchError::Unreachable));

    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = closed.local_addr().expect("an address");
    drop(closed);
    let closed = allowing(address)
        .fetch(&format!("http://{address}/x.png"))
        .await;
    assert_eq!(closed, Err(FetchError::Unreachable));
}

/// One request as a server saw it: path with query, `apikey`, `Authorization`.
type Seen = (String, Option<String>, Option<String>);

/// A storage that answers `status` to everything and keeps what it was asked.
async fn storage(status: StatusCode) -> (SocketAddr, Arc<Mutex<Vec<Seen>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let router = Router::new().fallback(async move |request: Request| {
        let text = |name| {
            let value = request.headers().get(name)?;
            Some(value.to_str().expect("text").to_owned())
        };
        notes.lock().expect("not poisoned").push((
            request.uri().to_string(),
            text("apikey"),
            text("authorization"),
        ));
        (status, PNG)
    });
    (serve(router).await, seen)
}

fn with_key(address: SocketAddr, key: &str, allow: Vec<HostPort>) -> Fetcher {
    fetcher(FetchPolicy {
        allow,
        supabase: Some(SupabaseAccess {
            url: format!("http://{address}").parse().expect("a URL"),
            service_key: ServiceKey::new(key),
        }),
    })
}

#[tokio::test]
async fn the_projects_objects_are_read_with_the_service_key() {
    let (address, seen) = storage(StatusCode::OK).await;
    let url = format!("http://{address}/storage/v1/object/sign/images/a.png?token=old");

    for key in ["eyJ.a.b", "sb_secret_abc"] {
        let got = with_key(address, key, vec![]).fetch(&url).await;
        assert_eq!(got.as_deref(), Ok(PNG));
    }

    let path = "/storage/v1/object/images/a.png".to_owned();
    assert_eq!(
        *seen.lock().expect("not poisoned"),
        [
            (
                path.clone(),
                Some("eyJ.a.b".to_owned()),
                Some("Bearer eyJ.a.b".to_owned())
            ),
            (path, Some("sb_secret_abc".to_owned()), None),
        ]
    );
}

#[tokio::test]
async fn other_paths_of_the_project_get_no_key() {
    let (address, seen) = storage(StatusCode::OK).await;
    let url = format!("http://{address}/rest/v1/users");

    let guarded = with_key(address, "key", vec![]).fetch(&url).await;
    let allow = vec![address.to_string().parse().expect("host and port")];
    let allowed = with_key(address, "key", allow).fetch(&url).await;

    assert_eq!(guarded, Err(UnusableUrl::NotHttps.into()));
    assert!(allowed.is_ok());
    assert_eq!(
        *seen.lock().expect("not poisoned"),
        [("/rest/v1/users".to_owned(), None, None)]
    );
}

#[tokio::test]
async fn a_refused_service_key_is_not_the_users_fault() {
    let (address, _) = storage(StatusCode::FORBIDDEN).await;

    let got = with_key(address, "old", vec![])
        .fetch(&format!("http://{address}/storage/v1/object/images/a.png"))
        .await;

    assert_eq!(got, Err(FetchError::KeyRefused));
    assert_eq!(Failure::from(FetchError::KeyRefused).remedy, Remedy::Retry);
}

#[tokio::test]
async fn no_message_tells_where_it_went() {
    let (address, _) = storage(StatusCode::NOT_FOUND).await;
    let url = format!("http://{address}/private/secret.png?token=t0ken");

    let missing = allowing(address).fetch(&url).await.expect_err("is missing");
    let refused = fetcher(FetchPolicy::default())
        .fetch(&url)
        .await
        .expect_err("is refused");

    for error in [missing, refused, FetchError::Unreachable] {
        let message = Failure::from(error).message;
        for secret in ["127.0.0.1", "private", "secret", "t0ken"] {
            assert!(!message.contains(secret), "{message}");
        }
    }
}
