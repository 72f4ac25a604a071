use super::*;

/// What servers of different years answer.
#[test]
fn only_an_object_is_not_found() {
    let check = |http: u16, body: &str| {
        let told = complaint(http, body.as_bytes()).told("images");
        assert!(matches!(told, StorageError::NotFound), "{body}: {told:?}");
    };

    check(
        400,
        r#"{"statusCode":"404","error":"not_found","message":"Object not found"}"#,
    );
    check(
        400,
        r#"{"statusCode":"404","error":"not_found","message":"Object not found","code":"NoSuchKey"}"#,
    );
    check(
        400,
        r#"{"error":"Not found","message":"The resource was not found","statusCode":"404"}"#,
    );
    check(
        404,
        r#"{"statusCode":404,"code":"NoSuchKey","message":"Object not found"}"#,
    );
}

#[test]
fn what_the_operator_must_mend_names_the_setting() {
    let check = |http: u16, body: &str, setting: &str| {
        let told = complaint(http, body.as_bytes()).told("images");
        let StorageError::Refused(text) = &told else {
            panic!("{body}: {told:?}");
        };
        assert!(text.contains(setting), "{body}: {text}");
    };

    check(
        400,
        r#"{"statusCode":"404","error":"Bucket not found","message":"Bucket not found"}"#,
        "STORAGE",
    );
    check(
        400,
        r#"{"statusCode":"403","error":"Unauthorized","message":"jwt expired"}"#,
        "SUPABASE_SERVICE_ROLE_KEY",
    );
    check(
        400,
        r#"{"statusCode":"400","error":"invalid signature","message":"invalid signature"}"#,
        "SUPABASE_SERVICE_ROLE_KEY",
    );
    check(
        400,
        r#"{"statusCode":"403","error":"Unauthorized","message":"Invalid Compact JWS"}"#,
        "SUPABASE_SERVICE_ROLE_KEY",
    );
    check(
        401,
        r#"{"message":"Invalid API key","hint":"Double check your Supabase `anon` or `service_role` API key."}"#,
        "SUPABASE_SERVICE_ROLE_KEY",
    );
    check(
        413,
        r#"{"statusCode":"413","error":"Payload too large","message":"The object exceeded the maximum allowed size"}"#,
        "images",
    );
    check(
        400,
        r#"{"statusCode":"415","error":"invalid_mime_type","message":"mime type image/png is not supported"}"#,
        "image/png",
    );
    check(404, "<html>", "SUPABASE_URL");
    check(
        404,
        r#"{"message":"no Route matched with those values"}"#,
        "SUPABASE_URL",
    );
    check(301, "", "SUPABASE_URL");
}

#[test]
fn what_passes_is_tried_again() {
    let check = |http: u16, body: &str| {
        let complaint = complaint(http, body.as_bytes());
        assert!(complaint.may_pass(), "{body}: {complaint:?}");
        let told = complaint.told("images");
        assert!(matches!(told, StorageError::Unavailable { .. }), "{told:?}");
    };

    check(503, "");
    check(
        429,
        r#"{"statusCode":"429","error":"too_many_connections","code":"SlowDown"}"#,
    );
    check(
        400,
        r#"{"statusCode":"503","error":"acquiring_lock_timeout","code":"LockTimeout"}"#,
    );
    check(544, r#"{"statusCode":"544","error":"DatabaseTimeout"}"#);
}

#[test]
fn of_an_answer_only_a_code_is_repeated() {
    let check = |body: &str, expected: &str| {
        let told = complaint(418, body.as_bytes()).told("images");
        assert_eq!(
            told.to_string(),
            format!("the storage cannot be used: it answers 418{expected}")
        );
    };

    check(r#"{"code":"Teapot","message":"at 10.1.2.3"}"#, " Teapot");
    check(r#"{"error":"see https://x/?token=1"}"#, "");
    check("[]", "");
}
