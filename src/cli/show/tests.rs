use super::*;
use crate::db::jobs::HolderKind;
use crate::db::workers::Staff;
use crate::domain::{ImageState, Status};
use chrono::{DateTime, Utc};
use uuid::Uuid;

pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_secs(1_700_000_000 + seconds).expect("a moment")
}

pub(super) fn story(status: Status) -> Story {
    Story {
        webhooks: Vec::new(),
        job: Job {
            id: 12,
            job_id: Some(Uuid::nil()),
            batch_id: None,
            kind: "photo_generation".to_owned(),
            status,
            team_id: Some("7".to_owned()),
            user_id: None,
            prompt: Some("a red\nbicycle".to_owned()),
            aspect_ratio: None,
            provider: None,
            model: None,
            priority: None,
            images_total: 2,
            images_completed: 1,
            image_urls: None,
            attempts: 1,
            max_attempts: 5,
            retry_at: None,
            expires_at: None,
            locked_by: None,
            error: None,
            error_code: None,
            retry_of: None,
            request_id: None,
            idempotency_key: None,
            metadata: None,
            created_at: Some(at(0)),
            started_at: None,
            completed_at: None,
            updated_at: None,
            steps: None,
            read_at: at(120),
        },
        images: Vec::new(),
        calls: Vec::new(),
        holder: None,
        waits_for: Vec::new(),
        paused: Vec::new(),
        standing: None,
        spooled: Vec::new(),
        staff: Staff::Somebody,
    }
}

fn image(index: i32, state: ImageState) -> Image {
    Image {
        index,
        state,
        storage_key: None,
        mime_type: None,
        bytes: None,
        width: None,
        height: None,
        sha256: None,
        stored_at: None,
        error: None,
        error_code: None,
    }
}

pub(super) fn call(state: &str, ended_at: Option<DateTime<Utc>>, error: Option<&str>) -> Call {
    Call {
        id: Uuid::nil(),
        index: Some(1),
        step: None,
        attempt: 1,
        lease: 1,
        worker: Some("w1@vm".to_owned()),
        account: "default".to_owned(),
        model: "gemini-2.5-flash-image".to_owned(),
        state: state.to_owned(),
        spooled_at: None,
        accepted: None,
        started_at: at(100),
        ended_at,
        provider_request_id: None,
        input_tokens: None,
        output_tokens: None,
        cost_usd: None,
        error: error.map(str::to_owned),
        error_code: None,
    }
}

#[test]
fn a_story_says_what_is_known_and_leaves_out_the_rest() {
    let mut story = story(Status::Completed);
    story.job.started_at = Some(at(60));
    story.job.completed_at = Some(at(110));

    assert_eq!(
        story.lines(),
        [
            "Job 12: completed",
            "  uuid      00000000-0000-0000-0000-000000000000",
            "  type      photo_generation",
            "  prompt    a red bicycle",
            "  images    1 of 2",
            "  tenant    team:7",
            "  attempts  1 of 5",
            "  created   2023-11-14T22:13:20Z (2 min ago)",
            "  started   2023-11-14T22:14:20Z (1 min ago)",
            "  ended     2023-11-14T22:15:10Z (10 s ago), after 50 s",
            "\nStory",
            "  2023-11-14T22:13:20Z  enqueued",
            "  2023-11-14T22:14:20Z  claimed after 1 min",
            "  2023-11-14T22:15:10Z  completed with 1 of 2 images",
            "\nNext",
            "  All is done. 1 of 2 images could not be made; see the errors above.",
        ]
    );
}

#[test]
fn each_image_has_its_line() {
    let stored = Image {
        storage_key: Some("none/a/1-b.png".to_owned()),
        bytes: Some(1_400_000),
        width: Some(1024),
        height: Some(768),
        error: Some("An attempt before.".to_owned()),
        ..image(1, ImageState::Stored)
    };
    let refused = Image {
        error: Some("Not allowed.".to_owned()),
        ..image(2, ImageState::Refused)
    };
    let story = Story {
        images: vec![stored, refused],
        ..story(Status::Completed)
    };

    let lines = story.lines();

    let from = lines.iter().position(|line| line == "\nImages");
    assert_eq!(
        lines[from.expect("images") + 1..][..3],
        [
            "  NO  STATE    PIXELS      SIZE  FILE            ERROR",
            "   1  stored   1024x768  1.4 MB  none/a/1-b.png",
            "   2  refused                                    Not allowed.",
        ]
    );
}

#[test]
fn the_next_step_depends_on_the_state() {
    let check = |change: fn(&mut Story), status: Status, expected: &[&str]| {
        let mut story = story(status);
        change(&mut story);
        let lines = story.lines();
        let from = lines.iter().position(|line| line == "\nNext");
        assert_eq!(lines[from.expect("a next step") + 1..], *expected);
    };

    check(
        |story| story.staff = Staff::Nobody,
        Status::Pending,
        &[
            "  It is due, and waits for a worker with a free place and for quota.",
            "  No worker is running; start one with: safelight worker",
            "  safelight watch 12",
        ],
    );
    check(
        |story| story.staff = Staff::NobodyFor("openai".to_owned()),
        Status::Pending,
        &[
            "  It is due, and waits for a worker with a free place and for quota.",
            "  No running worker has a key of openai; start one with OPENAI_API_KEY set.",
            "  safelight watch 12",
        ],
    );
    check(
        |story| story.job.retry_at = Some(at(160)),
        Status::RateLimited,
        &[
            "  It is tried again in 40 s, at 2023-11-14T22:16:00Z.",
            "  safelight watch 12",
        ],
    );
    check(
        |_| {},
        Status::Processing,
        &[
            "  It is being worked.",
            "  safelight watch 12",
            "  safelight cancel 12",
        ],
    );
    check(
        |story| story.job.images_completed = 2,
        Status::Completed,
        &["  All is done."],
    );
    check(
        |story| story.job.error_code = Some("provider_error".to_owned()),
        Status::Failed,
        &["  To make it again, as a new job:", "  safelight retry 12"],
    );
    check(
        |story| story.job.error_code = Some("moderation_input".to_owned()),
        Status::Failed,
        &[
            "  The provider refuses to make this; enqueue it with another prompt or other pictures. The same again, as a new job:",
            "  safelight retry 12",
        ],
    );
    check(
        |_| {},
        Status::Canceled,
        &[
            "  Somebody canceled it. To make it again, as a new job:",
            "  safelight retry 12",
        ],
    );
}

#[test]
fn a_job_that_runs_says_who_works_it() {
    let held = |label: &str, kind, silent| {
        Some(Holder {
            label: Some(label.to_owned()),
            host: Some("vm".to_owned()),
            kind,
            silent_seconds: Some(silent),
        })
    };
    let next = |holder| {
        let story = Story {
            holder,
            ..story(Status::Processing)
        };
        story.next().swap_remove(0)
    };
    assert_eq!(
        next(held("w1", HolderKind::Worker, 3.0)),
        "It is being worked by w1 on vm."
    );
    assert_eq!(
        next(held("w1", HolderKind::GoneWorker, 40.0)),
        "Its worker w1 on vm has not been heard of for 40 s; a living worker takes the job back."
    );
    assert_eq!(
        next(held("old", HolderKind::OtherProgram, 120.0)),
        "old, some other program, locked it 2 min ago; five minutes after that a worker takes it back."
    );
}

#[test]
fn a_job_that_waits_says_which_accounts_take_no_calls() {
    let hindrance = |account: &str, paused, seconds| Hindrance {
        provider: "gemini".to_owned(),
        account: account.to_owned(),
        model: "pro".to_owned(),
        paused,
        seconds,
        reason: Some("bad_key".to_owned()),
    };
    let story = Story {
        waits_for: vec![
            hindrance("a", true, None),
            hindrance("b", false, Some(90.0)),
            hindrance("c", false, Some(0.0)),
        ],
        ..story(Status::Pending)
    };

    assert_eq!(
        story.next()[1..4],
        [
            "pro is paused by an operator on account a: safelight limits set gemini/a/pro --paused false",
            "pro takes no calls on account b for 1 min 30 s (bad_key).",
            "pro on account c is tried with one job now (bad_key).",
        ]
    );
}

#[test]
fn a_program_gets_the_job_with_its_images_and_calls() {
    let story = Story {
        images: vec![image(1, ImageState::Planned)],
        calls: vec![call("calling", None, None)],
        ..story(Status::RateLimited)
    };

    let value = serde_json::to_value(WithTimeline {
        timeline: timeline::of(&story),
        story,
    })
    .expect("JSON");

    assert_eq!(value["status"], "rate_limited");
    assert_eq!(value["type"], "photo_generation");
    assert_eq!(value["images"][0]["state"], "planned");
    assert_eq!(value["calls"][0]["startedAt"], "2023-11-14T22:15:00Z");
    assert_eq!(value["calls"][0]["worker"], "w1@vm");
    assert_eq!(value["story"][0]["text"], "enqueued");
    assert!(value.get("readAt").is_none() && value.get("workerAlive").is_none());
}

#[test]
fn a_priority_that_nobody_knows_is_shown_as_stored_with_what_it_means() {
    let check = |priority: Option<&str>, expected: Option<&str>| {
        let mut story = story(Status::Pending);
        story.job.priority = priority.map(str::to_owned);
        let lines = story.lines();
        let line = lines.iter().find(|line| line.starts_with("  priority"));
        assert_eq!(line.map(String::as_str), expected);
    };

    check(Some("urgent"), Some("  priority  urgent"));
    check(Some("asap"), Some("  priority  asap (counts as normal)"));
    check(
        Some("URGENT"),
        Some("  priority  URGENT (counts as normal)"),
    );
    check(None, None);
}

#[test]
fn an_expiry_is_told_as_long_as_it_matters() {
    let check = |status: Status, expected: Option<&str>| {
        let mut story = story(status);
        story.job.expires_at = Some(at(160));
        let lines = story.lines();
        let line = lines.iter().find(|line| line.starts_with("  expires"));
        assert_eq!(line.map(String::as_str), expected);
    };

    let soon = Some("  expires   2023-11-14T22:16:00Z (in 40 s)");
    check(Status::Pending, soon);
    check(Status::Processing, soon);
    check(Status::Completed, None);
}

#[test]
fn what_is_paid_for_and_waits_is_told_by_where_it_lies() {
    let waits = |index: i32, worker: &str, error: Option<&str>| Spooled {
        index: Some(index),
        step: None,
        worker: Some(worker.to_owned()),
        since: at(60),
        error: error.map(str::to_owned),
    };
    let story = Story {
        spooled: vec![
            waits(1, "w1@vm", Some("it is\naway")),
            waits(2, "w2@vm", None),
            waits(3, "w1@vm", Some("it is\naway")),
        ],
        ..story(Status::Pending)
    };

    let next = story.next();

    for line in [
        "Images 1, 3 are paid for and wait in the spool of w1@vm until the storage takes them (it is away).",
        "Image 2 is paid for and waits in the spool of w2@vm until the storage takes it.",
    ] {
        assert!(next.iter().any(|told| told == line), "{next:#?}");
    }
}

#[test]
fn the_cost_of_a_job_is_that_of_the_calls_whose_cost_is_known() {
    let costs = |costs: &[Option<f64>]| {
        let calls = costs.iter().map(|cost| Call {
            cost_usd: *cost,
            ..call("stored", Some(at(110)), None)
        });
        let story = Story {
            calls: calls.collect(),
            ..story(Status::Completed)
        };
        let lines = story.lines().into_iter();
        lines
            .filter(|line| line.starts_with("  cost"))
            .collect::<Vec<_>>()
    };

    assert_eq!(
        costs(&[Some(0.038_779), None, Some(0.039)]),
        ["  cost      0.077779 USD for 2 calls"]
    );
    assert_eq!(costs(&[None]), [""; 0]);
}
