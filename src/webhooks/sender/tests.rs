use std::net::SocketAddr;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::post;
use reqwest::header::LOCATION;
use tokio::net::TcpListener;

use super::*;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// Serves `router` until the test's runtime ends.
async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn sender(allowed: &[SocketAddr]) -> Sender {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let allowed = allowed
        .iter()
        .map(|address| address.to_string().parse().expect("host and port"));
    Sender::new(SECRET.parse().expect("a secret"), allowed.collect()).expect("clients")
}

fn message(url: &str) -> Message<'_> {
    Message {
        id: Uuid::nil(),
        url,
        timestamp: 1_700_000_000,
        body: "{}",
    }
}

/// What becomes of a message whose receiver answers so.
async fn answered<R: IntoResponse>(
    reply: impl Fn() -> R + Clone + Send + Sync + 'static,
) -> Result<StatusCode, SendError> {
    let router = Router::new().route("/", post(async move || reply()));
    let address = serve(router).await;
    sender(&[address])
        .send(message(&format!("http://{address}/")))
        .await
}

#[tokio::test]
async fn only_a_status_of_success_is_a_delivery() {
    for status in [StatusCode::OK, StatusCode::ACCEPTED, StatusCode::NO_CONTENT] {
        assert_eq!(answered(move || status).await, Ok(status));
    }
    for status in [
        StatusCode::BAD_REQUEST,
        StatusCode::NOT_FOUND,
        StatusCode::INTERNAL_SERVER_ERROR,
    ] {
        let error = answered(move || status).await.expect_err("is a failure");
        assert_eq!(error, SendError::Answered { status, wait: None });
        assert!(!error.is_final());
    }
    let gone = answered(|| StatusCode::GONE).await;
    assert_eq!(gone, Err(SendError::Gone));
    assert!(SendError::Gone.is_final());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let router = Router::new()
        .route(
            "/",
            post(async || (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/there")])),
        )
        .route("/there", post(async || StatusCode::OK));
    let address = serve(router).await;

    let sent = sender(&[address])
        .send(message(&format!("http://{address}/")))
        .await;

    assert_eq!(
        sent,
        Err(SendError::Redirected(StatusCode::TEMPORARY_REDIRECT))
    );
}

#[tokio::test]
async fn a_receiver_that_has_too_much_to_do_may_say_for_how_long() {
    let busy =
        |status: StatusCode, wait: &'static str| answered(move || (status, [(RETRY_AFTER, wait)]));
    let waits = async |status, wait| {
        let error = busy(status, wait).await.expect_err("is a failure");
        error.stated_wait()
    };

    let two_minutes = Some(Duration::from_mins(2));
    assert_eq!(
        waits(StatusCode::TOO_MANY_REQUESTS, "120").await,
        two_minutes
    );
    assert_eq!(
        waits(StatusCode::SERVICE_UNAVAILABLE, "120").await,
        two_minutes
    );
    assert_eq!(waits(StatusCode::INTERNAL_SERVER_ERROR, "120").await, None);
    assert_eq!(waits(StatusCode::TOO_MANY_REQUESTS, "soon").await, None);
}

#[tokio::test]
async fn a_private_machine_is_not_reached_unless_it_is_allowed() {
    let router = Router::new().route("/", post(async || StatusCode::OK));
    let address = serve(router).await;
    let url = format!("http://{address}/");
    let port = address.port();

    let guarded = sender(&[]);

    assert_eq!(
        guarded.send(message(&url)).await,
        Err(UnusableUrl::NotHttps.into())
    );
    for (url, error) in [
        ("https://127.0.0.1/".to_owned(), UnusableUrl::NotPublic),
        (
            "https://[::ffff:169.254.169.254]/".to_owned(),
            UnusableUrl::NotPublic,
        ),
        ("https://localhost/".to_owned(), UnusableUrl::NotPublic),
        (format!("https://127.0.0.1:{port}/"), UnusableUrl::OddPort),
    ] {
        let sent = guarded.send(message(&url)).await;
        assert_eq!(sent, Err(error.into()), "{url}");
    }
    assert_eq!(
        sender(&[address]).send(message(&url)).await,
        Ok(StatusCode::OK)
    );
}

#[tokio::test]
async fn a_missing_name_and_a_closed_port_look_the_same() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = closed.local_addr().expect("an address");
    drop(closed);
    let sender = sender(&[address]);

    let closed = sender.send(message(&format!("http://{address}/"))).await;
    let missing = sender
        .send(message("https://does-not-exist.invalid/"))
        .await;

    assert_eq!(closed, Err(SendError::Unreachable));
    assert_eq!(missing, Err(SendError::Unreachable));
}

#[tokio::test]
async fn a_receiver_that_says_nothing_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let hasty = Sender {
        deadline: Duration::from_millis(100),
        ..sender(&[address])
    };

    let sent = hasty.send(message(&format!("http://{address}/"))).await;

    assert_eq!(sent, Err(SendError::Silent));
}
