use super::*;

fn name(images: Vec<ImageOutcome>) -> &'static str {
    match of_images(images, Duration::from_secs(8)) {
        Outcome::Finished => "finished",
        Outcome::Rejected(_) => "rejected",
        Outcome::Retry { .. } => "retry",
        Outcome::Broken { .. } => "broken",
        Outcome::RateLimited { .. } => "rate_limited",
        Outcome::Released { .. } => "released",
        Outcome::Kept { .. } => "kept",
        Outcome::Lost => "lost",
    }
}

fn retryable() -> ImageOutcome {
    ImageOutcome::Retryable(Failure::retry("provider_error", "It broke."))
}

fn limited(until: Resume) -> ImageOutcome {
    ImageOutcome::RateLimited {
        until,
        failure: Failure::retry("rate_limited", "Wait."),
    }
}

fn waiting() -> ImageOutcome {
    ImageOutcome::Waiting {
        resume: Resume::Now,
    }
}

#[test]
fn the_order_is_lost_error_limited_waiting() {
    use ImageOutcome::{Lost, Settled};

    assert_eq!(name(vec![]), "finished");
    assert_eq!(name(vec![Settled, Settled]), "finished");
    assert_eq!(name(vec![Settled, waiting()]), "released");
    assert_eq!(name(vec![waiting(), limited(Resume::Now)]), "rate_limited");
    assert_eq!(
        name(vec![limited(Resume::Now), retryable(), waiting()]),
        "retry"
    );
    assert_eq!(name(vec![retryable(), limited(Resume::Now), Lost]), "lost");
}

#[test]
fn the_longest_wait_of_the_images_decides() {
    let minute = Resume::After(Duration::from_mins(1));

    let outcome = of_images(
        vec![
            limited(minute),
            limited(Resume::NextQuotaDay),
            limited(Resume::Now),
        ],
        Duration::ZERO,
    );

    assert!(matches!(
        outcome,
        Outcome::RateLimited {
            until: Resume::NextQuotaDay,
            ..
        }
    ));
}

#[test]
fn past_the_expiry_nothing_is_tried_again_and_nothing_done_is_undone() {
    let wait = Duration::from_secs(1);
    let check = |outcome: Outcome, expected: &str| {
        let code = match outcome.past_expiry() {
            Outcome::Rejected(failure) => failure.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code, expected);
    };
    let failure = || Failure::retry("provider_error", "It broke.");

    let until = Resume::NextQuotaDay;
    check(
        Outcome::Retry {
            failure: failure(),
            wait,
        },
        "expired",
    );
    check(
        Outcome::RateLimited {
            failure: failure(),
            until,
        },
        "expired",
    );
    check(
        Outcome::Released {
            resume: Resume::Now,
        },
        "expired",
    );
    check(Outcome::Rejected(failure()), "provider_error");
    assert!(matches!(Outcome::Finished.past_expiry(), Outcome::Finished));
    assert!(matches!(Outcome::Lost.past_expiry(), Outcome::Lost));
    let broken = Outcome::Broken {
        failure: failure(),
        wait,
    };
    assert!(matches!(broken.past_expiry(), Outcome::Broken { .. }));
}

#[test]
fn beside_a_picture_in_a_spool_nothing_ends_the_job() {
    use ImageOutcome::{Kept, Lost, Settled};

    assert_eq!(name(vec![Kept]), "kept");
    assert_eq!(name(vec![Settled, Kept]), "kept");
    assert_eq!(name(vec![Kept, waiting()]), "kept");
    assert_eq!(name(vec![Kept, limited(Resume::Now)]), "rate_limited");
    assert_eq!(name(vec![retryable(), Kept]), "broken");
    assert_eq!(name(vec![Kept, Lost]), "lost");
    let rejected = Outcome::Rejected(Failure::never("invalid_input_image", "It is gone."));
    assert!(matches!(
        rejected.while_kept(),
        Outcome::Kept { resume } if resume == Resume::After(KEPT_WAIT)
    ));
    let until_tomorrow = Outcome::Released {
        resume: Resume::NextQuotaDay,
    };
    assert!(matches!(
        until_tomorrow.while_kept(),
        Outcome::Kept {
            resume: Resume::NextQuotaDay
        }
    ));
}
