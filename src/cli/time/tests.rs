use super::*;

#[test]
fn a_time_back_is_a_number_and_a_unit() {
    let check = |text: &str, expected: Option<u64>| {
        let since = text.parse::<Length>().ok();
        assert_eq!(
            since,
            expected.map(|s| Length(Duration::from_secs(s))),
            "{text}"
        );
    };

    check("90s", Some(90));
    check("30m", Some(1_800));
    check("2h", Some(7_200));
    check("7d", Some(604_800));
    check("36500d", Some(3_153_600_000));
    check("36501d", None);
    check("0h", None);
    check("", None);
    check("h", None);
    check("2", None);
    check("-2h", None);
    check("1.5h", None);
    check("2 h", None);
    check("2w", None);
    check("2ü", None);
    check("99999999999999999999d", None);
    check("9999999999999999999h", None);
}

#[test]
fn what_is_no_time_is_told_with_examples() {
    let message = "soon".parse::<Length>().expect_err("no time").to_string();

    assert_eq!(message, "\"soon\" is not a time such as 90s, 30m, 2h or 7d");
}

#[test]
fn a_span_has_two_units_at_most() {
    let check = |milliseconds: u64, expected: &str| {
        assert_eq!(span(Duration::from_millis(milliseconds)), expected);
    };

    check(0, "0.0 s");
    check(3_240, "3.2 s");
    check(10_000, "10 s");
    check(59_999, "59 s");
    check(60_000, "1 min");
    check(80_000, "1 min 20 s");
    check(3_600_000, "1 h");
    check(7_500_000, "2 h 5 min");
    check(86_400_000, "1 d");
    check(273_600_000, "3 d 4 h");
}

#[test]
fn an_age_has_one_unit() {
    let check = |seconds: u64, expected: &str| {
        assert_eq!(ago(Duration::from_secs(seconds)), expected);
    };

    check(0, "just now");
    check(5, "5 s ago");
    check(59, "59 s ago");
    check(60, "1 min ago");
    check(3_599, "59 min ago");
    check(3_600, "1 h ago");
    check(86_399, "23 h ago");
    check(86_400, "1 day ago");
    check(172_800, "2 days ago");
}

#[test]
fn what_lies_in_the_future_is_no_age() {
    let now = DateTime::from_timestamp_secs(1_000).expect("a moment");
    let later = DateTime::from_timestamp_secs(1_060).expect("a moment");

    assert_eq!(between(now, later), Duration::from_mins(1));
    assert_eq!(between(later, now), Duration::ZERO);
    assert_eq!(from_seconds(-3.0), Duration::ZERO);
    assert_eq!(from_seconds(f64::NAN), Duration::ZERO);
}
