use super::*;

const NONE: Jitter = Jitter(0.0);

#[test]
fn errors_wait_eight_seconds_doubling_to_five_minutes() {
    let waits = [0, 1, 2, 3, 5, 6, 40].map(|n| after_error(n, NONE).as_secs());

    assert_eq!(waits, [8, 16, 32, 64, 256, 300, 300]);
}

#[test]
fn a_stated_wait_wins_over_a_shorter_backoff_and_loses_to_a_longer() {
    let stated = |n, ms| after_limited(n, Some(Duration::from_millis(ms))).as_millis();

    assert_eq!(stated(0, 3_299), 3_299);
    assert_eq!(stated(0, 100), 500);
    assert_eq!(stated(9, 100), 2_000);
}

#[test]
fn without_a_stated_wait_refusals_double_to_five_minutes() {
    let waits = [0, 1, 2, 3, 9, 10, 99].map(|n| after_limited(n, None).as_millis());

    assert_eq!(waits, [500, 1_000, 2_000, 4_000, 256_000, 300_000, 300_000]);
}

#[test]
fn jitter_adds_at_most_a_tenth() {
    assert_eq!(after_error(0, Jitter(1.0)).as_millis(), 8_800);
    assert_eq!(after_error(0, Jitter(7.0)).as_millis(), 8_800);
}
