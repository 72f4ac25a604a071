use super::*;

const WINDOW: u64 = 1_000;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn refused(limit: u32, ms: u64) -> Result<(), Refusal> {
    Err(Refusal::Minute {
        wait: at(ms),
        limit,
    })
}

#[test]
fn the_window_slides_and_does_not_start_anew_each_minute() {
    let quota = Quota {
        requests_per_minute: Some(2),
        window_ms: WINDOW,
        ..Quota::default()
    };
    let mut meter = Meter::default();
    let mut check = |ms, expected| assert_eq!(meter.admit(&quota, at(ms)), expected, "at {ms} ms");

    check(900, Ok(()));
    check(950, Ok(()));
    check(1_010, refused(2, 890));
    check(1_899, refused(2, 1));
    check(1_900, Ok(()));
    check(1_901, refused(2, 49));
    check(1_950, Ok(()));
    check(1_951, refused(2, 949));
}

#[test]
fn refused_calls_do_not_lengthen_the_wait() {
    let quota = Quota {
        requests_per_minute: Some(1),
        window_ms: WINDOW,
        ..Quota::default()
    };
    let mut meter = Meter::default();
    assert_eq!(meter.admit(&quota, at(0)), Ok(()));

    for ms in 1..1_000 {
        assert_eq!(meter.admit(&quota, at(ms)), refused(1, 1_000 - ms));
    }

    assert_eq!(meter.admit(&quota, at(1_000)), Ok(()));
}

#[test]
fn a_lowered_quota_counts_the_calls_before_it() {
    let quota = |most| Quota {
        requests_per_minute: Some(most),
        window_ms: WINDOW,
        ..Quota::default()
    };
    let mut meter = Meter::default();
    for ms in [0, 100, 200] {
        assert_eq!(meter.admit(&quota(3), at(ms)), Ok(()));
    }

    assert_eq!(meter.admit(&quota(1), at(300)), refused(1, 900));
    assert_eq!(meter.admit(&quota(1), at(1_200)), Ok(()));
    assert_eq!(meter.admit(&quota(0), at(1_300)), refused(0, 1_000));
}

#[test]
fn the_day_ends_only_with_the_simulator() {
    let quota = Quota {
        requests_per_day: Some(2),
        ..Quota::default()
    };
    let mut meter = Meter::default();
    assert_eq!(meter.admit(&quota, at(0)), Ok(()));
    assert_eq!(meter.admit(&quota, at(1)), Ok(()));

    assert_eq!(
        meter.admit(&quota, Duration::from_hours(30)),
        Err(Refusal::Day)
    );
}

#[test]
fn a_call_that_left_makes_room_for_the_next() {
    let quota = Quota {
        max_concurrent: Some(1),
        ..Quota::default()
    };
    let mut meter = Meter::default();
    assert_eq!(meter.admit(&quota, at(0)), Ok(()));
    assert_eq!(meter.admit(&quota, at(1)), Err(Refusal::Concurrent));

    meter.leave();

    assert_eq!(meter.admit(&quota, at(2)), Ok(()));
    assert_eq!(meter.in_flight(), 1);
}
