use super::*;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

#[track_caller]
fn check(tries: u32, stated: Option<u64>, expected: Option<u64>) {
    let stated = stated.map(Duration::from_secs);

    let wait = after_failure(tries, stated, Jitter(0.0));

    assert_eq!(wait.map(|wait| wait.as_secs()), expected, "after {tries}");
}

#[test]
fn the_waits_grow_over_three_days_and_then_it_is_given_up() {
    check(1, None, Some(5));
    check(2, None, Some(5 * MINUTE));
    check(3, None, Some(30 * MINUTE));
    check(4, None, Some(2 * HOUR));
    check(5, None, Some(5 * HOUR));
    check(6, None, Some(10 * HOUR));
    check(7, None, Some(14 * HOUR));
    check(8, None, Some(20 * HOUR));
    check(9, None, Some(24 * HOUR));
    check(10, None, None);
    check(u32::MAX, None, None);
}

#[test]
fn a_receiver_may_ask_for_more_time_but_not_for_less_and_not_for_ever() {
    check(1, Some(60), Some(60));
    check(2, Some(60), Some(5 * MINUTE));
    check(1, Some(1_000_000_000), Some(24 * HOUR));
    // It does not get more tries by it.
    check(10, Some(60), None);
}

#[test]
fn a_fleet_does_not_come_back_as_one() {
    let wait = after_failure(1, None, Jitter(1.0));

    assert_eq!(wait, Some(Duration::from_millis(5500)));
}
