use super::*;

/// The bytes 0 to 23, and 24 to 47.
const ONE: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const OTHER: &str = "whsec_GBkaGxwdHh8gISIjJCUmJygpKissLS4v";

#[test]
fn the_signature_is_that_of_the_standard() {
    let secrets: Secrets = ONE.parse().expect("a secret");
    let id = "0b7f3f62-5d0f-4a59-9a3e-6f2d1f6f7c11"
        .parse()
        .expect("an id");

    let signature = secrets.signature(id, 1_700_000_000, r#"{"type":"job.completed"}"#);

    // Computed by openssl from the bytes of the key.
    assert_eq!(signature, "v1,oh7004La6EaHLYAuhKnjctl+enOqVthEe1OF/qtzYwY=");
}

#[test]
fn each_secret_signs_in_its_order() {
    let both: Secrets = format!("{ONE}, {OTHER}").parse().expect("two secrets");
    let alone = |secret: &str| {
        let secret: Secrets = secret.parse().expect("a secret");
        secret.signature(Uuid::nil(), 1, "{}")
    };

    let signature = both.signature(Uuid::nil(), 1, "{}");

    assert_eq!(signature, format!("{} {}", alone(ONE), alone(OTHER)));
    assert_ne!(alone(ONE), alone(OTHER));
}

#[test]
fn what_is_no_secret_of_the_standard_is_refused_and_not_shown() {
    let short = format!("whsec_{}", BASE64_STANDARD.encode([7; 23]));
    let long = format!("whsec_{}", BASE64_STANDARD.encode([7; 65]));
    let with_a_bad_one = format!("{ONE} secret");
    for text in [
        "",
        " , ",
        "secret",
        "whsec_",
        "whsec_?",
        &short,
        &long,
        &with_a_bad_one,
    ] {
        let refused = text.parse::<Secrets>();

        assert_eq!(refused.map(drop), Err(InvalidSecret), "{text}");
    }
    let secrets: Secrets = ONE.parse().expect("a secret");
    assert_eq!(format!("{secrets:?}"), "***");
}
