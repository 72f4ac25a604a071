use super::report::Done;
use super::*;
use crate::db::jobs::Retried;
use clap::Parser;
use uuid::Uuid;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    act: ActArgs,
}

fn parsed(arguments: &str) -> Result<ActArgs, clap::Error> {
    let words = std::iter::once("cancel").chain(arguments.split_whitespace());
    Line::try_parse_from(words).map(|line| line.act)
}

fn job(id: i64, status: Status) -> Selected {
    Selected {
        id,
        job_id: Some(Uuid::from_u128(u128::try_from(id).expect("positive"))),
        status,
    }
}

#[test]
fn jobs_are_named_or_searched_for_never_both_never_neither() {
    let check = |arguments: &str, is_right: bool| {
        let result = parsed(arguments);
        assert_eq!(result.is_ok(), is_right, "{arguments}: {result:?}");
        if let Err(error) = result {
            assert_eq!(error.exit_code(), 2, "{arguments}");
        }
    };

    check("12", true);
    check("12 00000000-0000-0000-0000-000000000001", true);
    check(
        "--status failed,canceled --code moderation_input --since 2h --batch 7",
        true,
    );
    check("--batch 7 --yes --json", true);
    check("", false);
    check("--yes", false);
    check("12 --status failed", false);
    check("twelve", false);
    check("--status done", false);
    check("--since soon", false);
}

#[test]
fn a_search_that_names_no_state_is_about_those_that_the_action_is_for() {
    let check = |action: Action, expected: &[Status]| {
        let selection = parsed("--batch 7")
            .expect("a search")
            .choice
            .selection(action);
        assert_eq!(selection.statuses, expected);
        assert_eq!(selection.batch_id, Some(7));
    };

    check(
        Action::Cancel,
        &[Status::Pending, Status::Processing, Status::RateLimited],
    );
    check(Action::Retry, &[Status::Failed]);
}

#[test]
fn an_action_is_refused_to_jobs_in_other_states() {
    let check = |action: Action, status: Status, expected: Option<&str>| {
        let refusal = (!action.can_be_done_to(status)).then(|| action.refusal("job 1", status));
        assert_eq!(refusal.as_deref(), expected);
    };
    let not_retried =
        |status: &str| format!("job 1 is {status}; only failed and canceled jobs can be retried");

    check(Action::Cancel, Status::Pending, None);
    check(Action::Cancel, Status::Processing, None);
    check(Action::Cancel, Status::RateLimited, None);
    check(
        Action::Cancel,
        Status::Completed,
        Some("job 1 has ended already (completed)"),
    );
    check(
        Action::Cancel,
        Status::Failed,
        Some("job 1 has ended already (failed)"),
    );
    check(
        Action::Cancel,
        Status::Canceled,
        Some("job 1 has ended already (canceled)"),
    );
    check(
        Action::Retry,
        Status::Pending,
        Some(&not_retried("pending")),
    );
    check(
        Action::Retry,
        Status::Processing,
        Some(&not_retried("processing")),
    );
    check(
        Action::Retry,
        Status::RateLimited,
        Some(&not_retried("rate_limited")),
    );
    check(
        Action::Retry,
        Status::Completed,
        Some(&not_retried("completed")),
    );
    check(Action::Retry, Status::Failed, None);
    check(Action::Retry, Status::Canceled, None);
}

#[test]
fn each_job_is_told_what_became_of_it() {
    let jobs = [job(1, Status::Pending), job(2, Status::Processing)];

    let reports = Done::Canceled([1].into()).reports(&jobs);

    assert_eq!(
        serde_json::to_value(&reports).expect("JSON"),
        serde_json::json!([
            {"job": "1", "id": 1, "jobId": "00000000-0000-0000-0000-000000000001",
             "status": "canceled", "error": null},
            {"job": "2", "id": 2, "jobId": "00000000-0000-0000-0000-000000000002",
             "status": null, "error": "job 2 has changed since it was counted"},
        ])
    );
    assert_eq!(reports[0].sentence(Action::Cancel), "Job 1 is canceled.");
}

#[test]
fn a_retry_tells_the_new_job_of_each_old_one() {
    let jobs = [job(1, Status::Failed), job(2, Status::Canceled)];
    let again = |id: i64, original: &Selected| Retried {
        id,
        job_id: Uuid::nil(),
        original: original.job_id,
        status: Status::Pending,
        created_at: None,
    };

    let reports = Done::Retried(vec![again(8, &jobs[1]), again(9, &jobs[0])]).reports(&jobs);

    assert_eq!(
        reports[0].sentence(Action::Retry),
        "Job 1 runs again as job 9.\n  next  safelight watch 9"
    );
    assert_eq!(
        serde_json::to_value(&reports[1]).expect("JSON"),
        serde_json::json!(
            {"job": "2", "id": 2, "jobId": "00000000-0000-0000-0000-000000000002",
             "status": "canceled", "error": null,
             "retriedAs": {"id": 8, "jobId": "00000000-0000-0000-0000-000000000000"}}
        )
    );
}
