use super::*;

#[test]
fn a_long_prompt_is_cut_on_one_line() {
    let check = |text: &str, expected: &str| assert_eq!(excerpt(text, 8), expected);

    check("a lake", "a lake");
    check("a  lake\nat", "a lake…");
    check("éééééééé", "éééééééé");
    check("ééééééééé", "ééééééé…");
}
