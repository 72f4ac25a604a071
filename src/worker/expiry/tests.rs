use futures_util::FutureExt as _;

use super::*;

#[tokio::test]
async fn a_job_expires_when_its_time_is_over() {
    let expiry = Expiry::after(Some(Duration::from_millis(20)));

    expiry.passed().await;

    assert!(expiry.has_passed());
}

#[tokio::test]
async fn what_is_over_at_the_claim_is_over() {
    assert!(Expiry::after(Some(Duration::ZERO)).has_passed());
}

#[tokio::test]
async fn a_moment_beyond_all_clocks_never_comes() {
    for left in [None, Some(Duration::from_hours(1)), Some(Duration::MAX)] {
        let expiry = Expiry::after(left);

        assert!(!expiry.has_passed());
        assert!(expiry.passed().now_or_never().is_none());
    }
}

#[tokio::test]
async fn what_the_database_says_counts_at_once() {
    let expiry = Expiry::after(None);

    expiry.tell();

    expiry.passed().await;
    assert!(expiry.has_passed());
}
