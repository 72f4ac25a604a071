use super::*;
use crate::domain::Tenant;

#[tokio::test]
async fn a_panic_is_an_attempt_to_be_made_again() {
    let work = async { panic!("on purpose, for a test") };

    let outcome = contained(work, &job()).await;

    let Ok(Outcome::Broken { failure, wait }) = outcome else {
        panic!("not to be tried again: {outcome:?}");
    };
    assert_eq!(failure.code, "internal_error");
    assert!(wait >= Duration::from_secs(8), "{wait:?}");
}

#[tokio::test]
async fn what_does_not_panic_passes_through() {
    let outcome = contained(async { Ok(Outcome::Finished) }, &job()).await;

    assert!(matches!(outcome, Ok(Outcome::Finished)), "{outcome:?}");
}

fn job() -> ClaimedJob {
    ClaimedJob {
        id: 1,
        job_id: uuid::Uuid::nil(),
        tenant: Tenant::of(None, Some("7")),
        kind: "photo_generation".to_owned(),
        batch_id: None,
        base_prompt: None,
        example_prompt: None,
        example_url: None,
        training_urls: None,
        aspect_ratio: None,
        images: 1,
        provider: None,
        model: "gemini-2.5-flash-image".to_owned(),
        payload: None,
        attempts: 0,
        max_attempts: 5,
        request_id: "request".to_owned(),
        expires_in: None,
    }
}
