use uuid::Uuid;

use super::*;
use crate::api::signing::Moment;

fn body(text: &str) -> EnqueueBody {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn nobody() -> Owner {
    Owner {
        team_id: None,
        user_id: None,
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_a_code_and_a_sentence() {
    let check = |text: &str, code: &str, words: &str| {
        let error = body(text).check().unwrap_err();
        assert_eq!(error.code(), code, "{text}");
        assert!(error.to_string().contains(words), "{text}: {error}");
    };

    check("{}", "invalid_request", "\"prompt\" is missing");
    check(
        r#"{"prompt": "  "}"#,
        "invalid_request",
        "\"prompt\" is missing",
    );
    check(
        r#"{"prompt": "a", "numImages": 0}"#,
        "invalid_request",
        "1 to 100",
    );
    check(
        r#"{"prompt": "a", "numImages": 101}"#,
        "invalid_request",
        "1 to 100",
    );
    check(
        r#"{"prompt": "a", "maxAttempts": 0}"#,
        "invalid_request",
        "maxAttempts",
    );
    check(
        r#"{"prompt": "a", "expiresInSeconds": 0}"#,
        "invalid_request",
        "expiresInSeconds",
    );
    check(
        r#"{"prompt": "a", "images": ["ftp://a/b"]}"#,
        "invalid_request",
        "http://",
    );
    check(
        r#"{"prompt": "a", "type": "poem"}"#,
        "invalid_request",
        "\"poem\"",
    );
    check(
        r#"{"prompt": "a", "type": "tryon"}"#,
        "invalid_request",
        "POST /api/tryon",
    );
}

#[test]
fn each_type_has_its_fields_and_says_what_it_misses() {
    let check = |text: &str, words: &str| {
        let error = body(text).check().unwrap_err();
        assert_eq!(error.code(), "invalid_request", "{text}");
        assert!(error.to_string().contains(words), "{text}: {error}");
    };

    let not_of_photos = "not for jobs of type photo_generation";
    check(r#"{"prompt": "a", "prompts": ["b"]}"#, not_of_photos);
    check(r#"{"editPrompt": "a"}"#, not_of_photos);
    check(
        r#"{"prompt": "a", "sourceImageUrl": "https://a"}"#,
        not_of_photos,
    );
    let generation = |more: &str| format!(r#"{{"type": "image_generation", {more}}}"#);
    check(
        &generation(r#""prompt": "a", "sourceImageUrl": "https://a""#),
        "or \"type\" image_edit",
    );
    check(
        &generation(r#""prompt": "a", "prompts": ["b"]"#),
        "all but one",
    );
    check(&generation(r#""prompts": []"#), "a text for each image");
    check(
        &generation(r#""prompts": ["a", " "]"#),
        "none of them empty",
    );
    check(&generation(r#""numImages": 2"#), "\"prompt\" is missing");
    let edit = |more: &str| format!(r#"{{"type": "image_edit", {more}}}"#);
    check(
        &edit(r#""editPrompt": "a""#),
        "\"sourceImageUrl\" is missing",
    );
    check(
        &edit(r#""editPrompt": "a", "images": []"#),
        "\"sourceImageUrl\" is missing",
    );
    check(
        &edit(r#""sourceImageUrl": "https://a""#),
        "\"prompt\" is missing",
    );
    check(
        &edit(r#""sourceImageUrl": "https://a", "editPrompt": "a", "prompt": "a""#),
        "all but one",
    );
    check(
        &edit(r#""sourceImageUrl": "me.jpg", "editPrompt": "a""#),
        "names of uploads",
    );
}

#[test]
fn an_edit_has_its_source_before_all_other_pictures() {
    let job = body(
        r#"{"type": "image_edit", "sourceImageUrl": "https://a/1", "images": ["https://a/2"],
            "editPrompt": "make the sky red", "numImages": 2}"#,
    );
    job.check().unwrap();
    let job = job.new_job(nobody()).unwrap();

    assert_eq!(job.kind, Some(JobType::ImageEdit));
    assert_eq!(job.prompt, "make the sky red");
    assert_eq!(job.pictures, ["https://a/1", "https://a/2"]);
    assert_eq!(job.wanted(), 2);
    let claimed = job.as_claimed("gemini-2.5-flash-image");
    assert_eq!(claimed.payload.as_deref(), Some(r#"{"numImages":2}"#));
    assert_eq!(Request::parse(&claimed).unwrap().images, 2);
}

#[test]
fn what_only_a_worker_could_tell_is_told_in_the_words_of_the_body() {
    let job = body(r#"{"type": "image_generation", "prompts": ["a", "b"], "numImages": 3}"#);
    job.check().unwrap();
    let job = job.new_job(nobody()).unwrap();
    let error = Request::parse(&job.as_claimed("gemini-2.5-flash-image")).unwrap_err();

    assert_eq!(
        in_our_words(&error.to_string()),
        "\"numImages\" is 3, but \"prompts\" holds 2 texts, one for each image; leave \"numImages\" out."
    );
}

#[test]
fn a_webhook_is_a_url_that_can_be_read_on_a_server_that_signs() {
    #[track_caller]
    fn check(url: &str, sends_webhooks: bool, expected: Option<(&str, &str)>) {
        let body: EnqueueBody =
            serde_json::from_value(json!({"prompt": "a", "webhookUrl": url})).expect("a body");

        let refused = check_webhook(body.webhook_url.as_deref(), sends_webhooks).err();

        let told = refused
            .as_ref()
            .map(|error| (error.code(), error.to_string()));
        let told = told.as_ref().map(|(code, text)| (*code, text.as_str()));
        match (told, expected) {
            (None, None) => {}
            (Some((code, text)), Some((expected, part))) => {
                assert_eq!(code, expected, "{url}");
                assert!(text.contains(part), "{text}");
                assert!(!text.contains("s3cret"), "{text}");
            }
            other => panic!("{url}: {other:?}"),
        }
    }

    check("https://a.example/hook?key=1", true, None);
    // Whether http leads to a host that is allowed, the worker knows.
    check("http://receiver.internal:8080/", true, None);
    let invalid = "invalid_request";
    check("a.example/hook", true, Some((invalid, "cannot be read")));
    check("ftp://a.example/", true, Some((invalid, "https://")));
    check(
        "https://user:s3cret@a.example/",
        true,
        Some((invalid, "password")),
    );
    let long = format!("https://a.example/{}", "x".repeat(9000));
    check(&long, true, Some((invalid, "8192")));
    check(
        "https://a.example/",
        false,
        Some(("webhooks_unavailable", "WEBHOOK_SECRET")),
    );
}

#[test]
fn a_field_that_is_misspelled_is_not_ignored() {
    let read = serde_json::from_str::<EnqueueBody>(r#"{"prompt": "a", "numImage": 1}"#);

    assert!(read.unwrap_err().to_string().contains("numImage"));
}

#[test]
fn settings_say_how_whatever_the_type_and_what_stands_beside_them_goes_before() {
    for kind in ["photo_generation", "image_generation"] {
        let wishes = format!(
            r#"{{"prompt": "a", "type": "{kind}", "quality": "low",
                 "settings": {{"quality": "high", "outputFormat": "webp"}}}}"#
        );
        let payload = body(&wishes).new_job(nobody()).unwrap().payload.unwrap();
        assert_eq!(
            (&payload["quality"], &payload["outputFormat"]),
            (&json!("low"), &json!("webp")),
            "{kind}"
        );
    }
}

#[test]
fn what_has_no_column_goes_into_the_payload_and_settings_say_the_ratio() {
    let job = body(
        r#"{"prompt": "a", "imageSize": "2K", "clientId": "c", "productIds": ["p"],
            "settings": {"aspectRatio": "16:9"}, "metadata": {"n": 1e400}}"#,
    );
    let job = job.new_job(nobody()).unwrap();

    assert_eq!(job.aspect_ratio.as_deref(), Some("16:9"));
    assert_eq!(
        job.payload.unwrap(),
        json!({"imageSize": "2K", "clientId": "c", "productIds": ["p"],
               "settings": {"aspectRatio": "16:9"}})
    );
    // Letter by letter.
    assert_eq!(job.metadata.unwrap().as_str(), r#"{"n": 1e400}"#);
}

#[test]
fn only_a_service_names_whose_a_job_is() {
    let seven = || Some(Id::Number(7));
    let check = |caller: Caller, team: Option<Id>, user: Option<Id>, tenant: Option<&str>| {
        let owner = Owner::of(&caller, team.as_ref(), user.as_ref());
        let found = owner.ok().map(|owner| owner.tenant().as_str().to_owned());
        assert_eq!(found.as_deref(), tenant, "{caller:?} {team:?} {user:?}");
    };
    let team = || Caller::Team("7".to_owned());
    let user = || Caller::User("7".to_owned());

    check(Caller::Service, None, None, Some("none"));
    check(Caller::Service, seven(), None, Some("team:7"));
    check(Caller::Service, None, seven(), Some("user:7"));
    check(team(), None, None, Some("team:7"));
    check(team(), seven(), None, Some("team:7"));
    check(team(), Some(Id::Text("8".to_owned())), None, None);
    check(team(), None, seven(), None);
    check(user(), None, None, Some("user:7"));
    check(user(), seven(), None, None);
    let viewer = Caller::Viewer {
        job: Uuid::nil(),
        end: Moment(0),
    };
    check(viewer, None, None, None);
}

#[test]
fn a_workers_sentence_is_told_in_the_words_of_the_body() {
    assert_eq!(
        in_our_words("\"imageSize\" in \"payload\" must be a text such as \"2K\"."),
        "\"imageSize\" must be a text such as \"2K\"."
    );
}
