use uuid::Uuid;

use super::*;
use crate::api::Moment;

fn team(id: &str) -> Caller {
    Caller::Team(id.to_owned())
}

#[test]
fn each_tenant_has_its_own_number_of_requests() {
    let limits = Limits::new(2);
    let user = Caller::User("7".to_owned());

    let viewer = Caller::Viewer {
        job: Uuid::from_u128(7),
        end: Moment(0),
    };
    for caller in [team("7"), user, viewer] {
        limits.count(&caller).unwrap();
        limits.count(&caller).unwrap();
        let over = limits.count(&caller).unwrap_err();

        // The next of two in a minute comes after half of it.
        let ApiError::TooMany(wait) = over else {
            panic!("{over:?}");
        };
        assert!((25..=30).contains(&wait.as_secs()), "{wait:?}");
    }
}

#[test]
fn a_service_is_not_counted_and_0_is_any_number() {
    for limits in [Limits::new(1), Limits::new(0)] {
        for _ in 0..100 {
            limits.count(&Caller::Service).unwrap();
        }
    }
    let limits = Limits::new(0);
    for _ in 0..100 {
        limits.count(&team("7")).unwrap();
    }
}

#[test]
fn wrong_keys_are_counted_by_the_household_they_come_from() {
    let limits = Limits::new(1);
    let fail = |peer: &str| limits.count_failure(peer.parse().unwrap());
    for last in 0..FAILURES_PER_MINUTE {
        fail(&format!("2001:db8::{last:x}")).unwrap();
        fail("192.0.2.7").unwrap();
    }

    assert!(fail("2001:db8::ffff:1").is_err());
    assert!(fail("::ffff:192.0.2.7").is_err());
    fail("2001:db8:0:1::1").unwrap();
    fail("192.0.2.8").unwrap();
}

#[test]
fn who_no_longer_calls_is_forgotten() {
    // A rate at which one call is over at once.
    let limit = Limit::new(u32::MAX).unwrap();

    for caller in 0..3 * FORGET_EVERY {
        limit.count(&caller).unwrap();
    }

    assert!(limit.limiter.len() < 2 * FORGET_EVERY as usize);
}
