use super::*;

#[test]
fn a_gauge_is_its_head_and_a_line_for_each_set_of_labels() {
    let mut page = Page::default();

    page.one("a", "What it is.", 1.5);
    page.line("b", &[("x", "1"), ("y", "2")], 3.0);

    assert_eq!(
        page.0,
        "# HELP a What it is.\n# TYPE a gauge\na 1.5\nb{x=\"1\",y=\"2\"} 3\n"
    );
}

#[test]
fn the_name_of_an_account_breaks_no_line() {
    let check = |text: &str, expected: &str| assert_eq!(escaped(text), expected);

    check("default", "default");
    check("a\"b", "a\\\"b");
    check("a\\b", "a\\\\b");
    check("a\nb 1", "a\\nb 1");
}
