use super::*;
use crate::domain::{ImageState, Status};
use chrono::{DateTime, Utc};
use uuid::Uuid;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_secs(1_700_000_000 + seconds).expect("a moment")
}

fn story(status: Status) -> Story {
    Story {
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
            read_at: at(120),
        },
        images: Vec::new(),
        calls: Vec::new(),
        worker_alive: true,
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
        error: None,
    }
}

fn call(state: &str, ended_at: Option<DateTime<Utc>>, error: Option<&str>) -> Call {
    Call {
        index: Some(1),
        attempt: 1,
        account: "default".to_owned(),
        model: "gemini-2.5-flash-image".to_owned(),
        state: state.to_owned(),
        accepted: None,
        started_at: at(100),
        ended_at,
        error: error.map(str::to_owned),
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
fn each_call_has_its_line() {
    let story = Story {
        calls: vec![
            call("error", Some(at(103)), Some("Overloaded.")),
            call("calling", None, None),
        ],
        ..story(Status::Processing)
    };

    let lines = story.lines();

    let from = lines.iter().position(|line| line == "\nCalls");
    assert_eq!(
        lines[from.expect("calls") + 1..][..3],
        [
            "  IMAGE  TRY  MODEL                   ACCOUNT  STATE    BEGAN     TOOK         ERROR",
            "      1    1  gemini-2.5-flash-image  default  error    20 s ago  3.0 s        Overloaded.",
            "      1    1  gemini-2.5-flash-image  default  calling  20 s ago  20 s so far",
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
        |story| story.worker_alive = false,
        Status::Pending,
        &[
            "  It is due, and waits for a worker with a free place and for quota.",
            "  No worker is running; start one with: safelight worker",
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
fn a_program_gets_the_job_with_its_images_and_calls() {
    let story = Story {
        images: vec![image(1, ImageState::Planned)],
        calls: vec![call("calling", None, None)],
        ..story(Status::RateLimited)
    };

    let value = serde_json::to_value(&story).expect("JSON");

    assert_eq!(value["status"], "rate_limited");
    assert_eq!(value["type"], "photo_generation");
    assert_eq!(value["images"][0]["state"], "planned");
    assert_eq!(value["calls"][0]["startedAt"], "2023-11-14T22:15:00Z");
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
