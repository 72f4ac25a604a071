use super::*;

const USUAL: Duration = Duration::from_mins(3);

fn of(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn what_a_question_waits_for_permission_it_does_not_wait_for_the_answer() {
    let now = Instant::now();
    let check = |after: u64, is_too_late, within| {
        let look = Until::look(now);
        let later = now + of(after);
        assert_eq!(look.is_too_late(later), is_too_late, "{after}");
        assert_eq!(look.within(USUAL, later), of(within), "{after}");
    };

    check(0, false, 7_000);
    check(4_900, false, 2_100);
    check(5_000, true, 2_000);
    check(60_000, true, 0);
}

#[test]
fn no_answer_is_waited_for_that_nobody_has_a_use_for() {
    let now = Instant::now();
    let check = |before: u64, is_too_late, within| {
        let look = Until::look_before(now + of(before), now);
        assert_eq!(look.is_too_late(now), is_too_late, "{before}");
        assert_eq!(look.within(USUAL, now), of(within), "{before}");
    };

    check(60_000, false, 7_000);
    check(3_000, false, 3_000);
    check(1_000, true, 1_000);
    check(0, true, 0);
}

#[test]
fn the_settings_may_be_less_patient() {
    let now = Instant::now();

    assert_eq!(Until::look(now).within(of(500), now), of(500));
}
