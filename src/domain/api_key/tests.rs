use super::*;

const KEY: &str = "0123456789abcdef";

#[test]
fn a_list_of_keys_names_whose_each_is() {
    let text = format!("7:{KEY}, *:{KEY}-2,7:{KEY}:3");

    let keys = parse(&text).unwrap();

    let owners: Vec<_> = keys.iter().map(|key| key.owner.to_string()).collect();
    assert_eq!(owners, ["team:7", "service", "team:7"]);
    let third = KeyDigest::of(&format!("{KEY}:3"));
    assert!(bool::from(keys[2].digest.ct_eq(&third)));
}

#[test]
fn a_list_that_cannot_be_meant_is_refused_without_being_quoted() {
    let check = |text: &str, expected: InvalidApiKeys| {
        let error = parse(text).unwrap_err();

        assert_eq!(error, expected, "{text}");
        assert!(!error.to_string().contains(KEY), "{error}");
    };

    check("", InvalidApiKeys::NotAPair(1));
    check(KEY, InvalidApiKeys::NotAPair(1));
    check(&format!(":{KEY}"), InvalidApiKeys::NotAPair(1));
    check("7:", InvalidApiKeys::NotAPair(1));
    check(&format!("7:{KEY},"), InvalidApiKeys::NotAPair(2));
    check(&format!("7:{KEY} x"), InvalidApiKeys::NotAPair(1));
    check("7:0123456789abcde", InvalidApiKeys::TooShort(1));
    check(&format!("7:{KEY},8:{KEY}"), InvalidApiKeys::Repeated(2));
}

#[test]
fn a_digest_is_written_and_read_in_hex() {
    let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    assert_eq!(KeyDigest::of("abc").hex(), hex);
    let read = KeyDigest::from_hex(hex).unwrap();
    assert!(bool::from(read.ct_eq(&KeyDigest::of("abc"))));
    for bad in ["", &hex[1..], &format!("{hex}0"), &hex.replace('b', "x")] {
        assert!(KeyDigest::from_hex(bad).is_none(), "{bad}");
    }
}

#[test]
fn a_new_key_is_known_as_ours_and_long_enough() {
    let key = written(&[255; 32]);

    assert_eq!(key.len(), 46);
    assert!(key.starts_with("sl_"));
    assert!(parse(&format!("7:{key}")).is_ok());
}
