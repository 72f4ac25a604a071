//! The storage of a Supabase project as its REST interface shows it, in memory. It answers as the real one
//! does: most errors are a 400 with the true status in JSON, and no two signatures are the same.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use safelight::domain::hex;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The bucket's name.
const NAME: &str = "photos";
/// Of the newer kind: no JWT, so it must not come as a bearer token.
const SECRET_KEY: &str = "sb_secret_hush-hush-the-key-of-the-project";
/// Of the older kind: both headers hold it.
const SERVICE_KEY: &str = "eyJ-hush-hush-the-older-key-of-the-project";

/// A server; ends when it is dropped.
pub(crate) struct Supabase {
    pub(crate) address: SocketAddr,
    shelf: Shared,
    task: JoinHandle<()>,
}

type Shared = Arc<Mutex<Shelf>>;

#[derive(Default)]
struct Shelf {
    has_no_bucket: bool,
    objects: BTreeMap<String, Object>,
    /// How often something was to be signed.
    signings: usize,
}

struct Object {
    bytes: Bytes,
    media_type: String,
    cache_control: String,
    put_at: SystemTime,
}

impl Drop for Supabase {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Supabase {
    pub(crate) const SECRETS: [&str; 2] = [SECRET_KEY, SERVICE_KEY];

    pub(crate) async fn start() -> Self {
        let shelf = Shared::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(shelf.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            shelf,
            task,
        }
    }

    /// What a command line needs to store photos here.
    pub(crate) fn arguments(&self) -> Vec<String> {
        Self::arguments_at(self.address, SECRET_KEY)
    }

    /// The same by way of something that stands in front, or with another key.
    pub(crate) fn arguments_at(address: SocketAddr, key: &str) -> Vec<String> {
        vec![
            format!("--storage=supabase:{NAME}"),
            format!("--supabase-url=http://{address}"),
            format!("--supabase-service-role-key={key}"),
        ]
    }

    pub(crate) fn remove_bucket(&self) {
        lock(&self.shelf).has_no_bucket = true;
    }

    /// How often something was to be signed.
    pub(crate) fn signings(&self) -> usize {
        lock(&self.shelf).signings
    }
}

fn lock(shelf: &Shared) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap()
}

fn router(shelf: Shared) -> Router {
    let by_key = Router::new()
        .route("/bucket/{bucket}", get(bucket))
        .route("/object/authenticated/{bucket}/{*name}", get(object))
        .route("/object/list/{bucket}", post(list))
        .route("/object/sign/{bucket}", post(sign))
        .route("/object/{bucket}/{*name}", post(put))
        .route("/object/{bucket}", axum::routing::delete(remove))
        .layer(middleware::from_fn(with_key));
    let routes = by_key
        .route("/object/sign/{bucket}/{*name}", get(signed))
        .layer(DefaultBodyLimit::max(64 * 1024 * 1024))
        .with_state(shelf);
    Router::new().nest("/storage/v1", routes)
}

async fn with_key(request: Request, next: Next) -> Response {
    match without_right(request.headers()) {
        Some(refused) => refused.into_response(),
        None => next.run(request).await,
    }
}

/// The gateway looks at the one header, the storage at the other.
fn without_right(headers: &HeaderMap) -> Option<Refusal> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    match (text("apikey"), text("authorization")) {
        (Some(SECRET_KEY), None) => None,
        (Some(SERVICE_KEY), Some(bearer))
            if bearer.strip_prefix("Bearer ") == Some(SERVICE_KEY) =>
        {
            None
        }
        (Some(SECRET_KEY | SERVICE_KEY), _) => {
            Some(refusal("403", "Unauthorized", "Invalid Compact JWS"))
        }
        _ => {
            let words =
                json!({ "message": "Invalid API key", "hint": "Double check your API key." });
            Some((StatusCode::UNAUTHORIZED, Json(words)))
        }
    }
}

/// An error as the storage words it.
type Refusal = (StatusCode, Json<Value>);

fn refusal(status: &str, error: &str, message: &str) -> Refusal {
    let words = json!({ "statusCode": status, "error": error, "message": message });
    (StatusCode::BAD_REQUEST, Json(words))
}

fn no_bucket() -> Refusal {
    refusal("404", "Bucket not found", "Bucket not found")
}

fn no_object() -> Refusal {
    refusal("404", "not_found", "Object not found")
}

/// The shelf, if it is that of the bucket.
fn of_bucket<'a>(shelf: &'a Shared, bucket: &str) -> Result<MutexGuard<'a, Shelf>, Refusal> {
    let shelf = lock(shelf);
    if shelf.has_no_bucket || bucket != NAME {
        Err(no_bucket())
    } else {
        Ok(shelf)
    }
}

async fn bucket(
    State(shelf): State<Shared>,
    Path(bucket): Path<String>,
) -> Result<Json<Value>, Refusal> {
    drop(of_bucket(&shelf, &bucket)?);
    Ok(Json(
        json!({ "id": bucket, "name": bucket, "public": false, "file_size_limit": null }),
    ))
}

async fn put(
    State(shelf): State<Shared>,
    Path((bucket, name)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Value>, Refusal> {
    let mut shelf = of_bucket(&shelf, &bucket)?;
    let text = |name| headers[name].to_str().unwrap().to_owned();
    if shelf.objects.contains_key(&name) && text("x-upsert") != "true" {
        return Err(refusal("409", "Duplicate", "The resource already exists"));
    }
    let object = Object {
        bytes,
        media_type: text("content-type"),
        cache_control: text("cache-control"),
        put_at: SystemTime::now(),
    };
    shelf.objects.insert(name.clone(), object);
    let id = uuid::Uuid::new_v4();
    Ok(Json(json!({ "Key": format!("{bucket}/{name}"), "Id": id })))
}

async fn object(
    State(shelf): State<Shared>,
    Path((bucket, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let shelf = of_bucket(&shelf, &bucket)?;
    let object = shelf.objects.get(&name).ok_or_else(no_object)?;
    let length = object.bytes.len();
    let described = [
        (header::CONTENT_TYPE, object.media_type.clone()),
        (header::CACHE_CONTROL, object.cache_control.clone()),
        (header::LAST_MODIFIED, http_date(object.put_at)),
    ];
    let Some(range) = headers.get(header::RANGE) else {
        return Ok((described, object.bytes.clone()).into_response());
    };
    let range = range.to_str().unwrap().strip_prefix("bytes=").unwrap();
    let (first, last) = range.split_once('-').unwrap();
    let first: usize = first.parse().unwrap();
    let last = last.parse().unwrap_or(length - 1);
    if first >= length {
        return Err(refusal("416", "InvalidRange", "invalid range provided"));
    }
    let range = [(
        header::CONTENT_RANGE,
        format!("bytes {first}-{last}/{length}"),
    )];
    let part = object.bytes.slice(first..=last);
    Ok((StatusCode::PARTIAL_CONTENT, described, range, part).into_response())
}

fn http_date(at: SystemTime) -> String {
    let format = "%a, %d %b %Y %H:%M:%S GMT";
    DateTime::<Utc>::from(at).format(format).to_string()
}

#[derive(Deserialize)]
struct Remove {
    prefixes: Vec<String>,
}

/// Says nothing of a bucket that is not there: nothing in it was found.
async fn remove(
    State(shelf): State<Shared>,
    Path(_bucket): Path<String>,
    Json(asked): Json<Remove>,
) -> Json<Vec<Value>> {
    let mut shelf = lock(&shelf);
    let removed = asked.prefixes.into_iter().filter_map(|name| {
        shelf.objects.remove(&name)?;
        Some(json!({ "name": name, "bucket_id": NAME }))
    });
    Json(removed.collect())
}

#[derive(Deserialize)]
struct List {
    prefix: String,
    limit: usize,
    offset: usize,
}

/// What is right below a folder; what lies deeper shows as a folder without an id.
async fn list(
    State(shelf): State<Shared>,
    Path(bucket): Path<String>,
    Json(asked): Json<List>,
) -> Result<Json<Vec<Value>>, Refusal> {
    let shelf = of_bucket(&shelf, &bucket)?;
    let folder = match asked.prefix.as_str() {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    let mut entries = BTreeMap::new();
    for (name, object) in &shelf.objects {
        let Some(rest) = name.strip_prefix(&folder) else {
            continue;
        };
        let (name, entry) = match rest.split_once('/') {
            Some((folder, _)) => (
                folder,
                json!({ "name": folder, "id": null, "updated_at": null, "created_at": null,
                        "last_accessed_at": null, "metadata": null }),
            ),
            None => (rest, listed(rest, object)),
        };
        entries.insert(name.to_owned(), entry);
    }
    let page = entries.into_values().skip(asked.offset).take(asked.limit);
    Ok(Json(page.collect()))
}

fn listed(name: &str, object: &Object) -> Value {
    let at = DateTime::<Utc>::from(object.put_at).to_rfc3339();
    json!({
        "name": name, "id": uuid::Uuid::new_v4(), "updated_at": at, "created_at": at,
        "last_accessed_at": at,
        "metadata": {
            "eTag": "\"0\"", "size": object.bytes.len(), "mimetype": object.media_type,
            "cacheControl": object.cache_control, "lastModified": at,
            "contentLength": object.bytes.len(), "httpStatusCode": 200,
        },
    })
}

#[derive(Deserialize)]
struct Sign {
    #[serde(rename = "expiresIn")]
    expires_in: u64,
    paths: Vec<String>,
}

async fn sign(
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
struct Token {
    token: String,
}

async fn signed(
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
