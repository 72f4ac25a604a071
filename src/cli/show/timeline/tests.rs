use super::*;
use crate::cli::show::tests::{at, call, story};
use crate::domain::Status;

/// A call under a lease, from and to these seconds.
fn told(lease: i64, attempt: i32, state: &str, from: i64, to: Option<i64>) -> Call {
    Call {
        lease,
        attempt,
        started_at: at(from),
        ..call(state, to.map(at), None)
    }
}

/// What is told of these calls, without moments.
fn told_of(calls: Vec<Call>) -> Vec<String> {
    let story = Story {
        calls,
        ..story(Status::Processing)
    };
    let events = of(&story).into_iter().skip(1);
    events.map(|event| event.text).collect()
}

#[test]
fn a_wait_says_how_long_it_was_and_why() {
    let check = |state: &str, code: Option<&str>, attempt: i32, expected: &str| {
        let before = Call {
            error_code: code.map(str::to_owned),
            ..told(1, 1, state, 10, Some(12))
        };
        let story = told_of(vec![before, told(3, attempt, "stored", 24, Some(27))]);
        let expected = format!("worker w1@vm {expected}");
        assert_eq!(story[2], expected, "{story:?}");
    };

    check(
        "limited",
        None,
        1,
        "goes on with attempt 1, gemini-2.5-flash-image, 12 s later: rate limited",
    );
    check(
        "error",
        None,
        2,
        "begins attempt 2, gemini-2.5-flash-image, 12 s later: tried again after an error",
    );
    check(
        "stored",
        None,
        1,
        "goes on with attempt 1, gemini-2.5-flash-image, 12 s later: it waited for its turn",
    );
    // Its end was found out when the next one began.
    check(
        "ambiguous",
        Some("worker_lost"),
        2,
        "begins attempt 2, gemini-2.5-flash-image, 14 s later: the worker before was lost, or lost the job",
    );
}

#[test]
fn a_call_says_how_it_ended_how_long_it_took_and_where_to_ask() {
    let check = |call: Call, expected: &str| assert_eq!(told_of(vec![call])[1], expected);

    check(
        told(1, 1, "calling", 100, None),
        "image 1: the call runs since 20 s (account default)",
    );
    check(
        Call {
            spooled_at: Some(at(109)),
            ..told(1, 1, "calling", 100, None)
        },
        "image 1: bought after 9.0 s, and waits for the storage (account default)",
    );
    check(
        Call {
            provider_request_id: Some("abc".to_owned()),
            error: Some("Not\nallowed.".to_owned()),
            ..told(1, 1, "refused", 100, Some(103))
        },
        "image 1: refused after 3.0 s (account default, provider's id abc): Not allowed.",
    );
    check(
        Call {
            error_code: Some("worker_lost".to_owned()),
            ..told(1, 1, "ambiguous", 40, Some(110))
        },
        "image 1: ambiguous, as was found out after 1 min 10 s (account default)",
    );
}

#[test]
fn events_come_in_order_of_time() {
    let mut story = story(Status::Failed);
    story.job.started_at = Some(at(3));
    story.job.completed_at = Some(at(60));
    // Two side by side, and one in flight as far as the ledger knows.
    story.calls = vec![
        told(1, 1, "stored", 10, Some(20)),
        told(1, 1, "error", 11, Some(12)),
        told(3, 2, "calling", 30, None),
    ];

    let moments: Vec<_> = of(&story).into_iter().map(|event| event.at).collect();

    assert_eq!(moments, [0, 3, 10, 12, 20, 30, 60, 120].map(at));
}
