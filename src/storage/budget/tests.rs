use super::*;

#[test]
fn pauses_double_and_end_with_the_last_try() {
    let budget = Budget {
        tries: 5,
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(3),
        ..Budget::default()
    };
    let check = |tried, longest: Option<u64>| {
        let pause = budget.again_after(tried);
        let Some(longest) = longest.map(Duration::from_secs) else {
            assert_eq!(pause, None, "{tried}");
            return;
        };
        let pause = pause.expect("there is another try");
        assert!(
            pause <= longest && pause >= longest / 2,
            "{tried}: {pause:?}"
        );
    };

    check(1, Some(1));
    check(2, Some(2));
    check(3, Some(3));
    check(4, Some(3));
    check(5, None);
    check(6, None);
}

#[test]
fn all_tries_of_an_operation_fit_into_it_if_but_the_last_one_answers() {
    let budget = Budget::default();

    let waited = budget.attempt * (budget.tries - 1) + budget.first_pause * 3;

    assert!(waited < budget.whole);
}
