//! An app that is told of the end of its jobs, and notes all that it is sent.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::PATIENCE;

/// The bytes 0 to 23.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// What it answers to the n-th message, from 0.
#[derive(Clone, Copy)]
pub(crate) enum Reply {
    Status(u16),
    /// To itself.
    Redirect,
    /// Nothing, for ever.
    Never,
}

/// A message as it came.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) timestamp: i64,
    pub(crate) signature: String,
    pub(crate) body: String,
}

impl Delivery {
    fn of(headers: &HeaderMap, body: &Bytes) -> Self {
        let header = |name| headers[name].to_str().unwrap().to_owned();
        Self {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp").parse().unwrap(),
            signature: header("webhook-signature"),
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// As the library of a receiver does it: one of the signatures must be that of the secret.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let secret = secret.strip_prefix("whsec_").unwrap();
        let secret = BASE64_STANDARD.decode(secret).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let signed = format!("{}.{}.{}", self.id, self.timestamp, self.body);
        self.signature.split(' ').any(|signature| {
            let signature = signature.strip_prefix("v1,").unwrap();
            let signature = BASE64_STANDARD.decode(signature).unwrap();
            hmac::verify(&key, signed.as_bytes(), &signature).is_ok()
        })
    }
}

type Script = Arc<dyn Fn(usize) -> Reply + Send + Sync>;

pub(crate) struct Receiver {
    /// `host:port`.
    pub(crate) address: String,
    got: watch::Receiver<Vec<Delivery>>,
}

impl Receiver {
    /// One that takes everything.
    pub(crate) async fn start() -> Self {
        Self::that(|_| Reply::Status(200)).await
    }

    pub(crate) async fn that(replies: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (note, got) = watch::channel(Vec::new());
        let script: Script = Arc::new(replies);
        let router = Router::new().fallback(take).with_state((script, note));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, got }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?key=s3cret", self.address)
    }

    /// Waits until so many messages have come, and returns all.
    pub(crate) async fn until(&self, messages: usize) -> Vec<Delivery> {
        let mut got = self.got.clone();
        let waiting = got.wait_for(|got| got.len() >= messages);
        let Ok(got) = tokio::time::timeout(PATIENCE, waiting).await else {
            panic!("{} of {messages} messages have come", self.got().len());
        };
        got.unwrap().clone()
    }

    pub(crate) fn got(&self) -> Vec<Delivery> {
        self.got.borrow().clone()
    }
}

async fn take(
    State((script, note)): State<(Script, watch::Sender<Vec<Delivery>>)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let delivery = Delivery::of(&headers, &body);
    let mut number = 0;
    note.send_modify(|got| {
        number = got.len();
        got.push(delivery);
    });
    match script(number) {
        Reply::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Reply::Redirect => (
            StatusCode::TEMPORARY_REDIRECT,
            [(header::LOCATION, "/there")],
        )
            .into_response(),
        Reply::Never => std::future::pending().await,
    }
}
