//! The simulator's HTTP: Gemini's two routes, OpenAI's three, and three of its own for other processes.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::multipart::MultipartRejection;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Multipart, Path, State};
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use tokio_util::sync::CancellationToken;

use super::compose::{Work, compose};
use super::course::{Answer, Course, Ending};
use super::desk::{Desk, PushedFault, Reception, Visit};
use super::log::CallRecord;
use super::openai::{Route, Sent};
use super::quota::Quota;
use super::wire::{Complaint, ErrorAnswer, Reading, Wire};
use super::{Latency, Pictures, gemini, openai};

/// Largest request, as Gemini's since January 2026.
const LARGEST_BODY: usize = 100 * 1024 * 1024;
/// An answer is handed out in pieces, so that "handed out" means that the client has taken nearly
/// all of it.
const PIECE: usize = 64 * 1024;

/// Names an answer of OpenAI's.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const JSON: &str = "application/json; charset=UTF-8";
const HTML: &str = "text/html; charset=UTF-8";
/// What a gateway says in the provider's place.
const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Gateway</title></head><body><h1>Gateway</h1><p>Request id 7f3a, node gw-12.internal</p></body></html>\n";

/// What the routes share.
pub(super) struct Shared {
    pub(super) desk: Arc<Desk>,
    /// From key to account.
    pub(super) accounts: HashMap<String, String>,
    pub(super) latency: Latency,
    pub(super) pictures: Pictures,
    /// Ends every connection at once.
    pub(super) stopped: CancellationToken,
}

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1beta/models/{target}", post(generate).get(describe))
        .route("/v1/images/generations", post(generate_openai))
        .route("/v1/images/edits", post(edit_openai))
        .route("/v1/models/{model}", get(describe_openai))
        .route("/_simulator/log", get(log))
        .route("/_simulator/faults", post(push_fault))
        .route("/_simulator/quota", post(set_quota))
        .fallback(async |uri: Uri| answer_now(&gemini::answer::no_such_path(uri.path())))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(shared)
}

async fn log(State(shared): State<Arc<Shared>>) -> Json<Vec<CallRecord>> {
    Json(shared.desk.log())
}

async fn push_fault(
    State(shared): State<Arc<Shared>>,
    Json(fault): Json<PushedFault>,
) -> StatusCode {
    shared.desk.push_fault(fault);
    StatusCode::NO_CONTENT
}

async fn set_quota(State(shared): State<Arc<Shared>>, Json(quota): Json<Quota>) -> StatusCode {
    shared.desk.set_quota(quota);
    StatusCode::NO_CONTENT
}

async fn generate(
    State(shared): State<Arc<Shared>>,
    Path(target): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = body.as_deref().map_err(ToString::to_string);
    let reading = gemini::read(&shared.accounts, &target, &headers, body);
    work(&shared, reading).await
}

async fn generate_openai(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let sent = body
        .map_err(|error| error.to_string())
        .and_then(|body| Sent::of_json(&body));
    let reading = openai::read(&shared.accounts, Route::Generations, &headers, sent);
    work(&shared, reading).await
}

async fn edit_openai(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    form: Result<Multipart, MultipartRejection>,
) -> Response {
    let sent = match form {
        Ok(form) => Sent::of_form(form).await,
        Err(error) => Err(error.to_string()),
    };
    let reading = openai::read(&shared.accounts, Route::Edits, &headers, sent);
    work(&shared, reading).await
}

async fn describe_openai(
    State(shared): State<Arc<Shared>>,
    Path(model): Path<String>,
    headers: HeaderMap,
) -> Response {
    match openai::describe(&shared.accounts, &model, &headers) {
        Ok(description) => Json(description).into_response(),
        Err(error) => answer_now(&error),
    }
}

/// Decides about a call and does it.
async fn work(shared: &Shared, reading: Reading) -> Response {
    let reception = shared.desk.receive(reading);
    tokio::select! {
        () = shared.stopped.cancelled() => broken_off(),
        response = carry_out(shared, reception) => response,
    }
}

/// What a model is. Costs nothing, so it is no call and not in the log.
async fn describe(
    State(shared): State<Arc<Shared>>,
    Path(model): Path<String>,
    headers: HeaderMap,
) -> Response {
    match gemini::describe(&shared.accounts, &model, &headers) {
        Ok(description) => Json(description).into_response(),
        Err(error) => answer_now(&error),
    }
}

/// Does what was decided. Dropped half-way when the client leaves, which ends the visit.
async fn carry_out(shared: &Shared, reception: Reception) -> Response {
    let Reception {
        course,
        delay,
        visit,
        record,
        subject,
        wire,
        ask,
    } = reception;
    let id = match wire {
        Wire::Gemini => None,
        Wire::OpenAi => HeaderValue::from_str(&record.response_id).ok(),
    };
    let mut response = match (course, ask) {
        (Course::Accept(ending), Some(ask)) => {
            let latency = shared.latency.of(&record.prompt, record.n) + delay;
            let work = Work {
                record,
                subject,
                wire,
                ask,
            };
            accepted(shared, ending, latency, work, visit).await
        }
        (Course::Refuse(error), _) => {
            tokio::time::sleep(delay).await;
            answer_error(&error, visit)
        }
        (Course::Page(status), _) => {
            tokio::time::sleep(delay).await;
            visit.answering(status.as_u16());
            respond(status, HTML, Bytes::from(PAGE), PAGE.len(), visit)
        }
        // A call that could not be read is never accepted.
        (Course::Accept(_), None) => {
            answer_error(&wire.put(&Complaint::Internal, &record.model, None), visit)
        }
    };
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn accepted(
    shared: &Shared,
    ending: Ending,
    latency: Duration,
    work: Work,
    visit: Visit,
) -> Response {
    match ending {
        Ending::Hang(time) => {
            tokio::time::sleep(time).await;
            let error = work
                .wire
                .put(&Complaint::Deadline, &work.record.model, None);
            answer_error(&error, visit)
        }
        Ending::Reset => {
            tokio::time::sleep(latency).await;
            broken_off()
        }
        Ending::Error(error) | Ending::Moderated(error) => {
            tokio::time::sleep(latency).await;
            answer_error(&error, visit)
        }
        Ending::Truncated => {
            let work = compose(shared.pictures, Answer::Picture, work);
            let (body, ()) = tokio::join!(work, tokio::time::sleep(latency));
            visit.answering(200);
            // The picture is nearly all of the answer, so its half lies in the middle of it.
            let cut = body.len() / 2;
            respond(StatusCode::OK, JSON, body, cut, visit)
        }
        Ending::Answer(answer) => {
            let work = compose(shared.pictures, answer, work);
            let (body, ()) = tokio::join!(work, tokio::time::sleep(latency));
            visit.answering(200);
            let whole = body.len();
            respond(StatusCode::OK, JSON, body, whole, visit)
        }
    }
}

fn answer_error(error: &ErrorAnswer, visit: Visit) -> Response {
    visit.answering(error.status.as_u16());
    let body = Bytes::from(error.body.to_string());
    let whole = body.len();
    let mut response = respond(error.status, JSON, body, whole, visit);
    for (name, value) in &error.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name.clone(), value);
        }
    }
    response
}

/// An error outside of any call.
fn answer_now(error: &ErrorAnswer) -> Response {
    (error.status, Json(error.body.clone())).into_response()
}

/// An answer that announces all of `body` and hands out `cut` bytes of it; where that is less, the
/// connection ends there.
fn respond(
    status: StatusCode,
    kind: &'static str,
    body: Bytes,
    cut: usize,
    visit: Visit,
) -> Response {
    let announced = body.len();
    let pieces = stream::unfold((0, Some(visit)), move |(sent, visit)| {
        let piece = body.slice(sent..(sent + PIECE).min(cut));
        async move {
            let visit = visit?;
            let sent = sent + piece.len();
            if piece.is_empty() {
                // What was handed out before must reach the wire before the connection ends.
                tokio::task::yield_now().await;
                return Some((Err(io::Error::other("cut short on request")), (sent, None)));
            }
            if sent < announced {
                return Some((Ok(piece), (sent, Some(visit))));
            }
            visit.answered();
            Some((Ok(piece), (sent, None)))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_LENGTH, announced.to_string()),
    ];
    (status, headers, Body::from_stream(pieces)).into_response()
}

/// A response that fails before its first byte: the server drops the connection without a word.
fn broken_off() -> Response {
    let nothing = stream::once(async { Err::<Bytes, _>(io::Error::other("reset on request")) });
    Body::from_stream(nothing).into_response()
}
