use std::time::Duration;

use super::*;

fn image(index: i32, state: ImageState) -> Image {
    Image {
        index,
        state,
        photo: None,
        error: None,
    }
}

fn photo(index: i32) -> Image {
    Image {
        photo: Some(Photo {
            key: format!("user=3A7/job/{index}-call.png"),
            bytes: 1_500_000,
            width: 1248,
            height: 832,
            took: Some(Duration::from_millis(1234)),
        }),
        ..image(index, ImageState::Stored)
    }
}

fn job(id: i64, batch_id: Option<i64>, images: Vec<Image>) -> Job {
    Job {
        id,
        batch_id,
        status: Status::Processing,
        prompt: "a lake".to_owned(),
        aspect_ratio: Some("16:9".to_owned()),
        error: None,
        created_at: None,
        retry_in: None,
        elapsed: Duration::ZERO,
        limited: 0,
        images,
    }
}

#[test]
fn text_of_strangers_cannot_leave_its_place() {
    let check = |text: &str, expected: &str| assert_eq!(escape(text), expected);

    check("a lake", "a lake");
    check("<script>", "&lt;script&gt;");
    check("\" onload='x'", "&quot; onload=&#39;x&#39;");
    check("&amp;", "&amp;amp;");
}

#[test]
fn a_prompt_is_escaped_wherever_it_stands() {
    let mut hostile = job(1, None, vec![photo(1)]);
    hostile.prompt = "<b>\"x\" [sim:<i>@1] [sim:<u>".to_owned();
    hostile.aspect_ratio = Some("<1>:1".to_owned());
    hostile.error = Some("<p>".to_owned());

    let page = page(&[hostile], Moment::Done);

    for tag in ["<b>\"", "<i>@", "<u>", "<1>"] {
        assert!(!page.contains(tag), "{tag}");
    }
}

#[test]
fn a_marker_is_set_apart_from_what_is_drawn() {
    let check = |text: &str, expected: &str| assert_eq!(prompt(text), expected);

    check("a lake", "a lake");
    check(
        "a lake [sim:500@1] now",
        "a lake <code>[sim:500@1]</code> now",
    );
    check("a [sim:x", "a <code>[sim:x]</code>");
}

#[test]
fn photos_are_linked_beside_the_sheet_with_size_and_time() {
    let page = page(&[job(3, Some(1), vec![photo(1)])], Moment::Done);

    assert!(
        page.contains("<img src=\"photos/user=3A7/job/1-call.png\""),
        "{page}"
    );
    assert!(page.contains("1248 × 832"), "{page}");
    assert!(page.contains("1234 ms"), "{page}");
    assert!(page.contains("--w:1248;--h:832"), "{page}");
}

#[test]
fn the_browser_looks_again_only_while_photos_arrive() {
    let jobs = [job(1, Some(1), vec![image(1, ImageState::Planned)])];

    assert!(page(&jobs, Moment::Live).contains("http-equiv=\"refresh\""));
    assert!(!page(&jobs, Moment::Done).contains("http-equiv=\"refresh\""));
    assert!(page(&jobs, Moment::Done).contains("href=\"photos.zip\""));
}

#[test]
fn every_state_of_an_image_has_its_frame() {
    let check = |state, status, class: &str, note: &str| {
        let mut image = image(1, state);
        image.error = Some("Because.".to_owned());
        let mut job = job(1, Some(1), vec![image]);
        job.status = status;
        let page = page(&[job], Moment::Live);
        assert!(
            page.contains(&format!("<figure class=\"{class}\">")),
            "{state} {status}"
        );
        assert!(
            page.contains(&format!("<span>{note}</span>")),
            "{state} {status}"
        );
        let says_why = matches!(class, "refused" | "failed");
        assert_eq!(page.contains("<p>Because.</p>"), says_why, "{state}");
    };

    check(ImageState::Planned, Status::Pending, "waiting", "waiting");
    check(
        ImageState::Calling,
        Status::Processing,
        "calling",
        "developing",
    );
    check(ImageState::Refused, Status::Completed, "refused", "refused");
    check(ImageState::Failed, Status::Failed, "failed", "failed");
    check(
        ImageState::Ambiguous,
        Status::Completed,
        "failed",
        "ambiguous",
    );
    check(ImageState::Planned, Status::Canceled, "never", "not made");
}

#[test]
fn the_newest_batch_comes_first_and_its_jobs_in_their_order() {
    let jobs = [
        job(4, Some(2), Vec::new()),
        job(3, Some(2), Vec::new()),
        job(2, None, Vec::new()),
        job(1, Some(1), Vec::new()),
    ];

    let page = page(&jobs, Moment::Done);

    let order: Vec<usize> = [
        "Batch 2",
        "job 3<",
        "job 4<",
        "Rows of their own",
        "job 2<",
        "Batch 1",
    ]
    .iter()
    .map(|text| {
        page.find(text)
            .unwrap_or_else(|| panic!("{text} is missing"))
    })
    .collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn a_frame_without_photo_has_the_shape_that_was_asked_for() {
    let check = |ratio: Option<&str>, expected: (i32, i32)| {
        let mut job = job(1, None, vec![image(1, ImageState::Planned)]);
        job.aspect_ratio = ratio.map(str::to_owned);
        assert_eq!(shape(&job), expected, "{ratio:?}");
    };

    check(Some("16:9"), (16, 9));
    check(Some(" 3:4 "), (3, 4));
    check(Some("1:0"), (1, 1));
    check(Some("wide"), (1, 1));
    check(None, (1, 1));
}

#[test]
fn the_sheet_is_replaced_whole_and_only_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.html");
    let mut sheet = Sheet::new(&path);
    let jobs = [job(1, Some(1), vec![photo(1)])];

    sheet.write(&jobs, Moment::Live).unwrap();
    fs::remove_file(&path).unwrap();
    sheet.write(&jobs, Moment::Live).unwrap();
    assert!(!path.exists());

    sheet.write(&jobs, Moment::Done).unwrap();
    assert!(path.exists());
    let files = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 1, "a temporary file was left");
}
