use reqwest::header::{HeaderName, HeaderValue};

use super::*;

#[track_caller]
fn check(headers: &[(&'static str, &'static str)], message: &str, expected_ms: Option<u64>) {
    let map = headers.iter().map(|&(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    });
    let stated = stated(&map.collect(), message);

    assert_eq!(
        stated,
        expected_ms.map(Duration::from_millis),
        "{headers:?}"
    );
}

#[test]
fn the_first_way_that_says_something_counts() {
    let all = [
        ("retry-after-ms", "1500"),
        ("retry-after", "7"),
        ("x-ratelimit-reset-requests", "1s"),
    ];

    check(&all, "Please try again in 9s.", Some(1500));
    check(&all[1..], "Please try again in 9s.", Some(7000));
    check(&all[2..], "Please try again in 9s.", Some(1000));
    check(&[], "Please try again in 9s.", Some(9000));
    check(&[], "Rate limit reached.", None);
}

#[test]
fn retry_after_is_seconds_a_fraction_or_a_date() {
    const NOON: (&str, &str) = ("date", "Wed, 21 Oct 2026 12:00:00 GMT");

    check(&[("retry-after", "0.25")], "", Some(250));
    check(&[("retry-after-ms", "12.0")], "", Some(12));
    check(
        &[("retry-after", "Wed, 21 Oct 2026 12:00:30 GMT"), NOON],
        "",
        Some(30_000),
    );
    check(
        &[("retry-after", "Wed, 21 Oct 2026 11:00:00 GMT"), NOON],
        "",
        Some(0),
    );
    check(
        &[("retry-after", "Wed, 21 Oct 2026 12:00:30 GMT")],
        "",
        None,
    );
    for nonsense in ["soon", "-3", "NaN", ""] {
        check(&[("retry-after", nonsense)], "", None);
    }
    check(&[("retry-after", "99999999")], "", Some(86_400_000));
}

#[test]
fn a_reset_counts_where_nothing_is_left() {
    check(
        &[
            ("x-ratelimit-remaining-requests", "499"),
            ("x-ratelimit-reset-requests", "120ms"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ],
        "",
        Some(360_000),
    );
    check(
        &[
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-reset-images", "12.5s"),
        ],
        "",
        Some(12_500),
    );
    check(
        &[
            ("x-ratelimit-remaining-requests", "3"),
            ("x-ratelimit-reset-requests", "1s"),
        ],
        "",
        None,
    );
}

#[test]
fn durations_are_read_as_they_are_written() {
    let check = |text: &str, expected_ms: Option<u64>| {
        assert_eq!(
            duration(text),
            expected_ms.map(Duration::from_millis),
            "{text}"
        );
    };

    check("1s", Some(1000));
    check("6m0s", Some(360_000));
    check("120ms", Some(120));
    check("8.64s", Some(8640));
    check("1h2m3.5s", Some(3_723_500));
    check("1d", Some(86_400_000));
    for nonsense in ["", "s", "1", "1x", "1s2", "-1s", "1.2.3s"] {
        check(nonsense, None);
    }
}
