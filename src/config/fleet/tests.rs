use super::*;

#[test]
fn the_name_of_a_function_may_have_a_schema_and_nothing_else() {
    let check = |text: &str, wanted: Option<&str>| {
        assert_eq!(function(text).ok().as_deref(), wanted, "{text:?}");
    };

    check("refund", Some("refund"));
    check(" billing.refundCredits2 ", Some("billing.refundCredits2"));
    check("_r", Some("_r"));
    check("", None);
    check("a.b.c", None);
    check(".refund", None);
    check("2refunds", None);
    check("refund()", None);
    check("refund; DROP TABLE users", None);
}
