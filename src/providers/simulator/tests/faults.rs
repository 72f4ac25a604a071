//! Every fault once, as it looks on the wire.

use super::*;

/// The answer to one call with this marker, and the call in the log.
async fn strike(marker: &str) -> (u16, Value, CallRecord) {
    let simulator = instant().await;
    let (status, answer) = call(&simulator, &format!("a lake [sim:{marker}]"))
        .await
        .unwrap();
    (status, answer, simulator.log().remove(0))
}

#[tokio::test]
async fn errors_are_told_in_geminis_words_and_only_the_accepted_one_is_billed() {
    let check = async |marker: &str, code: u16, name: &str, said: &str, outcome: CallOutcome| {
        let (status, answer, logged) = strike(marker).await;
        let error = &answer["error"];
        assert_eq!(
            (status, error["code"].as_u64(), error["status"].as_str()),
            (code, Some(u64::from(code)), Some(name)),
            "{marker}"
        );
        assert!(error.to_string().contains(said), "{marker}: {error}");
        let billed = marker == "500-accepted";
        assert_eq!(
            (logged.accepted, logged.outcome, logged.http_status),
            (billed, outcome, Some(code)),
            "{marker}"
        );
    };
    let (limited, error) = (CallOutcome::Limited, CallOutcome::Error);

    check(
        "429",
        429,
        "RESOURCE_EXHAUSTED",
        "\"retryDelay\":\"3.299376739s\"",
        limited,
    )
    .await;
    check(
        "429 wait=1.5s",
        429,
        "RESOURCE_EXHAUSTED",
        "\"retryDelay\":\"1.5s\"",
        limited,
    )
    .await;
    check(
        "429-bare",
        429,
        "RESOURCE_EXHAUSTED",
        "Resource has been exhausted",
        limited,
    )
    .await;
    check(
        "401",
        401,
        "UNAUTHENTICATED",
        "authentication credentials",
        error,
    )
    .await;
    check("408", 408, "DEADLINE_EXCEEDED", "timed out", error).await;
    check("daily", 429, "RESOURCE_EXHAUSTED", "PerDay", limited).await;
    check("limit0", 429, "RESOURCE_EXHAUSTED", "limit: 0", limited).await;
    check("400", 400, "INVALID_ARGUMENT", "invalid argument", error).await;
    check(
        "400 message=no such luck",
        400,
        "INVALID_ARGUMENT",
        "no such luck",
        error,
    )
    .await;
    check(
        "badkey",
        400,
        "INVALID_ARGUMENT",
        "\"reason\":\"API_KEY_INVALID\"",
        error,
    )
    .await;
    check("nocredit", 400, "FAILED_PRECONDITION", "illing", error).await;
    check("403", 403, "PERMISSION_DENIED", "leaked", error).await;
    check("gone", 404, "NOT_FOUND", MODEL, error).await;
    check("500", 500, "INTERNAL", "internal error", error).await;
    check("500-accepted", 500, "INTERNAL", "internal error", error).await;
    check("503", 503, "UNAVAILABLE", "overloaded", error).await;
    check("504", 504, "DEADLINE_EXCEEDED", "Deadline", error).await;
    check(
        "safty",
        400,
        "INVALID_ARGUMENT",
        "the simulator knows 429, ",
        error,
    )
    .await;
    let (status, answer, _) = strike("array-error").await;
    assert_eq!(
        (status, answer[0]["error"]["status"].as_str()),
        (500, Some("INTERNAL"))
    );
    let (status, answer, logged) = strike("429-array wait=1.5s").await;
    assert_eq!((status, logged.outcome), (429, limited));
    assert_eq!(answer[0]["error"]["details"][1]["retryDelay"], "1.5s");
}

#[tokio::test]
async fn a_gateway_answers_with_a_web_page_and_nothing_is_billed() {
    for (marker, head) in [
        ("502", "HTTP/1.1 502 Bad Gateway\r\n"),
        ("webpage", "HTTP/1.1 200 OK\r\n"),
    ] {
        let simulator = instant().await;

        let answer = raw(&simulator, &format!("a lake [sim:{marker}]")).await;

        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(head), "{answer}");
        assert!(answer.contains("content-type: text/html"), "{answer}");
        assert!(answer.contains("<!DOCTYPE html>"), "{answer}");
        let logged = simulator.log().remove(0);
        assert_eq!(
            (logged.accepted, logged.outcome),
            (false, CallOutcome::Error),
            "{marker}"
        );
    }
}

#[tokio::test]
async fn answers_without_a_picture_are_billed_all_the_same() {
    let check = async |marker: &str, pointer: &str, expected: Value, outcome: CallOutcome| {
        let (status, answer, logged) = strike(marker).await;
        assert_eq!(
            answer.pointer(pointer).unwrap_or(&Value::Null),
            &expected,
            "{marker}: {answer}"
        );
        assert!(!answer.to_string().contains("inlineData"), "{marker}");
        assert!(answer["responseId"].is_string(), "{marker}");
        assert_eq!(
            (status, logged.accepted, logged.outcome),
            (200, true, outcome),
            "{marker}"
        );
    };
    let (empty, refused) = (CallOutcome::Empty, CallOutcome::Refused);

    check(
        "text message=Not today.",
        "/candidates/0/content/parts",
        json!([{"text": "Not today."}]),
        empty,
    )
    .await;
    check("empty", "/candidates", Value::Null, empty).await;
    check(
        "noimage",
        "/candidates/0/finishReason",
        json!("NO_IMAGE"),
        empty,
    )
    .await;
    check(
        "safety",
        "/candidates/0/finishReason",
        json!("IMAGE_SAFETY"),
        refused,
    )
    .await;
    check(
        "safety",
        "/candidates/0/content/parts",
        Value::Null,
        refused,
    )
    .await;
    check(
        "blocked",
        "/promptFeedback/blockReason",
        json!("PROHIBITED_CONTENT"),
        refused,
    )
    .await;
    check("blocked", "/candidates", Value::Null, refused).await;
    check(
        "blocked reason=OTHER",
        "/promptFeedback/blockReason",
        json!("OTHER"),
        empty,
    )
    .await;
    let reason = "/candidates/0/finishReason";
    check("finish", reason, json!("STOP"), empty).await;
    check("finish reason=SPII", reason, json!("SPII"), refused).await;
    check("finish reason=NEW", reason, json!("NEW"), empty).await;
    let content = "/candidates/0/content";
    check("finish", content, json!({"role": "model"}), empty).await;
    check("nocontent", content, Value::Null, empty).await;
    check("nocontent", reason, json!("STOP"), empty).await;
}

#[tokio::test]
async fn odd_pictures_come_as_they_were_seen_in_the_wild() {
    let (_, answer, _) = strike("thoughts").await;
    let thoughts: Vec<bool> = parts(&answer)
        .iter()
        .map(|part| part["thought"] == true)
        .collect();
    assert_eq!(thoughts, [true, true, false]);

    let (_, answer, _) = strike("only-thought").await;
    assert_eq!(
        (parts(&answer).len(), &parts(&answer)[0]["thought"]),
        (1, &json!(true))
    );
    assert!(image::load_from_memory(&picture(&parts(&answer)[0])).is_ok());

    let (_, answer, _) = strike("wrongmime").await;
    let part = &parts(&answer)[0];
    assert_eq!(part["inlineData"]["mimeType"], "image/png");
    assert_eq!(
        image::guess_format(&picture(part)).unwrap(),
        ImageFormat::Jpeg
    );

    let (_, answer, logged) = strike("cut-picture").await;
    let file = picture(&parts(&answer)[0]);
    assert_eq!(image::guess_format(&file).unwrap(), ImageFormat::Png);
    assert!(image::load_from_memory(&file).is_err());
    assert_eq!(logged.outcome, CallOutcome::Truncated);

    let (_, answer, logged) = strike("cut-base64").await;
    let text = parts(&answer)[0]["inlineData"]["data"].as_str().unwrap();
    assert!(text.starts_with("iVBOR") && text.len() % 4 == 1);
    assert_eq!(logged.outcome, CallOutcome::Truncated);

    let (_, answer, _) = strike("wrongratio").await;
    // 9:16 was asked for.
    let lying = image::load_from_memory(&picture(&parts(&answer)[0])).unwrap();
    assert_eq!((lying.width(), lying.height()), (96, 84));

    let (_, answer, _) = strike("huge").await;
    let file = std::io::Cursor::new(picture(&parts(&answer)[0]));
    let sides = image::ImageReader::new(file)
        .with_guessed_format()
        .unwrap()
        .into_dimensions()
        .unwrap();
    assert_eq!(sides, (4096, 4096));
}

/// What comes back over a bare connection until it ends.
async fn raw(simulator: &Simulator, prompt: &str) -> Vec<u8> {
    let mut connection = TcpStream::connect(simulator.address).await.unwrap();
    let body = body(prompt).to_string();
    let request = format!(
        "POST /v1beta/models/{MODEL}:generateContent HTTP/1.1\r\nhost: simulator\r\nx-goog-api-key: {DEFAULT_KEY}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is reset ends as well as one that is closed.
    let _ = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut answer))
        .await
        .unwrap();
    answer
}

#[tokio::test]
async fn a_reset_ends_the_connection_without_a_byte() {
    let simulator = instant().await;

    assert_eq!(raw(&simulator, "a [sim:reset@1]").await, b"");
    assert!(call(&simulator, "a [sim:reset@1]").await.is_ok());

    let log = simulator.log();
    assert_eq!(
        (log[0].accepted, log[0].outcome, log[0].answered_at_ms),
        (true, CallOutcome::Reset, None)
    );
    assert!(log[0].ended_at_ms.is_some());
    assert_eq!((log[1].n, log[1].outcome), (2, CallOutcome::Image));
}

#[tokio::test]
async fn a_truncated_answer_stops_within_the_picture_it_announced() {
    let simulator = instant().await;

    let answer = String::from_utf8(raw(&simulator, "a [sim:truncated]").await).unwrap();

    let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
    let announced = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    assert!(head.starts_with("HTTP/1.1 200"));
    assert_eq!(rest.len(), announced.parse::<usize>().unwrap() / 2);
    assert!(
        rest.contains("\"data\":\"iVBOR"),
        "the cut lies in the picture"
    );
    assert!(call(&simulator, "b [sim:truncated]").await.is_err());
    let log = simulator
        .wait_for(
            |log| log.iter().all(|call| call.ended_at_ms.is_some()),
            PATIENCE,
        )
        .await
        .unwrap();
    for call in log {
        assert_eq!(
            (call.accepted, call.outcome, call.http_status),
            (true, CallOutcome::Truncated, Some(200))
        );
        assert_eq!(call.answered_at_ms, None);
    }
}

#[tokio::test]
async fn a_hang_that_is_waited_out_ends_in_a_504() {
    let (status, _, logged) = strike("hang wait=10ms").await;

    assert_eq!(
        (status, logged.outcome, logged.accepted),
        (504, CallOutcome::Hang, true)
    );
    assert!(logged.answered_at_ms.unwrap() - logged.received_at_ms >= 10);
}

#[tokio::test]
async fn slow_goes_with_other_faults_and_a_series_of_faults_strikes_in_turn() {
    let (status, answer, logged) = strike("slow=30ms] [sim:wrongmime").await;
    assert_eq!((status, parts(&answer).len()), (200, 1));
    assert!(logged.answered_at_ms.unwrap() - logged.received_at_ms >= 30);

    let simulator = instant().await;
    let prompt = "a [sim:429@1] [sim:safety@2-3] [sim:503@3]";
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(call(&simulator, prompt).await.unwrap().0);
    }
    assert_eq!(statuses, [429, 200, 200, 200]);
    let outcomes: Vec<_> = simulator
        .log()
        .iter()
        .map(|call| call.outcome.as_str())
        .collect();
    assert_eq!(outcomes, ["limited", "refused", "refused", "image"]);
}

#[tokio::test]
async fn a_pushed_fault_comes_before_those_in_the_prompt_and_is_used_up() {
    let simulator = instant().await;
    simulator.push_fault("503".parse::<Fault>().unwrap());
    simulator.push_fault(PushedFault {
        fault: Fault::of(FaultKind::Empty),
        matching: "lake".to_owned(),
        times: 1,
    });

    assert_eq!(call(&simulator, "a lake [sim:429]").await.unwrap().0, 503);
    assert_eq!(call(&simulator, "a hill [sim:429]").await.unwrap().0, 429);
    assert_eq!(call(&simulator, "a lake [sim:429]").await.unwrap().0, 200);
    assert_eq!(call(&simulator, "a lake [sim:429]").await.unwrap().0, 429);
}
