use std::time::Duration;

use super::*;

const NOW: Moment = Moment(1_000_000);

fn signer() -> Signer {
    Signer::new(b"a secret of thirty-two bytes ....")
}

fn key() -> ObjectKey {
    ObjectKey::parse("team=3A7/a/1-b.png").expect("a key")
}

fn url(now: Moment) -> PictureUrl {
    let settings = Settings {
        sends_webhooks: false,
        public_url: "https://photos.example.com".to_owned(),
        signed_url_life: Duration::from_secs(400),
        max_waiting: 0,
        upgrade_url: String::new(),
        origins: Vec::new(),
    };
    served_here(&settings, &signer(), &key(), now)
}

/// What a URL says behind its question mark.
fn signature(url: &str) -> Signature {
    let (_, query) = url.split_once("?expires=").expect("a query");
    let (expires, signature) = query.split_once("&signature=").expect("a signature");
    Signature {
        expires: Some(expires.to_owned()),
        signature: Some(signature.to_owned()),
    }
}

#[test]
fn a_url_opens_its_picture_until_its_end() {
    let PictureUrl { url, expires } = url(NOW);
    let expires = expires.expect("an end");
    let end = |now| signature(&url).end(&signer(), key().as_str(), now);

    assert!(url.starts_with("https://photos.example.com/files/team=3A7/a/1-b.png?expires="));
    assert!((NOW.0 + 400..=NOW.0 + 500).contains(&expires.0));
    assert_eq!(end(Moment(expires.0 - 1)).ok(), Some(expires));
    let error = end(expires).expect_err("is over");
    assert!(error.to_string().contains("expired"), "{error}");
}

#[test]
fn two_polls_show_the_same_url() {
    assert_eq!(url(Moment(1_000_001)), url(Moment(1_000_099)));
}

#[test]
fn a_url_that_was_altered_opens_nothing() {
    let signed = url(NOW);
    let check = |signature: Signature, key: &str| {
        let error = signature.end(&signer(), key, NOW).expect_err("is altered");
        assert!(error.to_string().contains("not signed"), "{error}");
        assert_eq!(error.status(), StatusCode::FORBIDDEN);
    };
    let with = |expires: Option<&str>, tag: Option<&str>| Signature {
        expires: expires.map(str::to_owned),
        signature: tag.map(str::to_owned),
    };
    let tag = signature(&signed.url).signature.expect("a signature");

    check(signature(&signed.url), "team=3A7/a/2-b.png");
    check(with(Some("2000000"), Some(&tag)), key().as_str());
    check(with(None, Some(&tag)), key().as_str());
    check(with(Some("soon"), Some(&tag)), key().as_str());
    check(
        with(Some(&signed.expires.expect("an end").0.to_string()), None),
        key().as_str(),
    );
    check(
        with(
            Some(&signed.expires.expect("an end").0.to_string()),
            Some("AAAA"),
        ),
        key().as_str(),
    );
}
