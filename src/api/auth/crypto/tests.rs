use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Validation, decode};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::Value;

use super::*;

/// Of an RSA key that was made for this test and thrown away; ring makes none.
const MODULUS: &str = "231ceD6cPPT6FWCSw-nftdqzas5KIXcdt6RU_eLStLU3NhY4Iafy0XDgrDhbuyx1gSIW8QOHV-wp-aKoXHENEAqU6hqLfnrlNo7bPN4LmgQ9vGQB_MreACkwJ-VWQWbzGt8_M-Roc_GA3XUjPVuoAxVoiTqJDx_KxkNbXQnU6wHckm_Yjja0pBXR8vIOd-IBOXqzbnSIViOWgjWmHXD5PGjj25kB_zmFrK3d7_mkTNEja8mPVN6m1IraZ52a8_BVb0BMpl74CEU0MSyexnhSXvmGX0ddyO4z5coVkCDtrCy7LEqzOcNgptMyn6f_oOpUGZOJwgZKs3u39PheJB2Qlw";
/// Until 2100, and of nobody.
const SIGNED_BY_RSA: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjQxMDI0NDQ4MDB9.XS9QZoNQRQ9XfVUtxSDzQO-FcNisWVpVMvLSlM0V-uq_g7bArtTOZ9k7KBTsACGvRo6flHy0y23LCAYOZNQY5HckdHUpevpMOqUPIopAZzsPaeN_AUV-jBdCzG28NnqqqOgYwsBjWtwrqAVRvMIIQA3srtX83sOIZHIaE6vHlbmsNs7IySfI_z1XdI9blnWUcmwmy0NbigDb8-Wj1Tm2LgCK0UQa8HR87rCb1KOi3SvTiDEQ0TwTaFotFpRGa6VaywYG-rMz7ApXzJbaj6dXh_pvQLWWIAJJh_3zO5YZXlr0lKSoj7B3AQRIhMwXr3ODFiI1RWi0ox9ALGd7HZyJEw";

fn opens(token: &str, algorithm: Algorithm, key: &DecodingKey) -> bool {
    install();
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    decode::<Value>(token, key, &validation).is_ok()
}

/// The same token with the last byte of its signature altered.
fn altered(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = BASE64.decode(signature).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    format!("{message}.{}", BASE64.encode(bytes))
}

fn token(algorithm: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let header = BASE64.encode(format!(r#"{{"alg":"{algorithm}"}}"#));
    let message = format!("{header}.{}", BASE64.encode(r#"{"exp":4102444800}"#));
    format!("{message}.{}", BASE64.encode(sign(message.as_bytes())))
}

#[test]
fn a_signature_of_rsa_opens_with_its_key_alone() {
    let key = DecodingKey::from_rsa_components(MODULUS, "AQAB").unwrap();
    let other = DecodingKey::from_rsa_components(&MODULUS.replace('A', "B"), "AQAB").unwrap();

    assert!(opens(SIGNED_BY_RSA, Algorithm::RS256, &key));
    assert!(!opens(SIGNED_BY_RSA, Algorithm::RS256, &other));
    assert!(!opens(&altered(SIGNED_BY_RSA), Algorithm::RS256, &key));
}

#[test]
fn a_signature_of_an_elliptic_curve_opens_with_its_key_alone() {
    let random = SystemRandom::new();
    let pair = || {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap()
    };
    let public = |pair: &EcdsaKeyPair| DecodingKey::from_ec_der(pair.public_key().as_ref());
    let (ours, theirs) = (pair(), pair());
    let signed = token("ES256", |message| {
        ours.sign(&random, message).unwrap().as_ref().to_vec()
    });

    assert!(opens(&signed, Algorithm::ES256, &public(&ours)));
    assert!(!opens(&signed, Algorithm::ES256, &public(&theirs)));
    assert!(!opens(&altered(&signed), Algorithm::ES256, &public(&ours)));
}

#[test]
fn a_signature_by_a_secret_opens_with_the_secret_alone() {
    let secret = b"a secret of thirty-two bytes ....";
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signed = token("HS256", |message| {
        hmac::sign(&key, message).as_ref().to_vec()
    });

    let right = DecodingKey::from_secret(secret);
    assert!(opens(&signed, Algorithm::HS256, &right));
    assert!(!opens(
        &signed,
        Algorithm::HS256,
        &DecodingKey::from_secret(b"another")
    ));
    assert!(!opens(&altered(&signed), Algorithm::HS256, &right));
}

#[test]
fn a_key_does_nothing_but_what_its_kind_does() {
    let secret = DecodingKey::from_secret(b"x");
    let point = DecodingKey::from_ec_der(&[4; 65]);
    let rsa = DecodingKey::from_rsa_components(MODULUS, "AQAB").unwrap();
    let check = |algorithm, key: &DecodingKey, expected| {
        assert_eq!(verifier(algorithm, key).is_ok(), expected, "{algorithm:?}");
    };

    check(Algorithm::HS256, &secret, true);
    check(Algorithm::HS256, &point, false);
    check(Algorithm::HS256, &rsa, false);
    check(Algorithm::ES256, &secret, false);
    check(Algorithm::RS256, &point, false);
    check(Algorithm::HS384, &secret, false);
    check(Algorithm::ES384, &point, false);
    check(Algorithm::PS256, &rsa, false);
}
