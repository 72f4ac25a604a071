use axum::http::Request;

use super::*;

fn is_let_in(headers: &[(&str, &str)]) -> bool {
    let request = headers
        .iter()
        .fold(Request::builder().uri("/"), |request, (name, value)| {
            request.header(*name, *value)
        });
    let (parts, ()) = request.body(()).unwrap().into_parts();
    check(&parts, &["https://app.example.com".to_owned()]).is_ok()
}

#[test]
fn the_host_must_name_this_machine() {
    let check = |host, expected| assert_eq!(is_let_in(&[("host", host)]), expected, "{host}");

    check("localhost", true);
    check("LocalHost:8088", true);
    check("127.0.0.1:8088", true);
    check("[::1]:8088", true);
    check("photos.example.com", false);
    check("localhost.example.com", false);
    check("localhost@example.com", false);
    check("127.0.0.1.example.com:8088", false);
    check("192.168.0.7:8088", false);
    check("", false);
}

#[test]
fn one_host_of_several_does_not_do() {
    assert!(!is_let_in(&[]));
    assert!(!is_let_in(&[
        ("host", "localhost"),
        ("host", "example.com")
    ]));
}

#[test]
fn a_page_must_be_of_this_machine_or_named_in_the_settings() {
    let check = |origin, expected| {
        let headers = [("host", "localhost"), ("origin", origin)];
        assert_eq!(is_let_in(&headers), expected, "{origin}");
    };

    check("http://localhost:3000", true);
    check("http://127.0.0.1:5173", true);
    check("http://[::1]:3000", true);
    check("https://app.example.com", true);
    check("https://app.example.com:8443", false);
    check("https://evil.example.com", false);
    check("http://localhost.example.com", false);
    check("null", false);
}

#[test]
fn what_came_through_a_proxy_is_not_of_this_machine() {
    let check = |name, value, expected| {
        let headers = [("host", "127.0.0.1:8088"), (name, value)];
        assert_eq!(is_let_in(&headers), expected, "{name}");
    };

    check("x-request-id", "abc", true);
    check("X-Forwarded-For", "203.0.113.7", false);
    check("x-forwarded-for", "127.0.0.1", false);
    check("x-forwarded-host", "photos.example.com", false);
    check("forwarded", "for=203.0.113.7", false);
    check("x-real-ip", "203.0.113.7", false);
    check("via", "1.1 proxy", false);
    check("via", "", false);
}
