use super::*;

const SECRET: &str = "hush-hush";

fn settings() -> S3Settings {
    S3Settings {
        bucket: "photos".to_owned(),
        prefix: "app/one".to_owned(),
        endpoint: Some(Url::parse("https://storage.example.com/storage/v1/s3").expect("a URL")),
        region: "eu-central-1".to_owned(),
        access_key_id: "ID".to_owned(),
        secret_access_key: Secret::new(SECRET),
        public_url: None,
    }
}

fn key() -> ObjectKey {
    ObjectKey::parse("team=3A7/a/1-b.png").expect("a key")
}

fn moment(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

async fn signed(begin: SystemTime, end: SystemTime) -> String {
    let s3 = S3::new(settings(), Budget::default());
    match s3.links(&[key()], begin, end).await.as_deref() {
        Ok([Link::Signed(url)]) => url.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_link_is_the_same_for_the_same_moments_and_lives_from_the_first_to_the_second() {
    let url = signed(moment(1_700_000_000), moment(1_700_021_600)).await;

    assert_eq!(
        url,
        signed(moment(1_700_000_000), moment(1_700_021_600)).await
    );
    assert_ne!(
        url,
        signed(moment(1_700_000_000), moment(1_700_021_601)).await
    );
    let start = "https://storage.example.com/storage/v1/s3/photos/app/one/team%3D3A7/a/1-b.png?";
    assert!(url.starts_with(start), "{url}");
    for part in [
        "X-Amz-Date=20231114T221320Z",
        "X-Amz-Expires=21600",
        "X-Amz-SignedHeaders=host",
    ] {
        assert!(url.contains(part), "{url}");
    }
    assert!(!url.contains(SECRET), "{url}");
}

#[tokio::test]
async fn parts_of_seconds_shorten_no_link() {
    let half = Duration::from_millis(500);

    let url = signed(moment(1_700_000_000) + half, moment(1_700_000_060) + half).await;

    assert!(url.contains("X-Amz-Expires=61"), "{url}");
}

#[tokio::test]
async fn a_link_for_longer_than_a_week_is_refused_with_the_setting_to_change() {
    let s3 = S3::new(settings(), Budget::default());

    let refused = s3.links(&[key()], moment(0), moment(604_801)).await;

    let Err(StorageError::Refused(text)) = refused else {
        panic!("{refused:?}");
    };
    assert!(text.contains("SIGNED_URL_SECONDS"), "{text}");
}

#[tokio::test]
async fn a_public_bucket_has_plain_urls() {
    let public = S3Settings {
        public_url: Some(Url::parse("https://cdn.example.com/").expect("a URL")),
        ..settings()
    };
    let url = "https://cdn.example.com/app/one/team=3A7/a/1-b.png";
    let s3 = S3::new(public, Budget::default());

    let links = s3.links(&[key()], moment(0), moment(60)).await;

    assert_eq!(links.expect("links"), [Link::Public(url.to_owned())]);
    assert_eq!(s3.shown(&key()), url);
    let s3 = S3::new(settings(), Budget::default());
    assert_eq!(s3.shown(&key()), "app/one/team=3A7/a/1-b.png");
}

#[test]
fn no_secret_is_shown() {
    let text = format!(
        "{:?} {:?}",
        settings(),
        S3::new(settings(), Budget::default())
    );

    assert!(!text.contains(SECRET), "{text}");
}
