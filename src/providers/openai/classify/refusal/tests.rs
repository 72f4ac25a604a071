use serde_json::json;

use super::super::tests::{Seen, answered, check, message};
use super::*;

fn error(kind: &str, code: &str, message: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn blocked(reason: BlockReason) -> Seen {
    Seen::Blocked(reason)
}

#[test]
fn moderation_refuses_the_picture_for_good_and_says_what_it_names() {
    let recorded = error(
        "image_generation_user_error",
        "moderation_blocked",
        "Your request was rejected by the safety system. If you believe this is an error, contact us at help.openai.com and include the request ID req_011. safety_violations=[sexual, violence].",
    );

    check(400, &[], &recorded, Seen::Refused("moderation_input"));
    let said = message(answered(400, &[], recorded.to_string().as_bytes()));
    assert_eq!(
        said,
        "The provider refused the prompt, an input image or what came of them because of its rules (sexual, violence). Change them and try again."
    );
    let unnamed = error("invalid_request_error", "content_policy_violation", "No.");
    check(400, &[], &unnamed, Seen::Refused("moderation_input"));
    let said = message(answered(400, &[], unnamed.to_string().as_bytes()));
    assert!(said.contains("its rules. Change"), "{said}");
}

#[test]
fn a_rate_limit_is_short_and_keeps_the_stated_wait() {
    let recorded = error(
        "input-images",
        "rate_limit_exceeded",
        "Rate limit reached for gpt-image-1 in organization org-1 on input-images per min: Limit 5, Used 5, Requested 1. Please try again in 12s. Visit https://platform.openai.com/account/rate-limits to learn more.",
    );

    check(429, &[], &recorded, Seen::Short(Some(12_000_000_000)));
    check(
        429,
        &[("retry-after-ms", "1500"), ("retry-after", "2")],
        &recorded,
        Seen::Short(Some(1_500_000_000)),
    );
    check(
        429,
        &[("x-ratelimit-reset-requests", "6m0s")],
        &error("requests", "rate_limit_exceeded", "Too many."),
        Seen::Short(Some(360_000_000_000)),
    );
    check(429, &[], &json!({}), Seen::Short(None));
    check(
        429,
        &[("x-should-retry", "false")],
        &error("requests", "rate_limit_exceeded", "Too many."),
        Seen::Short(None),
    );
}

#[test]
fn an_account_without_money_is_no_rate_limit_whatever_its_status() {
    let quota = error(
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    );
    let hard_limit = error(
        "image_generation_user_error",
        "billing_hard_limit_reached",
        "Billing hard limit has been reached",
    );
    let by_type = error("billing_limit_user_error", "", "Billing hard limit.");

    check(
        429,
        &[("retry-after", "1")],
        &quota,
        blocked(BlockReason::NoCredit),
    );
    for status in [400, 403, 429] {
        check(status, &[], &hard_limit, blocked(BlockReason::NoCredit));
        check(status, &[], &by_type, blocked(BlockReason::NoCredit));
    }
    check(402, &[], &json!({}), blocked(BlockReason::NoCredit));
}

#[test]
fn what_a_person_must_mend_blocks_the_account_and_fails_no_job() {
    let wrong_key = error(
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect API key provided: sk-1***9. You can find your API key at https://platform.openai.com/account/api-keys.",
    );
    let unverified = error(
        "invalid_request_error",
        "",
        "Your organization must be verified to use the model `gpt-image-1`.",
    );
    let country = error(
        "request_forbidden",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    );
    let gone = error(
        "invalid_request_error",
        "model_not_found",
        "The model `gpt-image-9` does not exist or you do not have access to it.",
    );
    let nothing = error(
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached for gpt-image-1: Limit: 0, Requested 1.",
    );
    let not_here = json!({"error": {
        "message": "Invalid value: 'gpt-image-9'. Value must be 'gpt-image-1'.",
        "type": "image_generation_user_error", "param": "model", "code": "invalid_value",
    }});

    check(401, &[], &wrong_key, blocked(BlockReason::BadKey));
    check(403, &[], &unverified, blocked(BlockReason::NotOnPlan));
    check(403, &[], &country, blocked(BlockReason::NotOnPlan));
    check(404, &[], &gone, blocked(BlockReason::ModelGone));
    check(400, &[], &gone, blocked(BlockReason::ModelGone));
    check(400, &[], &not_here, blocked(BlockReason::ModelGone));
    check(429, &[], &nothing, blocked(BlockReason::NotOnPlan));
    let said = message(answered(401, &[], wrong_key.to_string().as_bytes()));
    assert_eq!(
        said,
        "Incorrect API key provided: sk-1***9. You can find your API key at"
    );
}

#[test]
fn the_providers_own_troubles_are_tried_again_unless_it_says_not_to() {
    let server = error(
        "server_error",
        "",
        "The server had an error while processing your request. Sorry about that!",
    );

    for status in [408, 409, 500, 502, 503, 504, 520] {
        check(status, &[], &server, Seen::Retry("provider_error", None));
    }
    check(
        500,
        &[("x-should-retry", "false")],
        &server,
        Seen::Never("provider_error", None),
    );
    let html = answered(502, &[], b"<html><h1>502 Bad Gateway</h1></html>");
    assert_eq!(Seen::of(html), Seen::Retry("provider_error", None));
}

#[test]
fn a_request_that_the_provider_cannot_take_fails_for_good_unless_it_says_otherwise() {
    let fidelity = json!({"error": {
        "message": "The model 'gpt-image-1-mini' does not support the 'input_fidelity' parameter.",
        "type": "invalid_request_error", "param": "input_fidelity",
        "code": "invalid_input_fidelity_model",
    }});
    let rejected = || Seen::Never("provider_rejected", Some(false));

    check(
        400,
        &[],
        &fidelity,
        Seen::WithoutFidelity("provider_rejected", Some(false)),
    );
    for in_other_words in [
        json!({"error": {"message": "Unknown parameter: 'input_fidelity'.", "param": "input_fidelity",
            "type": "invalid_request_error", "code": "unknown_parameter"}}),
        json!({"error": {"message": "input_fidelity 'high' is only supported for model gpt-image-1.",
            "param": "model", "type": "invalid_request_error", "code": null}}),
    ] {
        let seen = Seen::WithoutFidelity("provider_rejected", Some(false));
        check(400, &[], &in_other_words, seen);
    }
    check(400, &[], &json!({"error": "bad request"}), rejected());
    for status in [405, 413, 415, 422] {
        check(status, &[], &json!({}), rejected());
    }
    check(
        400,
        &[("x-should-retry", "true")],
        &fidelity,
        Seen::Retry("provider_rejected", Some(false)),
    );
    check(
        302,
        &[],
        &json!({}),
        Seen::Retry("provider_error", Some(false)),
    );
}

#[test]
fn a_failure_carries_the_id_of_its_call() {
    let result = answered(503, &[("x-request-id", "req_011")], b"{}");

    let CallResult::Failed { failure, .. } = result else {
        panic!("{result:?}");
    };
    assert_eq!(failure.provider_request_id.as_deref(), Some("req_011"));
}

#[test]
fn an_error_that_cannot_be_read_is_judged_by_its_status() {
    for (status, expected) in [
        (429, Seen::Short(None)),
        (401, blocked(BlockReason::BadKey)),
        (403, blocked(BlockReason::NotOnPlan)),
        (404, blocked(BlockReason::ModelGone)),
        (400, Seen::Never("provider_rejected", Some(false))),
    ] {
        let result = answered(status, &[], b"{\"error\": {\"mess");
        assert_eq!(Seen::of(result), expected, "{status}");
    }
}
