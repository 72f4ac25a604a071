//! Storage and provider: what does not need the database.

use safelight::providers::simulator::DEFAULT_KEY;

use super::{SECRET, examine, healthy};
use crate::harness::{Bucket, Supabase};

#[tokio::test]
async fn a_storage_that_cannot_be_used_is_told() {
    let stage = healthy().await;
    std::fs::write(stage.photos().join("file"), "a file").unwrap();
    let below_a_file = format!("local:{}/file/photos", stage.photos().display());
    for (storage, seen, mend) in [
        (below_a_file.as_str(), "cannot be used", "sudo mkdir -p"),
        (
            "s3://bucket/prefix",
            "S3_ACCESS_KEY_ID is not set",
            "export S3_ACCESS_KEY_ID=",
        ),
        ("somewhere", "is not a storage", "STORAGE=local:./photos"),
    ] {
        let report = examine(&stage, &["--storage", storage]).await;

        report.assert_fails_only(&["storage"]);
        report.assert_is("storage", "fail", seen);
        report.line("storage").assert_says(mend);
    }
    let project = ["--supabase-url", "https://project.supabase.co"];
    let report = examine(&stage, &project).await;
    report.assert_is("inputs", "fail", "no key for its storage");
    report
        .line("inputs")
        .assert_says("export SUPABASE_SERVICE_ROLE_KEY=");
}

#[tokio::test]
async fn a_storage_that_is_not_there_yet_is_not_made() {
    let stage = healthy().await;

    let report = examine(&stage, &["--storage", "local:./new/photos"]).await;

    let place = stage.photos().join("new/photos");
    report.assert_is("storage", "ok", &place.display().to_string());
    assert!(!stage.photos().join("new").exists());
}

#[tokio::test]
async fn keys_are_tried_without_paying() {
    let stage = healthy().await;
    let key_of = |key: &str| vec!["--gemini-api-key".to_owned(), key.to_owned()];
    let base = |url: &str| vec!["--gemini-base-url".to_owned(), url.to_owned()];
    let elsewhere = format!("{}/elsewhere", stage.simulator.base_url());
    for (arguments, seen, mend) in [
        (
            key_of(""),
            "no key is set",
            "https://aistudio.google.com/apikey",
        ),
        (
            key_of(SECRET),
            "account default: bad_key: API key not valid",
            "GEMINI_API_KEY=",
        ),
        (key_of("not a key"), "is not a key", "GEMINI_API_KEYS="),
        (
            base("http://127.0.0.1:9"),
            "cannot be reached",
            "curl -sS -o /dev/null http://127.0.0.1:9",
        ),
        (
            base("127.0.0.1"),
            "GEMINI_BASE_URL is not a URL",
            "export GEMINI_BASE_URL=https",
        ),
        (base(&elsewhere), "model_gone", "GEMINI_BASE_URL"),
    ] {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();

        let report = examine(&stage, &arguments).await;

        report.assert_fails_only(&["provider"]);
        report.assert_is("provider", "fail", seen);
        report.line("provider").assert_says(mend);
    }
    assert!(stage.simulator.log().is_empty());
}

#[tokio::test]
async fn every_account_has_a_line_and_a_bad_key_among_good_ones_is_found() {
    let stage = healthy().await;
    let keys = format!("good:{DEFAULT_KEY},bad:{SECRET},bad:{SECRET}-too");

    let report = examine(&stage, &["--gemini-api-keys", &keys]).await;

    report.assert_fails_only(&["provider"]);
    let lines = report.lines("provider");
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert_eq!(
        (lines[0].level.as_str(), lines[1].level.as_str()),
        ("ok", "fail")
    );
    assert!(
        lines[1]
            .seen
            .starts_with("account bad, key 1 of 2: bad_key"),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn the_keys_of_both_providers_are_tried_each_at_its_own() {
    let stage = healthy().await;
    let address = format!("--openai-base-url={}", stage.simulator.base_url());
    let with_key = async |key: &str| {
        let key = format!("--openai-api-key={key}");
        examine(&stage, &[&key, &address]).await
    };

    let report = with_key(DEFAULT_KEY).await;
    report.assert_fails_only(&[]);
    let lines = report.lines("provider");
    assert_eq!(
        lines
            .iter()
            .map(|line| line.seen.as_str())
            .collect::<Vec<_>>(),
        [
            "account default of Gemini: the key is accepted, and gemini-2.5-flash-image is there",
            "account default of OpenAI: the key is accepted, and gpt-image-1.5 is there",
        ]
    );

    let report = with_key(SECRET).await;
    report.assert_fails_only(&["provider"]);
    let lines = report.lines("provider");
    assert!(
        lines[1]
            .seen
            .starts_with("account default of OpenAI: bad_key"),
        "{lines:#?}"
    );
    lines[1].assert_says("export OPENAI_API_KEY=KEY");
    lines[1].assert_says("https://platform.openai.com/api-keys");
    assert!(stage.simulator.log().is_empty());
}

#[tokio::test]
async fn a_default_model_that_the_provider_does_not_have_is_found() {
    let stage = healthy().await;
    stage
        .sql("UPDATE photo_generation_settings SET value = 'gemini-9-flash-image' WHERE key = 'defaultModel.gemini'")
        .await;

    let report = examine(&stage, &[]).await;

    report.assert_fails_only(&["provider"]);
    report.assert_is("provider", "fail", "model_gone");
    let mend = "GEMINI_MODEL_NAME=gemini-2.5-flash-image safelight migrate";
    report.line("provider").assert_says(mend);
}

#[tokio::test]
async fn a_storage_elsewhere_is_written_read_and_left_as_it_was() {
    let stage = healthy().await;
    let (bucket, supabase) = (Bucket::start().await, Supabase::start().await);
    for (arguments, place) in [
        (bucket.arguments(), "s3://photos/app at http://127.0.0.1:"),
        (
            supabase.arguments(),
            "the bucket photos of http://127.0.0.1:",
        ),
    ] {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();

        let report = examine(&stage, &arguments).await;

        report.assert_fails_only(&[]);
        report.assert_is("storage", "ok", place);
    }
    assert_eq!(std::fs::read_dir(bucket.objects()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_storage_elsewhere_that_does_not_work_is_told_with_what_mends_it() {
    let stage = healthy().await;
    let (bucket, supabase) = (Bucket::start().await, Supabase::start().await);
    let without_key = [
        bucket.arguments(),
        vec!["--s3-access-key-id=nobody".to_owned()],
    ];
    let wrong_key = Supabase::arguments_at(supabase.address, "sb_secret_wrong");
    let no_bucket = [
        bucket.arguments(),
        vec!["--storage=s3://nowhere".to_owned()],
    ];
    for (arguments, seen, mend) in [
        (
            replaced(&without_key.concat()),
            "does not know the key",
            "S3_ENDPOINT",
        ),
        (
            wrong_key,
            "does not take the key",
            "SUPABASE_SERVICE_ROLE_KEY",
        ),
        (
            replaced(&no_bucket.concat()),
            "no bucket nowhere",
            "STORAGE",
        ),
    ] {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();

        let report = examine(&stage, &arguments).await;

        report.assert_fails_only(&["storage"]);
        report.assert_is("storage", "fail", seen);
        report.line("storage").assert_says(mend);
        let said = format!("{report:?}");
        assert!(!said.contains(Bucket::SECRET), "{said}");
    }

    bucket.stop().await;
    let arguments = bucket.arguments();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let report = examine(&stage, &arguments).await;
    report.assert_is("storage", "fail", "refused");
    report.line("storage").assert_says("curl");
}

/// With the last of each argument only.
fn replaced(arguments: &[String]) -> Vec<String> {
    let name = |argument: &String| argument.split_once('=').unwrap().0.to_owned();
    let mut last = std::collections::BTreeMap::new();
    for argument in arguments {
        last.insert(name(argument), argument.clone());
    }
    last.into_values().collect()
}
