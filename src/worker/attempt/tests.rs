use super::*;

#[tokio::test]
async fn a_panic_is_an_attempt_to_be_made_again() {
    let work = async { panic!("on purpose, for a test") };

    let outcome = contained(work, &ClaimedJob::usual()).await;

    let Ok(Outcome::Broken { failure, wait }) = outcome else {
        panic!("not to be tried again: {outcome:?}");
    };
    assert_eq!(failure.code, "internal_error");
    assert!(wait >= Duration::from_secs(8), "{wait:?}");
}

#[tokio::test]
async fn what_does_not_panic_passes_through() {
    let outcome = contained(async { Ok(Outcome::Finished) }, &ClaimedJob::usual()).await;

    assert!(matches!(outcome, Ok(Outcome::Finished)), "{outcome:?}");
}
