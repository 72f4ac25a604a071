use super::per_minute;

#[test]
fn what_it_takes_a_minute_is_read_of_calls_and_of_nothing_else() {
    let check = |said: &str, limit| assert_eq!(per_minute(said), limit, "{said}");
    let on = "Rate limit reached for gpt-image-1 in organization org-1 on";

    check(
        &format!(
            "{on} input-images per min: Limit 5, Used 5, Requested 1. Please try again in 12s."
        ),
        Some(5),
    );
    check(
        &format!("{on} requests per min (RPM): Limit 500, Used 500."),
        Some(500),
    );
    check(
        &format!("{on} images per minute: Limit 250 / 1min."),
        Some(250),
    );
    check(
        &format!("{on} tokens per min (TPM): Limit 30000, Used 29000, Requested 4000."),
        None,
    );
    check(
        &format!("{on} requests per day (RPD): Limit 200, Used 200."),
        None,
    );
    check(
        &format!("{on} requests per min (RPM): Limit 500 per day, Used 500."),
        None,
    );
    check(&format!("{on} requests per min (RPM): Limit: 0."), None);
    check(
        &format!("{on} requests per min (RPM): Limit 0, Used 0."),
        None,
    );
    check(
        &format!("{on} requests per min (RPM): Limit 99999999999."),
        None,
    );
    check("Limit 5, Used 5", None);
    check("requests per min", None);
    check("", None);
}
