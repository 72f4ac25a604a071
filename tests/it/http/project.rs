//! A Supabase project as far as tokens go: it signs them, and shows its public keys to whoever asks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What a project of the older kind signs with.
pub(super) const SECRET: &str = "a secret of forty bytes, as it is with us";

/// Its keys can be changed while it runs.
pub(super) struct Project {
    pub(super) url: String,
    asked: Arc<AtomicUsize>,
    keys: Arc<Mutex<Value>>,
}

impl Project {
    pub(super) async fn start(keys: &[&SigningKey]) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let page = Arc::new(Mutex::new(Value::Null));
        let (count, shown) = (asked.clone(), page.clone());
        let answer = get(async move || {
            count.fetch_add(1, Ordering::SeqCst);
            shown.lock().unwrap().to_string()
        });
        let router = Router::new().route("/auth/v1/.well-known/jwks.json", answer);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let project = Self {
            url,
            asked,
            keys: page,
        };
        project.has(keys);
        project
    }

    /// From now on these are its keys.
    pub(super) fn has(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.public()).collect();
        *self.keys.lock().unwrap() = json!({ "keys": keys });
    }

    /// How often somebody looked at its keys.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// What the token of a signed-in user says.
    pub(super) fn claims(&self, subject: &str) -> Value {
        json!({
            "iss": format!("{}/auth/v1", self.url),
            "aud": "authenticated",
            "role": "authenticated",
            "sub": subject,
            "exp": in_seconds(600),
            "is_anonymous": false,
        })
    }
}

/// An ES256 key of a project.
pub(super) struct SigningKey {
    id: String,
    pair: EcdsaKeyPair,
}

impl SigningKey {
    pub(super) fn new(id: &str) -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self {
            id: id.to_owned(),
            pair: EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap(),
        }
    }

    /// The point, as everybody may know it.
    pub(super) fn point(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn public(&self) -> Value {
        let (x, y) = self.point()[1..].split_at(32);
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id,
                "x": BASE64.encode(x), "y": BASE64.encode(y) })
    }

    pub(super) fn token(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": self.id });
        self.token_with(&header, claims)
    }

    pub(super) fn token_with(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let signed = self.pair.sign(&SystemRandom::new(), message.as_bytes());
        format!("{message}.{}", BASE64.encode(signed.unwrap()))
    }
}

/// A token of the older kind, or of somebody who takes public bytes for a secret.
pub(super) fn token_by_secret(secret: &[u8], claims: &Value) -> String {
    let message = message(&json!({ "alg": "HS256", "typ": "JWT", "kid": "a" }), claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", BASE64.encode(tag))
}

/// A token that nobody has signed.
pub(super) fn unsigned_token(claims: &Value) -> String {
    format!("{}.", message(&json!({ "alg": "none" }), claims))
}

fn message(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// A moment from now, as tokens say it.
pub(super) fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() + seconds
}
