use serde_json::json;

use super::super::classify;
use super::super::tests::{Seen, answered, check};
use super::*;

fn quota(violations: &Value, delay: &str) -> Value {
    json!({"error": {
        "code": 429,
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations},
            {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
        ],
    }})
}

#[test]
fn a_short_limit_keeps_the_stated_wait_to_the_nanosecond() {
    let minute = json!([{
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
        "quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        "quotaValue": "10",
    }]);
    let day_in_nanos = 86_400_000_000_000;

    check(
        429,
        &quota(&minute, "3.299376739s"),
        Seen::Short(Some(3_299_376_739)),
    );
    check(
        429,
        &quota(&minute, "34s"),
        Seen::Short(Some(34_000_000_000)),
    );
    check(429, &quota(&minute, "0s"), Seen::Short(Some(0)));
    check(
        429,
        &quota(&minute, "9999999s"),
        Seen::Short(Some(day_in_nanos)),
    );
    for nonsense in ["", "s", "-3s", "NaNs", "1e400s", "soon"] {
        check(429, &quota(&minute, nonsense), Seen::Short(None));
    }
    check(
        429,
        &json!({"error": {"code": 429, "message": "Resource has been exhausted (e.g. check quota).", "status": "RESOURCE_EXHAUSTED"}}),
        Seen::Short(None),
    );
}

#[test]
fn what_it_takes_a_minute_is_read_of_requests_and_of_nothing_else() {
    let check = |violation: Value, expected| {
        let body = quota(&json!([violation]), "3s").to_string();
        let headers = HeaderMap::new();
        match classify(StatusCode::TOO_MANY_REQUESTS, &headers, body.as_bytes()) {
            CallResult::Limited(Limit::Short { per_minute, .. }) => {
                assert_eq!(per_minute, expected, "{body}");
            }
            other => panic!("{other:?}"),
        }
    };
    let requests = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier";
    let tokens = "GenerateContentInputTokensPerModelPerMinute-FreeTier";

    check(json!({"quotaId": requests, "quotaValue": "10"}), Some(10));
    check(json!({"quotaId": requests, "quotaValue": 10}), Some(10));
    check(json!({"quotaId": requests}), None);
    check(json!({"quotaId": requests, "quotaValue": "many"}), None);
    check(
        json!({"quotaId": requests, "quotaValue": "99999999999"}),
        None,
    );
    check(json!({"quotaId": tokens, "quotaValue": "250000"}), None);
    check(json!({"quotaValue": "10"}), None);
}

#[test]
fn a_daily_quota_wins_over_the_minute_beside_it() {
    let both = json!([
        {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"},
        {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"},
    ]);

    check(429, &quota(&both, "12s"), Seen::Daily);
}

#[test]
fn a_limit_of_nothing_is_a_matter_of_the_plan() {
    let said = |message: &str| json!({"error": {"code": 429, "message": message}});
    let not_on_plan = || Seen::Blocked(BlockReason::NotOnPlan);

    check(
        429,
        &said(
            "Quota exceeded for metric: free_tier_requests, limit: 0, model: gemini-2.5-flash-preview-image",
        ),
        not_on_plan(),
    );
    check(
        429,
        &said("* metric: x, limit: 0\n* metric: y, limit: 5"),
        not_on_plan(),
    );
    check(429, &said("Limit: 0."), not_on_plan());
    check(
        429,
        &said("Gemini 2.5 Pro Preview doesn't have a free quota tier."),
        not_on_plan(),
    );
    check(
        429,
        &quota(
            &json!([{"quotaId": "GenerateRequestsPerDay-FreeTier", "quotaValue": "0"}]),
            "9s",
        ),
        not_on_plan(),
    );
    check(429, &said("limit: 05"), Seen::Short(None));
    check(429, &said("limit: 0.5 per second"), Seen::Short(None));
    check(429, &said("limit: 10"), Seen::Short(None));
}

#[test]
fn retry_after_is_honoured_and_the_longer_wait_wins() {
    let wait = |header: &str, delay: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", header.parse().unwrap());
        let body = quota(&json!([]), delay).to_string();
        match classify(StatusCode::TOO_MANY_REQUESTS, &headers, body.as_bytes()) {
            CallResult::Limited(Limit::Short { wait, .. }) => wait,
            other => panic!("{other:?}"),
        }
    };

    assert_eq!(wait("7", ""), Some(Duration::from_secs(7)));
    assert_eq!(wait("7", "9s"), Some(Duration::from_secs(9)));
    assert_eq!(wait("11", "9s"), Some(Duration::from_secs(11)));
    assert_eq!(wait("Wed, 21 Oct 2026 07:28:00 GMT", ""), None);
}

#[test]
fn what_a_person_must_mend_blocks_the_account_and_fails_no_job() {
    let error = |code: u16, status: &str, message: &str, reason: &str| {
        json!({"error": {"code": code, "message": message, "status": status, "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"},
        ]}})
    };
    let bad_key = || Seen::Blocked(BlockReason::BadKey);
    let no_credit = || Seen::Blocked(BlockReason::NoCredit);

    check(
        400,
        &error(
            400,
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.",
            "API_KEY_INVALID",
        ),
        bad_key(),
    );
    check(
        400,
        &json!({"error": {"code": 400, "message": "API key expired. Please renew the API key."}}),
        bad_key(),
    );
    check(
        401,
        &error(
            401,
            "UNAUTHENTICATED",
            "Missing credentials",
            "CREDENTIALS_MISSING",
        ),
        bad_key(),
    );
    check(
        403,
        &error(
            403,
            "PERMISSION_DENIED",
            "Your API key was reported as leaked. Please use another API key.",
            "",
        ),
        bad_key(),
    );
    check(
        403,
        &error(403, "PERMISSION_DENIED", "", "BILLING_DISABLED"),
        no_credit(),
    );
    check(
        400,
        &error(
            400,
            "FAILED_PRECONDITION",
            "User location is not supported for the API use.",
            "",
        ),
        no_credit(),
    );
    check(402, &json!({}), no_credit());
    check(
        429,
        &error(
            429,
            "RESOURCE_EXHAUSTED",
            "Your prepayment credits are depleted.",
            "",
        ),
        no_credit(),
    );
    check(
        404,
        &error(
            404,
            "NOT_FOUND",
            "models/gemini-9 is not found for API version v1beta",
            "",
        ),
        Seen::Blocked(BlockReason::ModelGone),
    );
}

#[test]
fn the_providers_own_troubles_are_tried_again_and_may_have_cost_money() {
    let overloaded = json!({"error": {"code": 503, "message": "The model is overloaded. Please try again later.", "status": "UNAVAILABLE"}});

    check(503, &overloaded, Seen::Retry("provider_error", None));
    for status in [408, 500, 502, 504, 529, 599] {
        check(status, &json!({}), Seen::Retry("provider_error", None));
    }
    let html = answered(502, b"<html><h1>502 Bad Gateway</h1></html>");
    assert_eq!(Seen::of(html), Seen::Retry("provider_error", None));
}

#[test]
fn a_request_that_the_provider_cannot_take_fails_for_good() {
    let invalid = json!({"error": {"code": 400, "message": "Unable to process input image.", "status": "INVALID_ARGUMENT"}});
    let rejected = || Seen::Never("provider_rejected", Some(false));

    check(400, &invalid, rejected());
    check(400, &json!([invalid]), rejected());
    check(400, &json!({"error": "bad request"}), rejected());
    for status in [405, 413, 415, 418, 422] {
        check(status, &json!({}), rejected());
    }
}

#[test]
fn an_error_in_an_array_is_read_like_one_that_is_not() {
    let key = json!([{"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}]);

    check(400, &key, Seen::Blocked(BlockReason::BadKey));
    check(
        429,
        &json!([quota(&json!([]), "2s")]),
        Seen::Short(Some(2_000_000_000)),
    );
}

#[test]
fn an_error_that_cannot_be_read_is_judged_by_its_status() {
    for (status, expected) in [
        (429, Seen::Short(None)),
        (403, Seen::Blocked(BlockReason::BadKey)),
        (404, Seen::Blocked(BlockReason::ModelGone)),
        (400, Seen::Never("provider_rejected", Some(false))),
        (302, Seen::Retry("provider_error", Some(false))),
    ] {
        let result = answered(status, b"{\"error\": {\"mess");
        assert_eq!(Seen::of(result), expected, "{status}");
    }
}
