use super::*;

#[test]
fn clocks_may_differ_by_what_the_round_trip_explains() {
    let check = |ahead: f64, round_trip: u64, well: bool| {
        let before = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
        let round_trip = Duration::from_secs(round_trip);
        let ours: DateTime<Utc> = (before + round_trip / 2).into();
        #[expect(clippy::cast_possible_truncation, reason = "a few seconds")]
        let theirs = ours + chrono::TimeDelta::milliseconds((ahead * 1000.0) as i64);

        let line = of_clocks(before, theirs, round_trip);

        let expected = format!("{:.2} s", ahead.abs());
        let text = format!("{line:?}");
        assert!(text.contains(&expected), "{text}");
        assert_eq!(text.contains("level: Ok"), well, "{text}");
        assert_eq!(text.contains("timedatectl"), !well, "{text}");
    };

    check(0.0, 0, true);
    check(4.9, 0, true);
    check(-4.9, 0, true);
    check(5.1, 0, false);
    check(-5.1, 0, false);
    check(6.9, 4, true);
    check(7.1, 4, false);
}

#[test]
fn a_spool_fails_when_it_is_full_and_asks_for_its_machine_when_that_is_gone() {
    let check = |full: bool, silent_seconds: Option<f64>, level: &str, says: &str| {
        let line = of_spool(&Spool {
            worker: "w1@vm".to_owned(),
            photos: 1,
            bytes: 1_400_000,
            full,
            error: Some("it is away".to_owned()),
            waits_seconds: 90.0,
            silent_seconds,
        });

        let text = format!("{line:?}");
        let seen = "waiting on w1@vm for 1 min 30 s: 1 photo, 1.4 MB: it is away";
        for words in [seen, level, says] {
            assert!(text.contains(words), "no {words}: {text}");
        }
    };

    check(false, None, "level: Warn", "sql/ops/spool.sql");
    check(true, None, "level: Fail", "SPOOL_MAX_MB");
    check(true, Some(120.0), "level: Warn", "safelight worker");
}
