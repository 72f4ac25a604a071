use std::time::Duration;

use super::*;
use crate::db::demo::Photo;
use crate::domain::Status;

fn row(id: i64, status: &str, error: Option<&str>) -> QueueRow {
    QueueRow {
        id,
        status: status.to_owned(),
        images: Some("4 of 4".to_owned()),
        attempts: Some(0),
        error: error.map(str::to_owned),
        took: Some("3.1 s".to_owned()),
    }
}

#[test]
fn the_table_has_a_line_for_each_job() {
    let rows = [
        row(9, "completed", None),
        row(10, "failed", Some("image 2 refused")),
    ];

    assert_eq!(
        queue_table(&rows),
        [
            "id  status     images  attempts  error             took",
            " 9  completed  4 of 4         0                   3.1 s",
            "10  failed     4 of 4         0  image 2 refused  3.1 s",
        ]
    );
}

fn job(states: &[ImageState], limited: i64) -> Job {
    let images = states.iter().zip(1..).map(|(&state, index)| Image {
        index,
        state,
        photo: (state == ImageState::Stored).then(|| Photo {
            key: "none/a/1.png".to_owned(),
            bytes: 1,
            width: 1,
            height: 1,
            took: None,
        }),
        error: (state == ImageState::Refused).then(|| "Too wild.".to_owned()),
    });
    Job {
        id: 7,
        batch_id: Some(1),
        status: Status::Completed,
        prompt: "a lake".to_owned(),
        aspect_ratio: None,
        error: None,
        created_at: None,
        retry_in: None,
        elapsed: Duration::ZERO,
        limited,
        images: images.collect(),
    }
}

#[test]
fn what_went_otherwise_than_wished_is_said_in_words() {
    let seen = BTreeSet::from([7]);
    let unseen = BTreeSet::new();
    let stored = [ImageState::Stored];
    let refused = [ImageState::Stored, ImageState::Refused];
    let check = |states: &[ImageState], limited, seen: &BTreeSet<JobId>, expected: &str| {
        let sentences = what_happened(&[job(states, limited)], seen);
        assert_eq!(sentences.len(), 1, "{sentences:?}");
        assert!(sentences[0].starts_with(expected), "{sentences:?}");
    };

    check(&stored, 0, &unseen, "Every photo came at the first call.");
    check(
        &stored,
        1,
        &seen,
        "Job 7 met a 429 (too many requests): it was rate_limited",
    );
    check(&stored, 1, &unseen, "Job 7 met a 429 that was short enough");
    check(
        &refused,
        0,
        &unseen,
        "Job 7, image 2: refused for good. Too wild.",
    );
    let all = [ImageState::Refused, ImageState::Refused];
    check(
        &all,
        0,
        &unseen,
        "Job 7, images 1, 2: refused for good. Too wild.",
    );
}
