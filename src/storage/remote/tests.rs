use super::*;

#[test]
fn a_part_must_begin_where_it_was_asked_for() {
    let check = |from, range: Option<&str>, length, expected: Option<u64>| {
        let opened = Opened::new(from, range, length, futures_util::stream::empty().boxed());
        assert_eq!(
            opened.ok().map(|opened| opened.whole),
            expected,
            "{from} {range:?} {length:?}"
        );
    };

    check(0, None, Some(10), Some(10));
    check(0, None, None, None);
    check(4, Some("bytes 4-9/10"), Some(6), Some(10));
    // The whole object in answer to a request for a part.
    check(4, None, Some(10), None);
    check(4, Some("bytes 0-9/10"), Some(10), None);
    check(4, Some("bytes 4-9/*"), Some(6), None);
    check(4, Some("4-9/10"), Some(6), None);
}

#[test]
fn what_is_young_unknown_or_of_the_future_is_not_old() {
    let minute = Duration::from_mins(1);
    let now = SystemTime::now();

    assert!(is_older(Some(now - minute), minute));
    assert!(!is_older(Some(now), minute));
    assert!(!is_older(Some(now + minute), Duration::ZERO));
    assert!(!is_older(None, Duration::ZERO));
}

#[test]
fn a_broken_connection_is_told_by_its_innermost_reason() {
    #[derive(Debug, thiserror::Error)]
    #[error("GET https://storage/?X-Amz-Signature=1 failed")]
    struct Outer(#[source] io::Error);

    let error = broken(&Outer(io::ErrorKind::ConnectionReset.into()));

    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(error.to_string(), "connection reset");
}
