use super::*;

fn policy() -> FetchPolicy {
    FetchPolicy {
        allow: vec!["storage.internal:9000".parse().expect("host and port")],
        supabase: Some(SupabaseAccess {
            url: "https://ref.supabase.co".parse().expect("a URL"),
            service_key: ServiceKey::new("key"),
        }),
    }
}

/// Where a URL leads, in one line.
fn route(text: &str) -> String {
    match policy().route(text) {
        Ok(Route::Public(url)) => format!("public {url}"),
        Ok(Route::Allowed(url)) => format!("allowed {url}"),
        Ok(Route::Supabase { url, .. }) => format!("supabase {url}"),
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
            assert_eq!(route(text), format!("refused: {because:?}"), "{text}");
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
        assert!(route(text).starts_with("public https://"), "{text}");
    }
}

#[test]
fn the_allow_list_is_exact() {
    assert_eq!(
        route("http://storage.internal:9000/a.png"),
        "allowed http://storage.internal:9000/a.png"
    );
    assert!(route("https://STORAGE.internal:9000/a.png").starts_with("allowed "));
    assert_eq!(
        route("http://storage.internal:9001/a.png"),
        "refused: NotHttps"
    );
    assert_eq!(route("http://storage.internal/a.png"), "refused: NotHttps");
    assert_eq!(
        route("http://x.storage.internal:9000/a.png"),
        "refused: NotHttps"
    );
    assert_eq!(
        route("http://u:p@storage.internal:9000/a.png"),
        "refused: WithPassword"
    );
    // The same name on the standard port is any other name: its addresses are checked.
    assert!(route("https://storage.internal/a.png").starts_with("public "));
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

#[test]
fn objects_of_the_project_are_read_by_bucket_and_path_whatever_way_in_the_url_names() {
    #[track_caller]
    fn check(from: &str, to: &str) {
        assert_eq!(
            route(&format!("https://ref.supabase.co/storage/v1/object/{from}")),
            format!("supabase https://ref.supabase.co/storage/v1/object/{to}")
        );
    }

    check("images/a/b%20c.png", "images/a/b%20c.png");
    check("public/images/a.png", "images/a.png");
    check("sign/images/a.png?token=eyJ", "images/a.png");
    check("authenticated/images/a.png#x", "images/a.png");
    check("public/public/a.png", "authenticated/public/a.png");
    // `url` has resolved these before we look.
    check("images/x/../a.png", "images/a.png");
    check("images/x/%2e%2e/a.png", "images/a.png");
}

#[test]
fn a_path_that_could_be_read_as_another_object_is_refused() {
    for object in [
        "images",
        "images/",
        "public/images",
        "/images/a.png",
        "images//a.png",
        "images/..%2f..%2fauth/v1/admin",
        "images/..%5Cx",
        "images/%252e%252e/x",
        "images/x%2Fy.png",
        "images/.%2e%2fx",
    ] {
        assert_eq!(
            route(&format!(
                "https://ref.supabase.co/storage/v1/object/{object}"
            )),
            "refused: NoObject",
            "{object}"
        );
    }
}

#[test]
fn the_key_goes_to_the_projects_objects_and_nowhere_else() {
    for text in [
        "https://ref.supabase.co/rest/v1/users",
        "https://ref.supabase.co/storage/v1/object/../../../rest/v1/users",
        "https://ref.supabase.co/storage/v1/object/%2e%2e/s3",
        "https://ref.supabase.co/storage/v1/objects/images/a.png",
        "https://ref.supabase.co./storage/v1/object/images/a.png",
        "https://other.supabase.co/storage/v1/object/images/a.png",
        "https://ref.supabase.co.evil.example/storage/v1/object/images/a.png",
    ] {
        assert!(route(text).starts_with("public "), "{text}");
    }
    for text in [
        "http://ref.supabase.co/storage/v1/object/images/a.png",
        "https://ref.supabase.co:8443/storage/v1/object/images/a.png",
        "https://u:p@ref.supabase.co/storage/v1/object/images/a.png",
    ] {
        assert!(route(text).starts_with("refused: "), "{text}");
    }
}

#[test]
fn the_key_is_not_shown() {
    assert!(!format!("{:?}", policy()).contains("key\""));
    assert_eq!(format!("{:?}", ServiceKey::new("sb_secret_x")), "***");
}
