use chrono::TimeDelta;

use super::super::tests::{at, story};
use super::*;
use crate::db::jobs::Hindrance;
use crate::domain::Status;

fn standing(jobs_before: i64, images_per_second: Option<f64>) -> Standing {
    Standing {
        jobs_before,
        or_more: false,
        images_before: 120.0,
        images_per_second,
        running: 0,
        max_running: Some(3),
        usable_at: None,
        why: None,
    }
}

fn lines(standing: Standing) -> Vec<String> {
    let story = Story {
        standing: Some(standing),
        ..story(Status::Pending)
    };
    story.next()
}

#[test]
fn a_job_that_is_due_says_how_many_begin_before_it_and_how_long_that_may_take() {
    let check = |standing: Standing, expected: &str| assert_eq!(lines(standing)[0], expected);

    check(
        standing(0, Some(0.5)),
        "It is due, and the next of its model to begin: it waits for a worker with a free place and for quota.",
    );
    check(
        standing(1, Some(20.0)),
        "It is due. One job of its model begins before it; at the present pace that is some 10 seconds.",
    );
    check(
        standing(37, Some(0.5)),
        "It is due. About 37 jobs of its model begin before it; at the present pace that is some 4 minutes.",
    );
    check(
        standing(30_799, None),
        "It is due. About 31000 jobs of its model begin before it; how long that takes nobody knows: none of its images was made in the last ten minutes.",
    );
    check(
        Standing {
            or_more: true,
            images_before: 40_000.0,
            ..standing(1000, Some(0.5))
        },
        "It is due. More than 1000 jobs of its model begin before it; at the present pace that is more than 22 hours.",
    );
}

#[test]
fn an_estimate_is_as_rough_as_what_it_knows() {
    let check = |seconds: f64, expected: &str| {
        assert_eq!(roughly(Duration::from_secs_f64(seconds)), expected);
    };

    check(0.0, "0 seconds");
    check(0.3, "10 seconds");
    check(61.0, "70 seconds");
    check(100.0, "2 minutes");
    check(3_700.0, "62 minutes");
    check(7_300.0, "2 hours");
    check(400_000.0, "5 days");
    assert_eq!([99, 100, 149, 1_996].map(rounded), [99, 100, 150, 2_000]);
}

#[test]
fn a_tenant_at_its_cap_is_told_what_it_waits_for() {
    let line = "3 of the 3 jobs that team:7 may run at a time are running; its next one begins when one of them ends.";
    let running = |running, max_running| {
        lines(Standing {
            running,
            max_running,
            ..standing(0, None)
        })
    };

    assert_eq!(running(3, Some(3))[1], line);
    for others in [running(2, Some(3)), running(9, None)] {
        assert!(!others.iter().any(|line| line.contains("at a time")));
    }
}

#[test]
fn a_model_without_budget_says_until_when_and_why() {
    let used_up = |seconds| Standing {
        usable_at: Some(at(120) + TimeDelta::seconds(seconds)),
        why: Some("requestsPerDay".to_owned()),
        ..standing(0, None)
    };

    assert_eq!(
        lines(used_up(7_200))[1],
        "Its model takes no calls for 2 h: the day's calls are used up."
    );
    assert_eq!(lines(used_up(9)).len(), 2, "that is over in a moment");

    // Of its only account that is said already.
    let hindrance = Hindrance {
        provider: "gemini".to_owned(),
        account: "default".to_owned(),
        model: "pro".to_owned(),
        paused: false,
        seconds: Some(7_200.0),
        reason: Some("daily_quota".to_owned()),
    };
    let story = Story {
        standing: Some(used_up(7_200)),
        waits_for: vec![hindrance],
        ..story(Status::Pending)
    };
    assert_eq!(
        story.next()[1],
        "pro takes no calls on account default for 2 h (daily_quota)."
    );
}

#[test]
fn a_job_that_is_paused_says_since_when_why_and_what_resumes_it() {
    let pause = |what: &str, name: &str, reason: Option<&str>| Pause {
        what: what.to_owned(),
        name: name.to_owned(),
        reason: reason.map(str::to_owned),
        paused_at: Some(at(0)),
        read_at: at(120),
    };
    let mut story = Story {
        paused: vec![
            pause("all", "", Some("the bill")),
            pause("model", "pro", None),
            pause("tenant", "team:7", None),
        ],
        ..story(Status::Pending)
    };
    let told = [
        "Everything was paused by an operator 2 min ago (the bill). To go on: safelight resume all",
        "Its model, pro, was paused by an operator 2 min ago. To go on: safelight resume model pro",
        "Its tenant, team:7, was paused by an operator 2 min ago. To go on: safelight resume tenant team:7",
    ];

    assert_eq!(story.next()[..3], told);

    story.job.retry_at = Some(at(160));
    assert_eq!(
        story.next()[0],
        "It is tried again in 40 s, at 2023-11-14T22:16:00Z."
    );
    assert_eq!(story.next()[1..4], told);
}
