use chrono::TimeZone as _;

use super::*;

fn due(id: i64, status: Status, day: u32, photos: i64) -> Due {
    Due {
        id,
        status,
        ended_at: Utc.with_ymd_and_hms(2026, 1, day, 3, 4, 5).unwrap(),
        photos,
        bytes: photos * 1_000_000,
    }
}

#[test]
fn what_goes_is_told_in_sentences() {
    let check = |found: &Found, objects: bool, expected: &str| {
        let key = "photos_job_fkey of public.photos".to_owned();
        assert_eq!(found.sentences(objects, &[key]), expected);
    };
    let mut found = Found::default();
    check(&found, true, "No job is old enough to be pruned.");
    found.add(due(1, Status::Failed, 9, 0));
    check(
        &found,
        true,
        "1 job to be pruned: 1 failed. The oldest ended on 2026-01-09.",
    );
    found.add(due(2, Status::Completed, 7, 1));
    found.add(due(3, Status::Completed, 8, 2));
    check(
        &found,
        true,
        "3 jobs to be pruned: 2 completed, 1 failed. The oldest ended on 2026-01-07. 3 photos (3.0 MB) go \
         from the storage, too.",
    );
    found.referred_to = 2;
    check(
        &found,
        false,
        "3 jobs to be pruned: 2 completed, 1 failed. The oldest ended on 2026-01-07. 3 photos (3.0 MB) \
         stay in the storage; --objects removes them. 2 more jobs are old enough and stay, because rows of \
         your app refer to them: photos_job_fkey of public.photos.",
    );
}

#[test]
fn what_became_of_them_is_told_with_what_was_left() {
    let mut pruner = Pruner::new(prune::Retention::default(), Referrers::default());
    pruner.removed = 1;
    assert_eq!(told(&pruner, 1, 0), "1 job is pruned.");

    pruner.removed = 7;
    pruner.retention.objects = true;
    assert_eq!(
        told(&pruner, 10, 1),
        "7 jobs are pruned. With them 1 batch without jobs. The workers remove their photos from the \
         storage within minutes. 3 had changed meanwhile or are held by somebody, and are left alone."
    );
}
