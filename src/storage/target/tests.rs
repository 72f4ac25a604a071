use super::*;

fn target(text: &str) -> Result<StorageTarget, InvalidTarget> {
    text.parse()
}

#[test]
fn a_target_is_a_directory_or_a_bucket() {
    let s3 = |bucket: &str, prefix: &str| StorageTarget::S3 {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    };
    let check = |text: &str, expected: StorageTarget| {
        assert_eq!(target(text), Ok(expected), "{text}");
    };

    check("local:./photos", StorageTarget::Local("./photos".into()));
    check("local:/srv/a:b", StorageTarget::Local("/srv/a:b".into()));
    check("s3://assets", s3("assets", ""));
    check("s3://assets/", s3("assets", ""));
    check(" s3://my.assets-1/app/one/ ", s3("my.assets-1", "app/one"));
    check(
        "supabase:images",
        StorageTarget::Supabase {
            bucket: "images".to_owned(),
        },
    );
}

#[test]
fn what_is_no_target_says_what_to_write() {
    let check = |text: &str, words: &str| {
        let error = target(text).expect_err(text).to_string();
        assert!(error.contains(words), "{error}");
        assert!(error.contains(text), "{error}");
    };

    check("photos", "use local:DIR");
    check("local:", "use local:DIR");
    check("gs://assets", "use local:DIR");
    check("s3:assets", "s3://BUCKET");
    check("s3://", "s3://BUCKET");
    check("s3:///app", "s3://BUCKET");
    check("s3://localhost:9000/assets", "S3_ENDPOINT");
    check("s3://me", "3 to 63");
    check("s3://assets/a b", "prefix");
    check("s3://assets//a", "prefix");
    check("s3://assets/../a", "prefix");
    check("supabase:images/app", "supabase:BUCKET");
}

#[test]
fn a_secret_is_never_shown() {
    assert_eq!(format!("{:?}", Secret::new("hush")), "***");
}
