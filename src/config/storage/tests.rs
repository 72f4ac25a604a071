use clap::Parser;

use super::*;
use crate::storage::S3Settings;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    storage: StorageArgs,
}

/// With these settings, as `name=value`.
fn settings(set: &[&str]) -> Result<StorageSettings, ConfigError> {
    let options = set.iter().map(|text| {
        let (name, value) = text.split_once('=').expect("name=value");
        format!("--{}={value}", name.to_lowercase().replace('_', "-"))
    });
    let arguments = Arguments::parse_from(std::iter::once("worker".to_owned()).chain(options));
    arguments.storage.settings()
}

#[track_caller]
fn s3(set: &[&str]) -> S3Settings {
    match settings(set) {
        Ok(StorageSettings::S3(settings)) => settings,
        other => panic!("{set:?}: {other:?}"),
    }
}

/// A bucket with its keys by one kind of names.
fn with_keys<'a>(prefix: &str, more: &[&'a str]) -> Vec<&'a str> {
    let keys: &[&str] = match prefix {
        "S3" => &["S3_ACCESS_KEY_ID=id-s3", "S3_SECRET_ACCESS_KEY=secret-s3"],
        "R2" => &["R2_ACCESS_KEY_ID=id-r2", "R2_SECRET_ACCESS_KEY=secret-r2"],
        _ => &[
            "AWS_ACCESS_KEY_ID=id-aws",
            "AWS_SECRET_ACCESS_KEY=secret-aws",
        ],
    };
    keys.iter().chain(more).copied().collect()
}

const BUCKET: &str = "STORAGE=s3://assets/app";
const R2_ENDPOINT: &str = "R2_ENDPOINT=https://acc.r2.cloudflarestorage.com";

#[test]
fn a_bucket_is_at_aws_unless_an_endpoint_is_named() {
    let check = |more: &[&str], endpoint: Option<&str>, region: &str| {
        let found = s3(&with_keys("S3", &[&[BUCKET], more].concat()));
        let url = found.endpoint.as_ref().map(Url::as_str);
        assert_eq!((url, found.region.as_str()), (endpoint, region), "{more:?}");
        assert_eq!((&*found.bucket, &*found.prefix), ("assets", "app"));
    };

    check(&[], None, "us-east-1");
    check(&["S3_REGION=eu-west-1"], None, "eu-west-1");
    check(&["AWS_REGION=eu-west-1"], None, "eu-west-1");
    check(
        &["S3_REGION=eu-west-1", "AWS_REGION=eu-west-2"],
        None,
        "eu-west-1",
    );
    let minio = "S3_ENDPOINT=http://minio:9000";
    check(&[minio], Some("http://minio:9000/"), "auto");
    // That of another service.
    check(
        &[minio, "AWS_REGION=eu-west-1"],
        Some("http://minio:9000/"),
        "auto",
    );
    let supabase = "https://abc.storage.supabase.co/storage/v1/s3";
    check(
        &[&format!("S3_ENDPOINT={supabase}"), "S3_REGION=eu-west-1"],
        Some(supabase),
        "eu-west-1",
    );
}

#[test]
fn the_names_of_r2_are_enough() {
    let found = s3(&with_keys(
        "R2",
        &[
            R2_ENDPOINT,
            "R2_BUCKET_NAME=assets",
            "R2_PUBLIC_URL=https://cdn.example.com",
            // Does not win over a bucket that is named.
            "SUPABASE_URL=https://abc.supabase.co",
        ],
    ));

    assert_eq!((&*found.bucket, &*found.prefix), ("assets", ""));
    assert_eq!(found.access_key_id, "id-r2");
    assert_eq!(found.region, "auto");
    let urls = [found.endpoint, found.public_url].map(|url| url.map(String::from));
    assert_eq!(
        urls,
        [
            Some("https://acc.r2.cloudflarestorage.com/".to_owned()),
            Some("https://cdn.example.com/".to_owned())
        ]
    );
    let found = s3(&with_keys("R2", &[BUCKET, "R2_ACCOUNT_ID=acc"]));
    let url = found.endpoint.map(String::from);
    assert_eq!(
        url.as_deref(),
        Some("https://acc.r2.cloudflarestorage.com/")
    );
}

#[test]
fn storage_wins_over_the_bucket_of_r2() {
    let found = settings(&["STORAGE=local:./here", "R2_BUCKET_NAME=assets"]);

    assert!(matches!(found, Ok(StorageSettings::Local(_))), "{found:?}");
}

#[test]
fn names_are_not_mixed_and_those_of_s3_win() {
    let r2 = with_keys(
        "R2",
        &[R2_ENDPOINT, "R2_PUBLIC_URL=https://cdn.example.com"],
    );
    let aws = with_keys("AWS", &[BUCKET]);
    let all = with_keys("S3", &[&r2[..], &aws].concat());
    let found = s3(&all);
    assert_eq!(found.access_key_id, "id-s3");
    assert_eq!((found.endpoint, found.public_url), (None, None));

    let found = s3(&[&r2[..], &aws].concat());
    assert_eq!(found.access_key_id, "id-r2");

    let found = s3(&[&aws[..], &["S3_ENDPOINT=http://minio:9000"]].concat());
    assert_eq!(found.access_key_id, "id-aws");
}

#[test]
fn the_bucket_at_the_end_of_an_endpoint_is_no_part_of_it() {
    let check = |endpoint: &str, expected: &str| {
        let endpoint = format!("S3_ENDPOINT={endpoint}");
        let found = s3(&with_keys("S3", &[BUCKET, &endpoint])).endpoint;
        assert_eq!(found.map(String::from).as_deref(), Some(expected));
    };

    check("https://r2.example.com/assets", "https://r2.example.com/");
    check("https://r2.example.com/assets/", "https://r2.example.com/");
    check(
        "https://r2.example.com/my-assets",
        "https://r2.example.com/my-assets",
    );
}

#[test]
fn what_is_missing_is_named_with_where_to_find_it() {
    let check = |set: &[&str], words: &str| {
        let error = settings(set).expect_err("is not enough").to_string();
        assert!(error.starts_with(words), "{error}");
        assert!(
            !error.contains('\n') && error.contains("dashboard"),
            "{error}"
        );
    };

    check(&[BUCKET], "S3_ACCESS_KEY_ID is not set");
    check(
        &[BUCKET, "S3_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=x"],
        "S3_SECRET_ACCESS_KEY is not set",
    );
    check(
        &[BUCKET, "AWS_ACCESS_KEY_ID=id"],
        "AWS_SECRET_ACCESS_KEY is not set",
    );
    check(
        &[BUCKET, "R2_SECRET_ACCESS_KEY=x", R2_ENDPOINT],
        "R2_ACCESS_KEY_ID is not set",
    );
    check(
        &with_keys("R2", &["R2_BUCKET_NAME=assets"]),
        "R2_ENDPOINT is not set",
    );
}

#[test]
fn an_address_that_is_none_is_named() {
    for (set, variable) in [
        ("S3_ENDPOINT=minio:9000", "S3_ENDPOINT"),
        ("S3_ENDPOINT=minio", "S3_ENDPOINT"),
        ("S3_PUBLIC_URL=cdn.example.com", "S3_PUBLIC_URL"),
    ] {
        let error = settings(&with_keys("S3", &[BUCKET, set])).expect_err(set);
        assert!(error.to_string().starts_with(variable), "{error}");
    }
}

#[test]
fn no_secret_is_shown() {
    let found = settings(&with_keys("S3", &[BUCKET]));
    let arguments = Arguments::parse_from(["worker", "--s3-secret-access-key=secret-s3"]);

    let text = format!("{found:?} {arguments:?}");

    assert!(!text.contains("secret-s3"), "{text}");
}
