//! The same of OpenAI: the faults are Gemini's, told in OpenAI's words and headers.

use safelight::domain::Provider;

use super::table::{
    Answer, BROKEN, LOST, NO_IMAGE, REFUSED_INPUT, REJECTED, SILENT, STORED, UNREADABLE,
    UNREADABLE_PICTURE, answer,
};
use super::{check_limit, check_pictures, check_wait, play};
use crate::harness::Stage;

fn answers() -> Vec<Answer> {
    vec![
        answer("slow=0s", STORED, ""),
        answer("wrongmime", STORED, ""),
        answer("wrongratio", STORED, ""),
        // No picture.
        answer("empty", NO_IMAGE, "without an image."),
        answer("cut-picture", UNREADABLE_PICTURE, "cannot be read"),
        answer("cut-base64", UNREADABLE_PICTURE, "not an image"),
        // By its rules: an error here, and no fault of the request.
        answer("safety", REFUSED_INPUT, "because of its rules"),
        answer("blocked", REFUSED_INPUT, "its rules (violence)"),
        // The provider's own troubles.
        answer("500", BROKEN, "(HTTP 500): The server had an error"),
        answer("500-accepted", BROKEN, "(HTTP 500)"),
        answer("503", BROKEN, "(HTTP 503): The server is overloaded"),
        answer("504", BROKEN, "(HTTP 504)"),
        answer("408", BROKEN, "(HTTP 408)"),
        answer("502", BROKEN, "(HTTP 502)."),
        // Whether it was made, nobody knows.
        answer("webpage", UNREADABLE, "could not be read"),
        answer("hang", SILENT, "did not answer in time"),
        answer("reset", LOST, "connection to the provider broke"),
        answer("truncated", LOST, "connection to the provider broke"),
        // The request's fault.
        answer(
            "400 message=Invalid image file.",
            REJECTED,
            "(HTTP 400): Invalid image file.",
        ),
    ]
}

#[tokio::test]
async fn every_answer_of_openai_is_what_the_contract_says() {
    let stage = Stage::new().await;

    let jobs = play(&stage, Provider::OpenAi, answers()).await;

    check_pictures(
        &stage,
        &jobs,
        &[
            ("slow=0s", "128 128 image/png .png"),
            ("wrongmime", "128 128 image/jpeg .jpg"),
            ("wrongratio", "128 64 image/png .png"),
        ],
    )
    .await;
}

/// As those of Gemini; a day's requests state a wait of hours.
const LIMITED: [(&str, &str, &str, &str); 11] = [
    ("429@1", "completed 0", "limited:false stored:true", ""),
    (
        "429-array@1 wait=1.5s",
        "completed 0",
        "limited:false stored:true",
        "",
    ),
    ("429-bare@1", "completed 0", "limited:false stored:true", ""),
    (
        "429 wait=90.25s",
        "rate_limited 0 rate_limited",
        "limited:false",
        "cooldown cools down",
    ),
    (
        "daily",
        "rate_limited 0 rate_limited",
        "limited:false",
        "cooldown cools down",
    ),
    (
        "limit0",
        "pending 0",
        "limited:false",
        "not_on_plan blocked",
    ),
    ("badkey", "pending 0", "limited:false", "bad_key blocked"),
    ("401", "pending 0", "limited:false", "bad_key blocked"),
    ("403", "pending 0", "limited:false", "not_on_plan blocked"),
    (
        "nocredit",
        "pending 0",
        "limited:false",
        "no_credit blocked",
    ),
    ("gone", "pending 0", "limited:false", "model_gone blocked"),
];

#[tokio::test]
async fn a_limit_of_openais_stops_the_account_and_costs_the_job_nothing() {
    for row in LIMITED {
        check_limit(Provider::OpenAi, row).await;
    }
}

#[tokio::test]
async fn a_wait_that_openai_states_in_a_header_is_kept_to_its_fraction() {
    for (fault, at_least_ms) in [("429@1", 3299), ("429-array@1 wait=1.5s", 1500)] {
        check_wait(Provider::OpenAi, fault, at_least_ms).await;
    }
}
