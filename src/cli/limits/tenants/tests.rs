use super::*;

#[test]
fn a_number_of_jobs_is_a_number_none_or_the_default() {
    let read = |text: &str| text.parse::<MaxRunning>().ok();

    assert_eq!(read("10"), Some(MaxRunning::Jobs(10)));
    assert_eq!(read("0"), Some(MaxRunning::Jobs(0)));
    assert_eq!(read("none"), Some(MaxRunning::Jobs(0)));
    assert_eq!(read("default"), Some(MaxRunning::Usual));
    for wrong in ["", "-1", "1.5", "many", "99999999999"] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}

#[test]
fn the_table_says_who_runs_how_much_of_what_and_what_holds_for_all() {
    let tenant = |tenant: &str, running, max_running| TenantUse {
        tenant: tenant.to_owned(),
        running,
        max_running,
        own: false,
        paused: false,
    };
    let all = Tenants {
        usual: Some(3),
        tenants: vec![
            tenant("none", 12, None),
            TenantUse {
                own: true,
                ..tenant("team:7", 2, Some(10))
            },
            TenantUse {
                paused: true,
                ..tenant("user:7", 0, Some(3))
            },
        ],
    };

    assert_eq!(
        render(&all),
        [
            "TENANT  RUNNING  SET BY         STATE",
            "none     12/any",
            "team:7     2/10  limits tenant",
            "user:7      0/3                 paused",
            "A tenant may run 3 jobs at a time (TENANT_MAX_RUNNING), if nothing else is set for it.",
        ]
    );
    let none = Tenants {
        usual: None,
        tenants: Vec::new(),
    };
    assert_eq!(
        render(&none),
        [
            "A tenant may run any number of jobs at a time (TENANT_MAX_RUNNING), if nothing else is set for it."
        ]
    );
}
