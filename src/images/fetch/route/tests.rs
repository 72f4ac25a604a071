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
        Ok(Route::Elsewhere(Target::Public(url))) => format!("public {url}"),
        Ok(Route::Elsewhere(Target::Allowed(url))) => format!("allowed {url}"),
        Ok(Route::Supabase { url, .. }) => format!("supabase {url}"),
        Err(error) => format!("refused: {error:?}"),
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
