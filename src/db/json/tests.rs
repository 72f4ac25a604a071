use super::*;

fn check(text: &str) {
    let json: Json = text.parse().expect("JSON");

    assert_eq!(
        serde_json::to_string(&[json]).ok(),
        Some(format!("[{text}]"))
    );
}

#[test]
fn what_a_parser_would_change_comes_out_as_it_went_in() {
    check("12345678901234567890.123456789");
    check("1e999");
    check(r#"{"b": 1.50, "a": {"a": "\u0041", "a": null}}"#);
    check(&format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)));
}

#[test]
fn what_is_no_json_is_refused() {
    for text in ["", "{", "{} {}", "red"] {
        assert!(text.parse::<Json>().is_err(), "{text}");
    }
}
