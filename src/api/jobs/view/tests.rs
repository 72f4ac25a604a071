use super::*;

#[test]
fn a_position_says_no_more_than_an_estimate_knows() {
    let check = |position, shown| assert_eq!(rounded(position), shown, "{position}");

    check(1, 1);
    check(10, 10);
    check(11, 10);
    check(16, 20);
    check(96, 100);
    check(101, 100);
    check(149, 100);
    check(150, 200);
    check(12_345, 12_300);
}

#[test]
fn a_wait_is_told_in_steps_and_only_where_the_pace_is_known() {
    let check = |images: f64, pace: Option<f64>, shown| {
        let turn = Standing {
            jobs_before: 1,
            or_more: false,
            images_before: images,
            images_per_second: pace,
            running: 0,
            max_running: None,
            usable_at: None,
            why: None,
        };
        assert_eq!(estimate(&turn), shown, "{images} at {pace:?}");
    };

    check(0.0, Some(1.0), Some(0));
    check(1.0, Some(1.0), Some(10));
    check(31.0, Some(1.0), Some(40));
    check(130.0, Some(1.0), Some(180));
    check(3601.0, Some(1.0), Some(4500));
    check(1.0, None, None);
    check(1.0, Some(0.0), None);
    check(f64::MAX, Some(1e-300), Some(31_536_000));
}

#[test]
fn progress_is_never_below_nothing_or_above_all() {
    let check = |current, total, percent| {
        assert_eq!(
            Progress::to(current, total, Vec::new()).percent,
            percent,
            "{current}/{total}"
        );
    };

    check(0, 0, 0);
    check(1, 3, 33);
    check(3, 3, 100);
    check(4, 3, 100);
    check(i64::MAX, i64::MAX, 100);
}

#[test]
fn the_states_have_the_words_of_the_frontend_that_was_there_before() {
    let check = |status, word| assert_eq!(in_short(status), word);

    check(Status::Pending, "queued");
    check(Status::RateLimited, "queued");
    check(Status::Processing, "running");
    check(Status::Completed, "success");
    check(Status::Failed, "failed");
    check(Status::Canceled, "canceled");
}
