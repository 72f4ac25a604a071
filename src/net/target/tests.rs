use super::*;

/// Where a URL leads, in one line.
fn target(text: &str) -> String {
    let allowed = ["storage.internal:9000".parse().expect("host and port")];
    match Target::of(text, &allowed) {
        Ok(Target::Public(url)) => format!("public {url}"),
        Ok(Target::Allowed(url)) => format!("allowed {url}"),
        Err(error) => format!("refused: {error:?}"),
    }
}

#[test]
fn urls_that_could_reach_inside_or_nowhere_are_refused_with_the_reason() {
    let long = format!("https://a.example/{}", "x".repeat(100_000));
    let data = format!("data:image/png;base64,{}", "A".repeat(100_000));
    for (because, texts) in [
        (
            UnusableUrl::NotPublic,
            [
                "https://127.0.0.1/x.png",
                "https://[::ffff:127.0.0.1]/x.png",
                "https://[::1]/x.png",
                "https://2130706433/x.png",
                "https://0x7f.1/x.png",
                "https://0177.0.0.1/x.png",
                "https://127.1/x.png",
                "https://127.0.0.1./x.png",
                "https://\u{ff11}27.0.0.1/x.png",
                "https://169.254.169.254/latest/meta-data",
                "https://[fd00:ec2::254]/latest/meta-data",
                "https://localhost/x.png",
                "https://LOCALHOST/x.png",
                "https://localhost./x.png",
                "https://db.localhost/x.png",
                "https://./x.png",
            ]
            .as_slice(),
        ),
        (
            UnusableUrl::NotHttps,
            &[
                "http://a.example/x.png",
                "http://a.example:443/x.png",
                "http://127.0.0.1:5432/",
                "file:///etc/passwd",
                "ftp://a.example/x.png",
                "gopher://a.example/",
                "javascript:alert(1)",
                &data,
            ],
        ),
        (
            UnusableUrl::OddPort,
            &[
                "https://a.example:80/x.png",
                "https://a.example:8443/x.png",
                "https://a.example:22/x.png",
                "https://127.0.0.1:22/x.png",
            ],
        ),
        (
            UnusableUrl::WithPassword,
            &[
                "https://user:pw@a.example/x.png",
                "https://user@a.example/x.png",
                "https://:pw@a.example/x.png",
                "https://a.example@127.0.0.1/x.png",
            ],
        ),
        (
            UnusableUrl::BadEscape,
            &[
                "https://a.example/100%.png",
                "https://a.example/%zz.png",
                "https://a.example/%",
                "https://%zz/x.png",
            ],
        ),
        (
            UnusableUrl::ControlCharacter,
            &[
                "https://a.example/\0.png",
                "https://a.example/%00.png",
                "https://a.example/x.png\r\nHost: b.example",
                "https://a.ex\tample/x.png",
                "https://a.example/\u{85}.png",
            ],
        ),
        (UnusableUrl::TooLong, &[&long]),
        (
            UnusableUrl::Unreadable,
            &[
                "a.example/x.png",
                "//a.example/x.png",
                "/etc/passwd",
                "https://",
                "https://[fe80::1%25eth0]/x.png",
                "https://a.example:99999/x.png",
                "https://a b/x.png",
                "",
            ],
        ),
    ] {
        for text in texts {
            assert_eq!(target(text), format!("refused: {because:?}"), "{text}");
        }
    }
}

#[test]
fn public_https_urls_pass_to_the_check_of_their_addresses() {
    for text in [
        "https://a.example/x.png?w=1%20024",
        "https://a.example:443/x.png",
        "https://8.8.8.8/x.png",
        "https://[2606:4700::1111]/x.png",
        "https://\u{430}\u{440}\u{440}\u{4cf}\u{435}.example/x.png",
        "https://a.example/\u{5d0}\u{1f642}.png",
    ] {
        assert!(target(text).starts_with("public https://"), "{text}");
    }
}

#[test]
fn the_allow_list_is_exact() {
    assert_eq!(
        target("http://storage.internal:9000/a.png"),
        "allowed http://storage.internal:9000/a.png"
    );
    assert!(target("https://STORAGE.internal:9000/a.png").starts_with("allowed "));
    assert_eq!(
        target("http://storage.internal:9001/a.png"),
        "refused: NotHttps"
    );
    assert_eq!(target("http://storage.internal/a.png"), "refused: NotHttps");
    assert_eq!(
        target("http://x.storage.internal:9000/a.png"),
        "refused: NotHttps"
    );
    assert_eq!(
        target("http://u:p@storage.internal:9000/a.png"),
        "refused: WithPassword"
    );
    // The same name on the standard port is any other name: its addresses are checked.
    assert!(target("https://storage.internal/a.png").starts_with("public "));
}

#[test]
fn an_allow_list_entry_is_one_host_and_one_port() {
    let entry = |text: &str| text.parse::<HostPort>();

    assert!(entry("127.0.0.1:54321").is_ok());
    assert!(entry("[::1]:9000").is_ok());
    assert_eq!(entry("A.Example:443"), entry(" a.example:443 "));
    for text in [
        "a.example",
        "a.example:",
        "a.example:0",
        "a.example:+80",
        "a.example:65536",
        ":80",
        "::1",
        "*.example:443",
        "https://a.example:443",
        "a.example:443/path",
        "",
    ] {
        assert!(entry(text).is_err(), "{text}");
    }
}
