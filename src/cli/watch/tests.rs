use super::*;
use uuid::Uuid;

fn job(id: i64, status: Status) -> Progress {
    Progress {
        id,
        job_id: Some(Uuid::nil()),
        status,
        prompt: None,
        images_total: 4,
        images_completed: 0,
        attempts: 0,
        max_attempts: 5,
        error: None,
        error_code: None,
        retry_at: None,
        retry_in_seconds: None,
        elapsed_seconds: 3.0,
    }
}

fn with_error(id: i64, status: Status, retry_in_seconds: Option<f64>) -> Progress {
    Progress {
        error: Some("Too busy.\nTry later.".to_owned()),
        retry_in_seconds,
        ..job(id, status)
    }
}

#[test]
fn the_first_look_tells_every_job_and_later_ones_what_changed() {
    let mut tracker = Tracker::new(&[1, 2]);
    let (one, two) = (job(1, Status::Pending), job(2, Status::Pending));

    let first = tracker.look(vec![one.clone(), two.clone()]);
    let older = Progress {
        elapsed_seconds: 9.0,
        ..one.clone()
    };
    let second = tracker.look(vec![older, two.clone()]);
    let stored = Progress {
        images_completed: 1,
        ..two.clone()
    };
    let third = tracker.look(vec![one.clone(), stored.clone()]);

    assert_eq!(first, [Change::Moved(one), Change::Moved(two)]);
    assert_eq!(second, []);
    assert_eq!(third, [Change::Moved(stored)]);
}

#[test]
fn a_job_that_ended_need_not_be_looked_at_again() {
    let mut tracker = Tracker::new(&[1, 2]);
    tracker.look(vec![job(1, Status::Completed), job(2, Status::Pending)]);
    assert!(tracker.has_ended(1) && !tracker.has_ended(2) && !tracker.all_ended());

    let changes = tracker.look(vec![job(2, Status::Failed)]);

    assert_eq!(changes, [Change::Moved(job(2, Status::Failed))]);
    assert!(tracker.all_ended());
    assert_eq!(tracker.jobs().count(), 2);
}

#[test]
fn a_row_that_is_gone_before_it_ended_was_deleted() {
    let mut tracker = Tracker::new(&[1, 2]);
    tracker.look(vec![job(2, Status::Pending)]);

    let changes = tracker.look(vec![]);

    assert_eq!(changes, [Change::Deleted(2)]);
    assert!(tracker.all_ended());
    assert_eq!(summary(&tracker), "2 jobs: 2 deleted; 0 of 0 images");
    assert!(verdict(&tracker).is_err());
}

#[test]
fn a_job_may_come_into_the_batch_meanwhile() {
    let mut tracker = Tracker::new(&[]);
    tracker.look(vec![job(1, Status::Processing)]);

    let changes = tracker.look(vec![job(1, Status::Processing), job(2, Status::Pending)]);

    assert_eq!(changes, [Change::Moved(job(2, Status::Pending))]);
    assert!(!tracker.all_ended());
}

#[test]
fn a_change_is_one_line() {
    let check = |change: Change, expected: &str| assert_eq!(change.sentence(), expected);
    let moved = Change::Moved;

    check(
        moved(job(12, Status::Processing)),
        "job 12  processing    0/4  3.0 s",
    );
    check(
        moved(with_error(12, Status::RateLimited, Some(30.2))),
        "job 12  rate_limited  0/4  3.0 s  again in 30 s: Too busy. Try later.",
    );
    check(
        moved(with_error(12, Status::Pending, Some(-1.0))),
        "job 12  pending       0/4  3.0 s  Too busy. Try later.",
    );
    check(
        moved(with_error(12, Status::Processing, None)),
        "job 12  processing    0/4  3.0 s",
    );
    check(
        moved(with_error(12, Status::Failed, None)),
        "job 12  failed        0/4  3.0 s  Too busy. Try later.",
    );
    check(Change::Deleted(12), "job 12  deleted");
}

#[test]
fn a_change_is_one_object() {
    let object = |change: Change| serde_json::to_value(change).expect("JSON");

    let moved = object(Change::Moved(with_error(7, Status::RateLimited, None)));

    assert_eq!(moved["id"], 7);
    assert_eq!(moved["status"], "rate_limited");
    assert_eq!(moved["imagesTotal"], 4);
    assert_eq!(
        object(Change::Deleted(7)),
        serde_json::json!({"id": 7, "deleted": true})
    );
}

#[test]
fn only_completed_jobs_are_a_success() {
    let check = |jobs: &[Progress], expected_summary: &str, expected_error: Option<&str>| {
        let mut tracker = Tracker::new(&[]);
        tracker.look(jobs.to_vec());
        assert_eq!(summary(&tracker), expected_summary);
        let error = verdict(&tracker).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), expected_error);
    };
    let completed = Progress {
        images_completed: 3,
        ..job(1, Status::Completed)
    };

    check(
        std::slice::from_ref(&completed),
        "1 job: 1 completed; 3 of 4 images",
        None,
    );
    check(
        &[completed.clone(), job(2, Status::Failed)],
        "2 jobs: 1 completed, 1 failed; 3 of 8 images",
        Some("job 2 ended as failed; safelight show 2 says more"),
    );
    check(
        &[completed, job(2, Status::Failed), job(3, Status::Canceled)],
        "3 jobs: 1 completed, 1 failed, 1 canceled; 3 of 12 images",
        Some("2 jobs did not complete; safelight list --status failed,canceled says more"),
    );
}
