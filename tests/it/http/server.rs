//! The server itself: what it bears, how it ends, and to whom it opens.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use reqwest::Method;
use safelight::api::{self, Limits};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::harness::{PATIENCE, Served, Stage, answer, client};

/// Far more than a local answer takes.
const A_MOMENT: Duration = Duration::from_millis(300);
/// Enough that some are being answered when the first answer is there.
const AT_ONCE: usize = 16;
/// What a panic must not tell.
const DETAIL: &str = "the secret detail";

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// Routes that do what handlers should not, behind what stands around all routes.
fn odd_routes() -> Router {
    async fn panics() {
        panic!("{DETAIL}");
    }
    async fn reads(body: String) -> String {
        body.len().to_string()
    }
    api::layered(
        Router::new()
            .route("/panics", get(panics))
            .route("/reads", post(reads)),
    )
}

#[tokio::test]
async fn sigterm_ends_a_run_after_its_paid_calls_and_its_answers() {
    let stage = Stage::new().await;
    let process = stage.run(&[]);
    let url = process.url().await;
    let job = stage.job("a lake [sim:slow=3s]", 1).await;
    stage.until_called(|log| log.len() == 1).await;
    // It answers when nothing runs any more.
    let request = client().post(format!("{url}/api/tick"));
    let answer = tokio::spawn(request.send());

    process.signal("TERM");
    process.said("stopping").await;
    let ready = client().get(format!("{url}/ready")).send().await.unwrap();

    assert_eq!(ready.status(), 503, "nothing new is to be sent here");
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(process.exit_code().await, Some(0));
    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 2");
}

#[tokio::test]
async fn a_second_sigterm_ends_a_run_at_once() {
    let stage = Stage::new().await;
    let process = stage.run(&[]);
    let url = process.url().await;
    stage.job("a lake [sim:hang]", 1).await;
    stage.until_called(|log| log.len() == 1).await;
    let request = client().post(format!("{url}/api/tick"));
    let request = tokio::spawn(request.send());

    process.signal("TERM");
    process.said("stopping").await;

    assert_eq!(process.exit_code_after("TERM").await, Some(0));
    request.abort();
}

#[tokio::test]
async fn what_was_accepted_is_there_although_the_server_is_killed_at_once() {
    let stage = Stage::new().await;
    let process = stage.http(&["--bind=127.0.0.1:0"]);
    let url = process.url().await;
    let mut requests = JoinSet::new();
    for _ in 0..AT_ONCE {
        let request = client().post(format!("{url}/api/generations"));
        requests.spawn(request.json(&json!({"prompt": "a lake"})).send());
    }

    let first = requests.join_next().await.unwrap();
    process.kill_9().await;

    let mut answers = vec![first];
    while let Some(answer) = requests.join_next().await {
        answers.push(answer);
    }
    let answers = answers
        .into_iter()
        .filter_map(|answer| answer.unwrap().ok());
    let answers: Vec<_> = answers.collect();
    assert!(!answers.is_empty());
    for answer in answers {
        assert_eq!(answer.status(), 202);
        let path = answer.headers()["location"].to_str().unwrap();
        let job = path.strip_prefix("/api/generations/").unwrap();
        let there = format!(
            r#"SELECT count(*) FROM photo_generation_queue WHERE "jobId" = '{job}' AND status = 'pending'"#
        );
        assert_eq!(stage.number(&there).await, 1, "{job} is lost");
    }
}

#[tokio::test]
async fn sigterm_ends_a_server_that_nobody_asks() {
    let stage = Stage::new().await;
    let process = stage.http(&["--bind=127.0.0.1:0"]);
    process.url().await;

    assert_eq!(process.exit_code_after("TERM").await, Some(0));
}

#[tokio::test]
async fn an_answer_that_never_ends_is_cut_off_after_the_grace_time() {
    let begun = std::sync::Arc::new(Notify::new());
    let router = Router::new().route(
        "/",
        get({
            let begun = begun.clone();
            async move || -> Result<(), Infallible> {
                begun.notify_one();
                std::future::pending().await
            }
        }),
    );
    let server = Served::of(router, limits(|limits| limits.grace = A_MOMENT)).await;
    let request = tokio::spawn(server.request(Method::GET, "/").send());
    begun.notified().await;

    let stopped = tokio::time::timeout(PATIENCE, server.stop()).await;

    assert!(stopped.is_ok());
    assert!(request.await.unwrap().is_err());
}

#[tokio::test]
async fn headers_that_never_end_are_cut_off() {
    let limits = limits(|limits| limits.header = A_MOMENT);
    let server = Served::of(odd_routes(), limits).await;
    let mut connection = TcpStream::connect(server.address()).await.unwrap();

    connection
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-")
        .await
        .unwrap();

    // Long before the time of the default.
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(8), connection.read_to_end(&mut answer));
    read.await.expect("the connection stays open").unwrap();
}

/// Its requests are many and its patience endless; only the server's own limit can end it.
#[tokio::test]
async fn a_client_that_never_reads_is_dropped_and_its_seat_is_free_again() {
    let large = Router::new().route("/", get(async || "x".repeat(1024 * 1024)));
    let limits = limits(|limits| {
        limits.connections = 1;
        limits.write = A_MOMENT;
    });
    let server = Served::of(large, limits).await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut greedy = TcpStream::connect(server.address()).await.unwrap();
    // More than all buffers on the way hold.
    let requests = request.repeat(200);
    greedy.write_all(requests.as_bytes()).await.unwrap();

    let mut next = TcpStream::connect(server.address()).await.unwrap();
    next.write_all(request.as_bytes()).await.unwrap();

    let mut answer = [0; 12];
    let answered = next.read_exact(&mut answer);
    let answered = tokio::time::timeout(Duration::from_secs(20), answered).await;
    answered.expect("the seat is never free").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let mut taken = Vec::new();
    let _ = greedy.read_to_end(&mut taken).await;
    assert!(taken.len() < 200 * 1024 * 1024);
}

#[tokio::test]
async fn half_of_the_seats_are_kept_for_those_who_do_not_wait() {
    let stage = Stage::new().await;
    let api = stage.api(&[]).await.unwrap();
    let server = Served::of(api::router(api), limits(|limits| limits.connections = 4)).await;
    let job = json!({"prompt": "a lake"});
    let (_, accepted) = answer(server.request(Method::POST, "/api/generations").json(&job)).await;
    let poll = accepted["pollUrl"].as_str().unwrap().to_owned();
    let events = async || {
        let request = server.request(Method::GET, &format!("{poll}/events"));
        request.send().await.unwrap()
    };
    let (first, second) = (events().await, events().await);
    assert!(first.status().is_success() && second.status().is_success());

    let refused = events().await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "2");
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["code"], "busy");

    // Answered at once, and says so: nothing stands there of a wish that was heard.
    let request = server.request(Method::GET, &poll);
    let request = request.header("prefer", "wait=60").send();
    let early = tokio::time::timeout(Duration::from_secs(20), request).await;
    let early = early.expect("it waits").unwrap();
    assert_eq!(early.status(), 200);
    assert!(!early.headers().contains_key("preference-applied"));

    drop(first);
    let free = async {
        while events().await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let free = tokio::time::timeout(PATIENCE, free).await;
    free.expect("a stream that ended keeps its turn");
}

#[tokio::test]
async fn beyond_the_most_connections_others_wait_until_one_is_closed() {
    let server = Served::of(odd_routes(), limits(|limits| limits.connections = 1)).await;
    let first = TcpStream::connect(server.address()).await.unwrap();
    let mut second = TcpStream::connect(server.address()).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    second.write_all(request).await.unwrap();
    let mut answer = [0; 12];

    let early = tokio::time::timeout(A_MOMENT, second.read_exact(&mut answer)).await;
    drop(first);
    let late = tokio::time::timeout(PATIENCE, second.read_exact(&mut answer)).await;

    assert!(early.is_err());
    late.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 404");
}

#[tokio::test]
async fn a_panic_is_told_like_any_error_and_without_its_detail() {
    let server = Served::of(odd_routes(), Limits::default()).await;

    let request = server.request(Method::GET, "/panics");
    let response = request
        .header("x-request-id", "abc-2")
        .send()
        .await
        .unwrap();

    assert_eq!(response.status(), 500);
    let text = response.text().await.unwrap();
    assert!(!text.contains(DETAIL), "{text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["code"], "internal_error");
    assert_eq!(body["requestId"], "abc-2");
}

#[tokio::test]
async fn a_body_beyond_a_megabyte_is_refused() {
    let server = Served::of(odd_routes(), Limits::default()).await;
    let sized = |bytes: usize| {
        let request = server.request(Method::POST, "/reads");
        request.body("x".repeat(bytes)).send()
    };

    let fits = sized(1024 * 1024).await.unwrap();
    let too_large = sized(1024 * 1024 + 1).await.unwrap();

    assert_eq!(fits.status(), 200);
    assert_eq!(too_large.status(), 413);
    let body: Value = too_large.json().await.unwrap();
    assert_eq!(body["code"], "body_too_large");
}

#[tokio::test]
async fn every_answer_keeps_browsers_from_guessing_framing_linking_and_storing() {
    let stage = Stage::new().await;
    let server = stage.serve(&[]).await;
    let odd = Served::of(odd_routes(), Limits::default()).await;
    let answers = [
        (server.request(Method::GET, "/health"), 200),
        (server.request(Method::GET, "/nowhere"), 404),
        (server.request(Method::DELETE, "/health"), 405),
        (odd.request(Method::GET, "/panics"), 500),
    ];

    for (request, status) in answers {
        let response = request.send().await.unwrap();

        assert_eq!(response.status(), status);
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(
            headers["content-security-policy"],
            "default-src 'none'; frame-ancestors 'none'"
        );
        assert!(headers.contains_key("x-request-id"));
    }
}

#[tokio::test]
async fn without_any_key_nothing_but_this_machine_is_served() {
    let stage = Stage::new().await;

    for command in ["serve", "run"] {
        let mut arguments = vec![command, "--bind=0.0.0.0:0"];
        if command == "run" {
            arguments.push("--gemini-api-key=k");
        }
        let answer = stage.safelight(&arguments).await;

        assert_eq!(answer.code, 1, "{answer:?}");
        let said: Vec<_> = answer.stderr.lines().collect();
        let [line] = said[..] else {
            panic!("not one line: {answer:?}");
        };
        assert!(line.contains("API_KEYS"), "{line}");
        assert!(line.contains("BIND"), "{line}");
    }

    let with_key = stage.http(&["--bind=0.0.0.0:0", "--api-keys=7:a-key-that-is-long-enough"]);
    with_key.url().await;
    stage
        .sql("INSERT INTO photo_generation_keys (sha256) VALUES (repeat('a', 64))")
        .await;
    let with_row = stage.http(&["--bind=0.0.0.0:0"]);
    with_row.url().await;
}

#[tokio::test]
async fn an_address_that_is_taken_ends_a_server_with_the_setting_to_change() {
    let stage = Stage::new().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();

    let answer = stage.safelight(&["serve", "--bind", &address]).await;

    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.stderr.contains(&address), "{answer:?}");
    assert!(answer.stderr.contains("BIND"), "{answer:?}");
}

#[tokio::test]
async fn a_worker_can_be_watched_and_nothing_else() {
    let stage = Stage::new().await;
    let worker = stage.process(&["--bind=127.0.0.1:0"]);
    let url = worker.url().await;
    let get = async |path: &str| {
        let response = client().get(format!("{url}{path}")).send().await.unwrap();
        response.status().as_u16()
    };

    assert_eq!(get("/health").await, 200);
    assert_eq!(get("/ready").await, 200);
    assert_eq!(get("/metrics").await, 200);
    assert_eq!(get("/api/generations").await, 404);
    assert_eq!(worker.exit_code_after("TERM").await, Some(0));
}

#[tokio::test]
async fn a_worker_works_on_without_the_default_address_where_that_is_taken() {
    let stage = Stage::new().await;
    let _taken = default_address().await;
    let worker = stage.process(&[]);

    worker.said("no /health and /metrics of this worker").await;
    let job = stage.job("a lake", 1).await;
    stage.until_all_ended().await;

    assert_eq!(stage.status(job).await, "completed");
    assert_eq!(worker.exit_code_after("TERM").await, Some(0));
}

#[tokio::test]
async fn a_worker_does_not_start_where_the_address_that_it_was_given_is_taken() {
    let stage = Stage::new().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();

    let worker = stage.process(&[&format!("--bind={address}")]);

    worker.said("cannot listen at").await;
    assert_eq!(worker.exit_code().await, Some(1));
}

/// Workers of other tests have it for a while.
async fn default_address() -> TcpListener {
    let ours = async {
        loop {
            if let Ok(listener) = TcpListener::bind(safelight::config::DEFAULT_BIND).await {
                return listener;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ours = tokio::time::timeout(PATIENCE, ours).await;
    ours.expect("somebody keeps the default address")
}
