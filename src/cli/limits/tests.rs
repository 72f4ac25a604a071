use chrono::{DateTime, TimeDelta};

use super::*;

fn budget() -> Budget {
    Budget {
        provider: "gemini".to_owned(),
        account: "default".to_owned(),
        model: "gemini-3-pro-image".to_owned(),
        paused: false,
        per_minute: Some(500),
        per_day: None,
        concurrent: Some(10),
        interval_ms: None,
        cost_per_day: None,
        cost_per_call: None,
        uncounted: false,
        fleet_cost_per_day: None,
        fleet_cost_today: 2.5,
        learned_per_minute: None,
        learned_at: None,
        stated_per_minute: None,
        stated_at: None,
        minute_used: 500,
        day_used: 1700,
        running: 4,
        cost_today: 0.0,
        usable_at: None,
        why: None,
        reason: None,
        read_at: DateTime::UNIX_EPOCH,
    }
}

#[test]
fn a_key_is_provider_account_and_model() {
    let key: Key = "gemini/key-1a2b/gemini-3-pro-image".parse().unwrap();

    assert_eq!(
        (&*key.provider, &*key.account, &*key.model),
        ("gemini", "key-1a2b", "gemini-3-pro-image")
    );
    for wrong in ["", "gemini", "gemini/default", "gemini//model", "a/b/c/d"] {
        assert!(wrong.parse::<Key>().is_err(), "{wrong}");
    }
}

#[test]
fn a_limit_is_a_number_or_none() {
    let limit = |text: &str| text.parse::<Limit>().ok().map(|limit| limit.0);

    assert_eq!(limit("500"), Some(Setting::To(500)));
    assert_eq!(limit("none"), Some(Setting::None));
    for wrong in ["", "-1", "1.5", "many", "99999999999"] {
        assert_eq!(limit(wrong), None, "{wrong}");
    }
    let price = |text: &str| text.parse::<Price>().ok().map(|price| price.0);
    assert_eq!(price("0.039"), Some(Setting::To(0.039)));
    for wrong in ["-1", "NaN", "inf"] {
        assert_eq!(price(wrong), None, "{wrong}");
    }
}

#[test]
fn the_table_says_what_is_used_and_why_a_call_waits() {
    let now = budget();
    let waits = Budget {
        account: "second".to_owned(),
        usable_at: Some(now.read_at + TimeDelta::seconds(42)),
        why: Some("requestsPerMinute".to_owned()),
        cost_per_day: Some(50.0),
        cost_today: 49.98,
        ..now.clone()
    };
    let paused = Budget {
        account: "third".to_owned(),
        per_minute: None,
        why: Some("paused".to_owned()),
        ..now.clone()
    };
    let uncounted = Budget {
        account: "fourth".to_owned(),
        cost_per_day: Some(50.0),
        uncounted: true,
        ..now.clone()
    };

    let lines = render(&[now, waits, paused, uncounted]);

    assert_eq!(
        lines,
        [
            "PROVIDER/ACCOUNT/MODEL              MINUTE   DAY  RUNNING   COST TODAY  NEXT CALL           WHY",
            "gemini/default/gemini-3-pro-image  500/500  1700     4/10               now",
            "gemini/second/gemini-3-pro-image   500/500  1700     4/10  49.98/50.00  in 42 s             the minute's calls are used up",
            "gemini/third/gemini-3-pro-image        500  1700     4/10               when it is resumed  paused",
            "gemini/fourth/gemini-3-pro-image   500/500  1700     4/10      ?/50.00  now                 cost not counted: set --cost-per-call",
        ]
    );
}

#[test]
fn the_fleets_money_has_a_line_of_its_own_where_it_is_limited() {
    assert_eq!(of_the_fleet(&[]), None);
    assert_eq!(of_the_fleet(&[budget()]), None);

    let limited = Budget {
        fleet_cost_per_day: Some(20.0),
        ..budget()
    };
    assert_eq!(
        of_the_fleet(&[limited.clone(), limited]).as_deref(),
        Some("All together: 2.50 of 20.00 US dollars today (DAILY_SPEND_LIMIT)")
    );
}
