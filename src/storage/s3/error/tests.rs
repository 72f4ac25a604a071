use super::*;

#[test]
fn what_the_operator_must_mend_names_the_setting() {
    let check = |code: &str, status: u16, setting: &str| {
        let code = (!code.is_empty()).then_some(code);
        let told = of_answer(code, status).told("photos");
        let StorageError::Refused(text) = &told else {
            panic!("{code:?} {status}: {told:?}");
        };
        assert!(text.contains(setting), "{code:?} {status}: {text}");
    };

    check("NoSuchBucket", 404, "STORAGE");
    check("AccessDenied", 403, "S3_ACCESS_KEY_ID");
    check("", 403, "S3_ACCESS_KEY_ID");
    check("InvalidAccessKeyId", 403, "S3_ACCESS_KEY_ID");
    check("SignatureDoesNotMatch", 403, "S3_SECRET_ACCESS_KEY");
    check("RequestTimeTooSkewed", 403, "clock");
    check("PermanentRedirect", 301, "S3_REGION");
    check("", 301, "S3_REGION");
    check("AuthorizationHeaderMalformed", 400, "S3_REGION");
}

#[test]
fn what_passes_is_worth_another_try() {
    let check = |code: &str, status: u16| {
        let told = of_answer(Some(code), status).told("photos");
        assert!(
            matches!(told, StorageError::Unavailable { .. }),
            "{code} {status}: {told:?}"
        );
    };

    check("SlowDown", 503);
    check("InternalError", 500);
    check("", 429);
    check("RequestTimeout", 400);
    check("NoSuchUpload", 404);
}

#[test]
fn only_an_object_is_not_found() {
    let check = |code: Option<&str>, status: u16| {
        let told = of_answer(code, status).told("photos");
        assert!(matches!(told, StorageError::NotFound), "{told:?}");
    };

    check(Some("NoSuchKey"), 404);
    check(Some("NotFound"), 404);
    check(None, 404);
}

#[test]
fn a_code_that_is_no_word_is_not_repeated() {
    let told = of_answer(Some("see https://x/?X-Amz-Signature=1"), 418).told("photos");

    assert_eq!(
        told.to_string(),
        "the storage cannot be used: it answers 418"
    );
}
