//! The simulator's HTTP: Gemini's two routes, and three of its own for other processes.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use tokio_util::sync::CancellationToken;

use super::course::{Answer, Course, Ending};
use super::desk::{Desk, PushedFault, Reception, Visit};
use super::gemini::answer::{
    ApiError, Envelope, Finish, bind, in_base64, picture_part, text_part, thought,
};
use super::gemini::{self, Ask};
use super::log::CallRecord;
use super::picture::{self, Format, Size};
use super::quota::Quota;
use super::{Latency, Pictures};

/// Largest request, as Gemini's since January 2026.
const LARGEST_BODY: usize = 100 * 1024 * 1024;
/// An answer is handed out in pieces, so that "handed out" means that the client has taken nearly
/// all of it.
const PIECE: usize = 64 * 1024;

/// Drafts are drawn as calls far away from those that anybody makes.
const DRAFTS: u32 = 1000;
const NOT_DRAWN: &str = "I cannot draw that, but I can describe it to you.";
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
        .route("/_simulator/log", get(log))
        .route("/_simulator/faults", post(push_fault))
        .route("/_simulator/quota", post(set_quota))
        .fallback(async |uri: Uri| answer_now(&ApiError::no_such_path(uri.path())))
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
    let reception = shared.desk.receive(reading);
    tokio::select! {
        () = shared.stopped.cancelled() => broken_off(),
        response = carry_out(&shared, reception) => response,
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
        ask,
    } = reception;
    let (ending, ask) = match (course, ask) {
        (Course::Accept(ending), Some(ask)) => (ending, ask),
        (Course::Refuse(error), _) => {
            tokio::time::sleep(delay).await;
            return answer_error(&error, visit);
        }
        (Course::Page(status), _) => {
            tokio::time::sleep(delay).await;
            visit.answering(status.as_u16());
            return respond(status, HTML, Bytes::from(PAGE), PAGE.len(), visit);
        }
        // A call that could not be read is never accepted.
        (Course::Accept(_), None) => return answer_error(&ApiError::internal(), visit),
    };
    let latency = shared.latency.of(&record.prompt, record.n) + delay;
    match ending {
        Ending::Hang(time) => {
            tokio::time::sleep(time).await;
            answer_error(&ApiError::deadline(), visit)
        }
        Ending::Reset => {
            tokio::time::sleep(latency).await;
            broken_off()
        }
        Ending::Error(error) => {
            tokio::time::sleep(latency).await;
            answer_error(&error, visit)
        }
        Ending::Truncated => {
            let work = compose(shared, Answer::Picture, record, subject, ask);
            let (body, ()) = tokio::join!(work, tokio::time::sleep(latency));
            visit.answering(200);
            // The picture is nearly all of the answer, so its half lies in the middle of it.
            let cut = body.len() / 2;
            respond(StatusCode::OK, JSON, body, cut, visit)
        }
        Ending::Answer(answer) => {
            let work = compose(shared, answer, record, subject, ask);
            let (body, ()) = tokio::join!(work, tokio::time::sleep(latency));
            visit.answering(200);
            let whole = body.len();
            respond(StatusCode::OK, JSON, body, whole, visit)
        }
    }
}

/// The body of an answer with status 200, made on a thread of its own: drawing takes a while.
async fn compose(
    shared: &Shared,
    answer: Answer,
    record: CallRecord,
    subject: String,
    ask: Ask,
) -> Bytes {
    let size = shared.pictures.size(ask.size);
    let work = tokio::task::spawn_blocking(move || {
        let pictures = draw(&answer, &subject, record.n, size);
        let envelope = Envelope {
            model: &record.model,
            response_id: &record.response_id,
            prompt: &record.prompt,
            images_in: record.images_in,
        };
        bind(&write(&answer, &envelope, ask.words), &pictures)
    });
    // Drawing does not fail; an empty body would show it if it did.
    Bytes::from(work.await.unwrap_or_default())
}

/// The files that belong to an answer, in its order, as base64.
fn draw(answer: &Answer, subject: &str, nth: u32, size: Size) -> Vec<String> {
    let file = |nth, size, format| {
        let file = picture::encode(&picture::draw(subject, nth, size), format);
        in_base64(&file.unwrap_or_default())
    };
    let png = || file(nth, size, Format::Png);
    // Whole groups of four letters are whole bytes; one letter more is none.
    let half_of = |mut text: String, over: usize| {
        text.truncate(text.len() / 8 * 4 + over);
        vec![text]
    };
    let half = Size {
        width: size.width / 2,
        height: size.height / 2,
    };
    match answer {
        Answer::Picture | Answer::OnlyThought => vec![png()],
        Answer::CutPicture => half_of(png(), 0),
        Answer::CutBase64 => half_of(png(), 1),
        Answer::WrongMime => vec![file(nth, size, Format::Jpeg)],
        Answer::WrongRatio => {
            let height = size.height / 2;
            vec![file(nth, Size { height, ..size }, Format::Png)]
        }
        Answer::Huge => vec![in_base64(picture::huge())],
        Answer::Thoughts => {
            let draft = |number| file(nth + DRAFTS * number, half, Format::Png);
            vec![draft(1), draft(2), png()]
        }
        Answer::Text(_)
        | Answer::Empty
        | Answer::Finish { .. }
        | Answer::NoContent
        | Answer::Blocked(_) => Vec::new(),
    }
}

fn write(answer: &Answer, envelope: &Envelope<'_>, words: bool) -> serde_json::Value {
    let part = || picture_part("image/png");
    let ends = |reason, message| Finish {
        reason,
        message,
        pictures: 0,
    };
    let drawn = |mut parts: Vec<_>| {
        if words {
            parts.insert(0, text_part("Here is the picture you asked for:"));
        }
        let finish = Finish {
            pictures: 1,
            ..ends("STOP", None)
        };
        envelope.candidate(&parts, finish)
    };
    match answer {
        Answer::Picture
        | Answer::CutPicture
        | Answer::CutBase64
        | Answer::WrongMime
        | Answer::WrongRatio
        | Answer::Huge => drawn(vec![part()]),
        Answer::Thoughts => drawn(vec![thought(part()), thought(part()), part()]),
        Answer::OnlyThought => drawn(vec![thought(part())]),
        Answer::Text(words) => {
            let words = words.as_deref().unwrap_or(NOT_DRAWN);
            envelope.candidate(&[text_part(words)], ends("STOP", None))
        }
        Answer::Empty => envelope.empty(),
        Answer::Finish { reason, message } => {
            envelope.candidate(&[], ends(reason, message.as_deref()))
        }
        Answer::NoContent => envelope.without_content(),
        Answer::Blocked(reason) => envelope.blocked(reason),
    }
}

fn answer_error(error: &ApiError, visit: Visit) -> Response {
    visit.answering(error.status.as_u16());
    let body = Bytes::from(error.body().to_string());
    let whole = body.len();
    respond(error.status, JSON, body, whole, visit)
}

/// An error outside of any call.
fn answer_now(error: &ApiError) -> Response {
    (error.status, Json(error.body())).into_response()
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
