use chrono::{DateTime, TimeDelta};

use super::*;

fn pause(what: &str, name: &str, reason: Option<&str>) -> Pause {
    let read_at = DateTime::from_timestamp_secs(1_700_000_000).expect("a moment");
    Pause {
        what: what.to_owned(),
        name: name.to_owned(),
        reason: reason.map(str::to_owned),
        paused_at: (what != "account").then(|| read_at - TimeDelta::minutes(3)),
        read_at,
    }
}

#[test]
fn what_is_typed_names_what_is_paused() {
    let scope = |what, name: Option<&str>| {
        let name = name.map(str::to_owned);
        Target { what, name }.scope()
    };

    assert!(matches!(scope(None, None), Ok(None)));
    assert_eq!(scope(Some(What::All), None).unwrap(), Some(Scope::All));
    let tenant = scope(Some(What::Tenant), Some("user:7")).unwrap().unwrap();
    assert_eq!((tenant.what(), tenant.name()), ("tenant", "user:7"));
    for (what, name, complaint) in [
        (What::All, Some("team:7"), "all is everything"),
        (What::Type, None, "which type?"),
        (What::Model, Some(""), "which model?"),
        (What::Tenant, None, "which tenant?"),
        (What::Tenant, Some("7"), "team:ID, user:ID"),
    ] {
        let error = scope(Some(what), name).unwrap_err();
        assert!(error.to_string().contains(complaint), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn the_list_says_since_when_why_and_what_lifts_it() {
    let lines = render(&[
        pause("all", "", Some("the bill")),
        pause("tenant", "team:o'neill & sons", None),
        pause("account", "gemini/default/gemini-3-pro-image", None),
    ]);

    assert_eq!(
        lines,
        [
            "PAUSED                                     SINCE      WHY       TO GO ON",
            "all                                        3 min ago  the bill  safelight resume all",
            r"tenant team:o'neill & sons                 3 min ago            safelight resume tenant 'team:o'\''neill & sons'",
            "account gemini/default/gemini-3-pro-image                       safelight limits set gemini/default/gemini-3-pro-image --paused false",
        ]
    );
}
