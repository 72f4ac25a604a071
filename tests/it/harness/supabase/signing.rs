//! URLs that open one object for a while, another one each time it is asked.

use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use safelight::domain::hex;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Refusal, SECRET_KEY, Shared, object, of_bucket, refusal};

#[derive(Deserialize)]
pub(super) struct Sign {
    #[serde(rename = "expiresIn")]
    expires_in: u64,
    paths: Vec<String>,
}

pub(super) async fn sign(
    State(shelf): State<Shared>,
    Path(bucket): Path<String>,
    Json(asked): Json<Sign>,
) -> Result<Json<Vec<Value>>, Refusal> {
    let mut shelf = of_bucket(&shelf, &bucket)?;
    shelf.signings += 1;
    let end = seconds_now() + asked.expires_in;
    let signed = asked.paths.into_iter().map(|name| {
        if !shelf.objects.contains_key(&name) {
            let error = "Either the object does not exist or you do not have access to it";
            return json!({ "error": error, "path": name, "signedURL": null });
        }
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let token = format!("{end}.{nonce}.{}", signature(&name, end, &nonce));
        let url = format!("/object/sign/{bucket}/{name}?token={token}");
        json!({ "error": null, "path": name, "signedURL": url })
    });
    Ok(Json(signed.collect()))
}

fn seconds_now() -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_1970.unwrap().as_secs()
}

fn signature(name: &str, end: u64, nonce: &str) -> String {
    hex(&Sha256::digest(format!(
        "{SECRET_KEY} {name} {end} {nonce}"
    )))
}

#[derive(Deserialize)]
pub(super) struct Token {
    token: String,
}

pub(super) async fn signed(
    shelf: State<Shared>,
    path: Path<(String, String)>,
    Query(Token { token }): Query<Token>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let mut parts = token.split('.');
    let mut part = || parts.next().unwrap_or_default();
    let (end, nonce, signed) = (part().parse().unwrap_or(0), part(), part());
    let Path((_, name)) = &path;
    if signed != signature(name, end, nonce) {
        return Err(refusal(
            "400",
            "InvalidJWT",
            "signature verification failed",
        ));
    }
    if end <= seconds_now() {
        let message = "\"exp\" claim timestamp check failed";
        return Err(refusal("400", "InvalidJWT", message));
    }
    object(shelf, path, headers).await
}
